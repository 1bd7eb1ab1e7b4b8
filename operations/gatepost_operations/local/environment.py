"""Start the simulator for `dev` and `demo`, and build the environment of their processes."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Final

from gatepost_core.errors import Unavailable
from gatepost_core.sealing import KEY_BYTES, Key
from gatepost_operations.files.output import output_file
from gatepost_operations.processes import Child, simulator_command

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

# The simulator's documented credentials, which work nowhere else.
_CLIENT_ID: Final = "gatepost-dev"
_CLIENT_SECRET: Final = "gatepost-dev-secret-of-the-local-simulator"  # noqa: S105 - as above


@dataclass(frozen=True, slots=True)
class SimulatorAddress:
    """The address of a simulator, and its certificate authority."""

    url: str
    domain: str
    issuer: str
    ca_file: str


def start_simulator(
    directory: Path, *, environment: Mapping[str, str], port: int = 0, stderr: IO[str]
) -> tuple[Child, SimulatorAddress]:
    """Start a simulator over https and wait until it answers.

    Args:
        directory: the directory for its certificates; created if it does not exist.
        environment: its complete environment.
        port: the port; 0 chooses a free one.
        stderr: the stream for its messages.

    Raises:
        Unavailable: the simulator did not start.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    child = Child(
        "simulator",
        simulator_command(directory, port=port),
        environment=environment,
        directory=directory,
        stderr=stderr,
    )
    line = child.read_line()
    if not line:
        child.kill()
        raise Unavailable("The simulator did not start; is its port taken?")
    ready = json.loads(line)
    return child, SimulatorAddress(ready["url"], ready["domain"], ready["issuer"], ready["ca_file"])


def simulator_variables(address: SimulatorAddress) -> dict[str, str]:
    """Return the variables of a worker that uses the simulator."""
    return {
        "AUTH0_DOMAIN": address.domain,
        "AUTH0_CLIENT_ID": _CLIENT_ID,
        "AUTH0_CLIENT_SECRET": _CLIENT_SECRET,
        "AUTH0_CA_BUNDLE": address.ca_file,
        # A receiver that is being developed runs on this machine.
        "GATEPOST_WEBHOOK_ALLOW_PRIVATE": "1",
    }


def store_variables(redis_url: str, known: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the variables for the embedded Valkey, with keys.

    Args:
        redis_url: the URL of the embedded Valkey.
        known: variables of an earlier run, whose keys are used again [default: new keys].
    """
    keys = {
        "GATEPOST_SEALING_KEYS": Key.new("local").reveal(),
        "GATEPOST_FINGERPRINT_KEY": secrets.token_urlsafe(KEY_BYTES),
    }
    if known and keys.keys() <= known.keys():
        keys = {name: known[name] for name in keys}
    return {"GATEPOST_REDIS_URL": redis_url, "GATEPOST_BROKER_URL": redis_url, **keys}


def write_private(file: Path, text: str) -> None:
    """Write a file with mode 0600. Errors are those of `output_file`."""
    with output_file(file, replace=True) as stream:
        stream.write(text)
