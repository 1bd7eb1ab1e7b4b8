"""Opens submitted commands: in a worker, and before the replay of a dead letter."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from gatepost_core.errors import SealError
from gatepost_core.sealing import Purpose

if TYPE_CHECKING:
    from gatepost_core.sealing import Keyring
    from gatepost_core.settings import Settings


def is_sealed(command: Any) -> bool:
    """Return whether a submitted command has the form of a sealed one: a text that is not a JSON object."""
    return isinstance(command, str) and not command.lstrip().startswith("{")


def open_arguments(task_id: str, sealed: str, keyring: Keyring) -> dict[str, Any]:
    """Return the arguments that a worker sealed before it requeued a submission.

    Raises:
        SealError: the arguments do not open with the keys.
    """
    arguments: dict[str, Any] = json.loads(keyring.open(sealed, Purpose.arguments(task_id)))
    return arguments


def open_command(command: Any, keyring: Keyring, settings: Settings) -> Any:
    """Return a submitted command in clear: bytes if it is sealed, otherwise unchanged.

    Raises:
        SealError: the command does not open with the keys, or it is not sealed and the settings demand that.
    """
    if is_sealed(command):
        return keyring.open(command, Purpose.submission())
    if settings.submissions == "sealed":
        raise SealError("The command is not sealed, which GATEPOST_SUBMISSIONS demands.")
    return command
