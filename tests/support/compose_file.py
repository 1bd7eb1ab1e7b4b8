"""Reads docker-compose.yml as an engine does, so that its services can run as processes where there is no engine."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import yaml
from dotenv import dotenv_values

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_VARIABLE = re.compile(r"\$(?:(?P<dollar>\$)|\{(?P<name>\w+)(?:(?P<operator>:-|:\?)(?P<word>[^}]*))?\})")
_UNITS = {"s": 1, "m": 60, "h": 3600}


@dataclass(frozen=True)
class Service:
    """One service: its command and its environment. `health` is empty if the file disables the check."""

    name: str
    command: list[str]
    environment: dict[str, str]
    health: list[str]
    grace_s: int
    memory_bytes: int
    definition: dict[str, Any]


def read_services(directory: Path) -> dict[str, Service]:
    """Return the services of the file in a directory, with the variables of the `.env` beside it."""
    variables = env_file(directory / ".env")
    document = interpolated(yaml.safe_load((directory / "docker-compose.yml").read_text(encoding="utf-8")), variables)
    return {name: _service(name, found, directory) for name, found in document["services"].items()}


def secret_files(directory: Path) -> dict[str, Path]:
    """Return the files of the secrets, by the name under which a service mounts them."""
    document = yaml.safe_load((directory / "docker-compose.yml").read_text(encoding="utf-8"))
    return {name: directory / found["file"] for name, found in document["secrets"].items()}


def env_file(path: Path) -> dict[str, str]:
    """Return the variables of an env file."""
    return {name: value or "" for name, value in dotenv_values(path, interpolate=False).items()}


def interpolated(value: Any, variables: Mapping[str, str]) -> Any:
    """Return a document with its `${NAME:-default}`, `${NAME:?message}` and `$$` resolved.

    Raises:
        ValueError: a variable that must be set is not.
    """
    if isinstance(value, str):
        return _VARIABLE.sub(lambda found: _resolved(found, variables), value)
    if isinstance(value, dict):
        return {name: interpolated(one, variables) for name, one in value.items()}
    if isinstance(value, list):
        return [interpolated(one, variables) for one in value]
    return value


def _resolved(found: re.Match[str], variables: Mapping[str, str]) -> str:
    if found["dollar"]:
        return "$"
    value = variables.get(found["name"], "")
    if value or not found["operator"]:
        return value
    if found["operator"] == ":?":
        raise ValueError(f"{found['name']} is not set: {found['word']}")
    return found["word"]


def _service(name: str, definition: dict[str, Any], directory: Path) -> Service:
    command = definition["command"]
    files = definition.get("env_file", [])
    environment: dict[str, str] = {}
    for file in [files] if isinstance(files, str) else files:
        environment |= env_file(directory / file)
    environment |= {key: str(value) for key, value in definition.get("environment", {}).items()}
    kind, *test = definition["healthcheck"].get("test", [""])
    return Service(
        name=name,
        command=shlex.split(command) if isinstance(command, str) else [str(part) for part in command],
        environment=environment,
        health=["sh", "-c", *test] if kind == "CMD-SHELL" else test,
        grace_s=_seconds(definition["stop_grace_period"]),
        memory_bytes=size_in_bytes(str(definition["mem_limit"])),
        definition=definition,
    )


def size_in_bytes(text: str) -> int:
    """Return the bytes of a size such as `512m` or `1gb`."""
    number, unit = re.fullmatch(r"(\d+)([kmg])b?", text).groups()
    return int(number) << {"k": 10, "m": 20, "g": 30}[unit]


def _seconds(text: str) -> int:
    return sum(int(number) * _UNITS[unit] for number, unit in re.findall(r"(\d+)([smh])", text))
