"""Tell an operator who looks elsewhere that a campaign has ended or paused itself: a command, and the terminal's bell."""

import os
import shlex
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from typing import Annotated, Final

import typer

from gatepost_core.campaigns.model import Campaign
from gatepost_core.errors import FieldError, InvalidCommand
from gatepost_core.states import FAILED_STATES, State
from gatepost_operations.cli.exit_codes import ExitCode
from gatepost_operations.cli.output import say
from gatepost_operations.cli.terminal import can_draw

NotifyOption = Annotated[
    str | None,
    typer.Option(
        "--notify",
        metavar="COMMAND",
        help="Run this command when the campaign ends, or Gatepost pauses it. The command runs without a shell, and gets variables such as CAMPAIGN_OUTCOME.",
    ),
]
LONGEST_S: Final = 30.0
"""The seconds after which a notification command is stopped."""


class Notifier:
    """Runs a command with a campaign's outcome, and rings the terminal's bell. A failure is only reported.

    Args:
        command: the command line, split as a shell does; None for the bell alone.
        longest_s: the seconds after which the command is stopped.

    Raises:
        InvalidCommand: the command line is malformed, or there is no such program.
    """

    def __init__(self, command: str | None, *, longest_s: float = LONGEST_S) -> None:
        self._arguments = [] if command is None else _arguments(command)
        self._longest_s = longest_s

    def tell(self, campaign: Campaign, code: ExitCode) -> None:
        """Ring the bell on a terminal, run the command, and wait until it ends."""
        if can_draw(sys.stderr):
            sys.stderr.write("\a")
            sys.stderr.flush()
        if not self._arguments:
            return
        try:
            self._run(outcome_variables(campaign, code))
        except OSError as failure:
            say(f"gatepost: the notification command did not start: {failure.strerror}.")

    def _run(self, variables: dict[str, str]) -> None:
        process = subprocess.Popen(  # noqa: S603 - the operator's command, no shell
            self._arguments,
            env={**os.environ, **variables},
            stdin=subprocess.DEVNULL,
            # Standard output may carry JSON.
            stdout=sys.stderr.fileno(),
            start_new_session=True,
        )
        try:
            code = process.wait(self._longest_s)
        except subprocess.TimeoutExpired:
            say(f"gatepost: the notification command did not end within {self._longest_s:g} s; it was stopped.")
            _kill(process)
        except KeyboardInterrupt:
            _kill(process)
            raise
        else:
            if code:
                say(f"gatepost: the notification command ended with exit code {code}.")


def notifier_of(command: str | None, *, watch: bool) -> Notifier:
    """Return the notifier of a command that may watch. Errors are those of `Notifier`.

    Raises:
        InvalidCommand: a command is given, and the campaign is not watched.
    """
    if command is not None and not watch:
        raise InvalidCommand([FieldError("notify", "works only while the campaign is watched; add --watch")])
    return Notifier(command)


def outcome_variables(campaign: Campaign, code: ExitCode) -> dict[str, str]:
    """Return the environment variables that tell a command the outcome. They name no recipient."""
    counts = campaign.counts
    failed = sum(counts[state] for state in FAILED_STATES)
    numbers = f"{counts[State.ACCEPTED]:,} accepted, {failed:,} failed, {counts[State.UNKNOWN]:,} unknown"
    outcome = campaign.status.value
    return {
        "CAMPAIGN_ID": campaign.campaign_id,
        "CAMPAIGN_NAME": campaign.name,
        "CAMPAIGN_OUTCOME": outcome,
        "CAMPAIGN_REASON": campaign.pause.reason.value if campaign.pause else "",
        "CAMPAIGN_EXIT_CODE": str(int(code)),
        "CAMPAIGN_TOTAL": str(campaign.total),
        "CAMPAIGN_ACCEPTED": str(counts[State.ACCEPTED]),
        "CAMPAIGN_FAILED": str(failed),
        "CAMPAIGN_UNKNOWN": str(counts[State.UNKNOWN]),
        "CAMPAIGN_MESSAGE": f"{campaign.name}: {outcome}, {numbers} of {campaign.total:,}",
    }


def _arguments(command: str) -> list[str]:
    try:
        arguments = shlex.split(command)
    except ValueError as problem:
        raise InvalidCommand([FieldError("notify", f"cannot be read as a command: {problem}")]) from None
    if not arguments:
        raise InvalidCommand([FieldError("notify", "is empty; give a command")])
    if shutil.which(arguments[0]) is None:
        raise InvalidCommand([FieldError("notify", f"names no program on the PATH: {arguments[0]}")])
    return arguments


def _kill(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
