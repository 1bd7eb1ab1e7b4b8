"""The probe's code from a command, such as one that asks the provider of a phone number for its last SMS."""

from __future__ import annotations

import os
import shlex
import subprocess
import time
from typing import TYPE_CHECKING, Final

from gatepost_core.probe_results import Cause
from gatepost_operations.probing.code_source import ProbeFailure
from gatepost_operations.probing.message import code_in_text

if TYPE_CHECKING:
    import re
    from collections.abc import Callable

    from pydantic import SecretStr

    from gatepost_core.identifiers import OneTimeCode

SINCE: Final = "PROBE_SINCE"
"""The variable that gives the command the start of the run, in seconds since the epoch."""
_RUN_EVERY_S: Final = 2.0
_SHORTEST_RUN_S: Final = 5.0


class CodeCommand:
    """Runs a command until it prints a message with a code. No output means that no message has arrived.

    Args:
        command: the command, run without a shell.
        pattern: matches a code.
        sleep: waits for some seconds.
    """

    def __init__(
        self,
        command: SecretStr,
        pattern: re.Pattern[str],
        *,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self._command = command
        self._pattern = pattern
        self._sleep = sleep
        self._since = 0

    def prepare(self) -> None:
        """Note the time, which the command gets. Errors are those of `CodeSource`."""
        self._since = int(time.time())

    def code(self, ends_at: float) -> OneTimeCode:
        """Return the code that the command prints."""
        failure = Cause.MESSAGE_LATE
        while True:
            printed = self._printed(max(ends_at - time.monotonic(), _SHORTEST_RUN_S))
            if printed.strip():
                found = code_in_text(printed.decode("utf-8", "replace"), self._pattern)
                if not isinstance(found, Cause):
                    return found
                failure = found
            left = ends_at - time.monotonic()
            if left <= 0:
                raise ProbeFailure(failure)
            self._sleep(min(_RUN_EVERY_S, left))

    def use(self) -> None:
        """Do nothing: the command decides about its messages."""

    def close(self) -> None:
        """Do nothing."""

    def _printed(self, limit_s: float) -> bytes:
        failure = ProbeFailure(Cause.MESSAGE_LATE)
        try:
            done = subprocess.run(  # noqa: S603 - the operator's own configuration names the command
                shlex.split(self._command.get_secret_value()),
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                stdin=subprocess.DEVNULL,
                check=False,
                timeout=limit_s,
                env={**os.environ, SINCE: str(self._since)},
            )
        except subprocess.TimeoutExpired:
            pass
        except (OSError, ValueError) as error:
            failure = ProbeFailure(Cause.CODE_COMMAND_FAILED, type(error).__name__)
        else:
            if not done.returncode:
                return done.stdout
            failure = ProbeFailure(Cause.CODE_COMMAND_FAILED, f"exit status {done.returncode}")
        raise failure
