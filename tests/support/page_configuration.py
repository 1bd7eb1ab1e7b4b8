"""Checks the configuration that a page shows: it parses, its names exist, and Gatepost really loads it."""

from __future__ import annotations

import configparser
import csv
import io
import json
import re
import tomllib
from typing import TYPE_CHECKING, Any

import yaml
from dotenv import dotenv_values

from gatepost_core.settings import Settings, Tenant, environment_names, load_settings
from gatepost_core.settings.known_names import probe_names
from gatepost_operations.web.console.security.settings import console_environment_names, load_console_settings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pytest

# Tables of other programs' files.
_FOREIGN = {"project", "tool", "build-system", "dependency-groups"}
_SECRET_FILE = re.compile(r"(?P<quote>[\"']?)/run/secrets/(?P<name>[\w.-]+)(?P=quote)")


def check_json(code: str) -> None:
    """Parse one document, or a document a line."""
    try:
        json.loads(code)
    except json.JSONDecodeError:
        for line in code.splitlines():
            json.loads(line)


def check_yaml(code: str) -> None:
    """Parse every document."""
    list(yaml.safe_load_all(code))


def check_ini(code: str) -> None:
    """Parse it; systemd's units repeat names."""
    configparser.ConfigParser(strict=False, interpolation=None).read_string(code)


def check_csv(code: str) -> None:
    """Every row has as many fields as the header."""
    header, *rows = csv.reader(io.StringIO(code))
    assert all(len(row) == len(header) for row in rows), "a row has another number of fields than the header"


PARSERS: dict[str, Callable[[str], None]] = {
    "json": check_json,
    "jsonl": check_json,
    "ndjson": check_json,
    "yaml": check_yaml,
    "yml": check_yaml,
    "ini": check_ini,
    "csv": check_csv,
}


def load_toml(code: str, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Load a block as the file that GATEPOST_CONFIG names, unless it belongs to another program."""
    document = tomllib.loads(code)
    if _FOREIGN & document.keys():
        return
    unknown = document.keys() - _names_of(Settings)
    assert not unknown, f"Gatepost has no setting {', '.join(sorted(unknown))}"
    file = directory / "gatepost.toml"
    file.write_text(_with_secret_files(code, directory), encoding="utf-8")
    monkeypatch.setenv("GATEPOST_CONFIG", str(file))
    settings = load_settings()
    assert len(settings.tenants) == len(document.get("tenants", []))
    for name in document.keys() & Settings.model_fields.keys() - {"tenants"}:
        assert getattr(settings, name) == document[name], f"{name} was not taken"


def load_variables(code: str, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Load a block as an environment; every name of ours in it exists."""
    file = directory / "environment"
    file.write_text(_with_secret_files(code, directory), encoding="utf-8")
    variables = dotenv_values(file, interpolate=False)
    assert all(value is not None for value in variables.values()), "there is something else than NAME=value in it"
    assert variables, "there is nothing in it"
    known = {*environment_names(), *probe_names(), *console_environment_names(), "GATEPOST_CONFIG"}
    known |= {f"{name}{suffix}" for name in known for suffix in ("_FILE", "_COMMAND")}
    ours = {name: value or "" for name, value in variables.items() if name.startswith(("AUTH0_", "GATEPOST_"))}
    foreign_part = {name for name in ours if name.startswith("GATEPOST_SIMULATOR_")}
    unknown = ours.keys() - known - foreign_part
    assert not unknown, f"Gatepost reads no variable {', '.join(sorted(unknown))}"
    for name, value in ours.items():
        if not name.endswith("_COMMAND"):
            monkeypatch.setenv(name, value)
    load_settings()
    load_console_settings()


def _names_of(model: type[Settings | Tenant]) -> set[str]:
    aliases = {str(field.validation_alias) for field in model.model_fields.values() if field.validation_alias}
    return set(model.model_fields) | aliases


def _with_secret_files(code: str, directory: Path) -> str:
    def written(found: re.Match[str]) -> Any:
        file = directory / found["name"]
        file.write_text("a secret of a page\n", encoding="utf-8")
        return f"{found['quote']}{file}{found['quote']}"

    return _SECRET_FILE.sub(written, code)
