"""The exit codes, and which error or outcome gives which."""

from __future__ import annotations

from enum import IntEnum
from importlib import import_module
from typing import TYPE_CHECKING

from gatepost_core import errors
from gatepost_core.errors import failure_of_outcome
from gatepost_core.states import State

if TYPE_CHECKING:
    from gatepost_core.outcomes import Outcome


class ExitCode(IntEnum):
    """What the command's exit code says."""

    DONE = 0
    UNEXPECTED = 1
    USAGE = 2
    NOT_ACCEPTED = 3
    CONFIGURATION = 4
    REFUSED = 5
    INVALID = 6
    INTERRUPTED = 130


class Refused(errors.GatepostError):
    """A guard of the command line refused; nothing was done."""


def exit_code_of_error(error: BaseException) -> ExitCode:
    """Return the exit code that an error ends the command with."""
    match error:
        case errors.ClientMisconfigured() | errors.ConfigurationError() | errors.UnknownKey():
            return ExitCode.CONFIGURATION
        case errors.InvalidCommand():
            return ExitCode.INVALID
        case errors.IdempotencyConflict() | errors.RecordGone() | Refused():
            return ExitCode.REFUSED
        case errors.OperationFailed():
            return ExitCode.NOT_ACCEPTED
        case _:
            return _of_campaign_error(error)


def _of_campaign_error(error: BaseException) -> ExitCode:
    # Looked up when an error has come: importing what reads files would slow every start.
    if isinstance(error, import_module("gatepost_operations.files.text_reader").FileError):
        return ExitCode.INVALID
    if isinstance(error, import_module("gatepost_core.campaigns.model").CampaignConflict):
        return ExitCode.REFUSED
    return ExitCode.UNEXPECTED


def exit_code_of_outcome(outcome: Outcome) -> ExitCode:
    """Return 0 for an operation that is accepted or goes on, otherwise the code of the error that its reason stands for."""
    if outcome.state is State.ACCEPTED or not outcome.state.is_terminal:
        return ExitCode.DONE
    failure = failure_of_outcome(outcome)
    return ExitCode.NOT_ACCEPTED if failure is None else exit_code_of_error(failure)
