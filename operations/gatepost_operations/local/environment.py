"""The local world of `dev` and `demo`: the simulator, its address, and the environment that leads every process to it."""

from __future__ import annotations

import json
import os
import secrets
import shlex
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Final

from gatepost_core.errors import Unavailable
from gatepost_core.sealing import KEY_BYTES, Key
from gatepost_operations.processes import Child, simulator_command

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

# The simulator's documented, worthless credentials.
_CLIENT_ID: Final = "gatepost-dev"
_CLIENT_SECRET: Final = "gatepost-dev-secret-of-the-local-simulator"  # noqa: S105 - as above
_LOOPBACK: Final = "localhost,127.0.0.1,::1"


@dataclass(frozen=True, slots=True)
class SimulatorAddress:
    """Where a simulator answers."""

    url: str
    domain: str
    issuer: str
    ca_file: str


@dataclass(frozen=True, slots=True)
class Keys:
    """A sealing key and a fingerprint key, as the environment holds them."""

    sealing: str
    fingerprint: str

    @classmethod
    def new(cls) -> Keys:
        """Return fresh ones."""
        return cls(Key.new("local").reveal(), secrets.token_urlsafe(KEY_BYTES))


def start_simulator(
    directory: Path, *, environment: Mapping[str, str], port: int = 0, stderr: IO[str]
) -> tuple[Child, SimulatorAddress]:
    """Start a simulator over https and wait until it answers.

    Args:
        directory: for its certificates; made when absent.
        environment: all of its environment.
        port: 0 takes a free one.
        stderr: where its messages go.

    Raises:
        Unavailable: it did not start.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    child = Child(
        "simulator",
        simulator_command(directory, port=port),
        environment=environment,
        directory=directory,
        stderr=stderr,
    )
    line = child.output.readline()
    if not line:
        child.kill()
        raise Unavailable("The simulator did not start; is its port taken?")
    ready = json.loads(line)
    return child, SimulatorAddress(ready["url"], ready["domain"], ready["issuer"], ready["ca_file"])


def without_gatepost(environment: Mapping[str, str]) -> dict[str, str]:
    """Return an environment in which nothing leads to a real tenant, Redis or broker."""
    return {name: value for name, value in environment.items() if not name.upper().startswith(("AUTH0_", "GATEPOST_"))}


def simulator_variables(address: SimulatorAddress) -> dict[str, str]:
    """Return what leads a worker to the simulator."""
    return {
        "AUTH0_DOMAIN": address.domain,
        "AUTH0_CLIENT_ID": _CLIENT_ID,
        "AUTH0_CLIENT_SECRET": _CLIENT_SECRET,
        "AUTH0_CA_BUNDLE": address.ca_file,
    }


def store_variables(redis_url: str, keys: Keys) -> dict[str, str]:
    """Return what leads every process to the embedded Valkey, and the keys."""
    return {
        "GATEPOST_REDIS_URL": redis_url,
        "GATEPOST_BROKER_URL": redis_url,
        "GATEPOST_SEALING_KEYS": keys.sealing,
        "GATEPOST_FINGERPRINT_KEY": keys.fingerprint,
    }


def past_any_proxy(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that keep loopback traffic away from a proxy of the host."""
    before = environment.get("no_proxy") or environment.get("NO_PROXY")
    value = f"{before},{_LOOPBACK}" if before else _LOOPBACK
    return {"NO_PROXY": value, "no_proxy": value}


def export_lines(variables: Mapping[str, str]) -> str:
    """Return the lines that a shell needs to join this world."""
    return "".join(f"export {name}={shlex.quote(value)}\n" for name, value in variables.items())


def read_export_lines(file: Path) -> dict[str, str]:
    """Return what `export_lines` wrote; nothing when there is no such file."""
    if not file.is_file():
        return {}
    words = shlex.split(file.read_text(encoding="utf-8"))
    pairs = (word.partition("=") for word in words if word != "export")
    return {name: value for name, _, value in pairs}


def write_private(file: Path, text: str) -> None:
    """Write a file that only its owner may read."""
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        os.fchmod(descriptor, 0o600)
        stream.write(text)
