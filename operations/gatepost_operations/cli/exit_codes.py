"""The exit codes, and the exit code of each error and outcome."""

from __future__ import annotations

from enum import IntEnum
from importlib import import_module
from typing import TYPE_CHECKING

from gatepost_core import errors
from gatepost_core.states import State

if TYPE_CHECKING:
    from gatepost_core.outcomes import Outcome
    from gatepost_core.reasons import Reason


class ExitCode(IntEnum):
    """The exit codes of `gatepost`."""

    DONE = 0
    UNEXPECTED = 1
    USAGE = 2
    NOT_ACCEPTED = 3
    CONFIGURATION = 4
    REFUSED = 5
    INVALID = 6
    INTERRUPTED = 130


class Refused(errors.GatepostError):
    """A guard of the command line refused. Nothing was done."""


def exit_code_of_error(error: BaseException) -> ExitCode:
    """Return the exit code of a command that ends with this error."""
    match error:
        case errors.ClientMisconfigured() | errors.ConfigurationError() | errors.UnknownKey():
            return ExitCode.CONFIGURATION
        case errors.InvalidCommand():
            return ExitCode.INVALID
        case errors.IdempotencyConflict() | errors.RecordGone() | errors.CampaignConflict() | Refused():
            return ExitCode.REFUSED
        case errors.OperationFailed():
            return ExitCode.NOT_ACCEPTED
        case _:
            return _of_campaign_error(error)


def _of_campaign_error(error: BaseException) -> ExitCode:
    # Imported only after an error: the readers of files would slow every start.
    files = import_module("gatepost_operations.files.output")
    if isinstance(error, files.FileExistsAlready):
        return ExitCode.REFUSED
    if isinstance(error, files.FileError):
        return ExitCode.INVALID
    return ExitCode.UNEXPECTED


def exit_code_of_outcome(outcome: Outcome) -> ExitCode:
    """Return 0 for an operation that is open or accepted, otherwise the exit code of its error."""
    if outcome.state is State.ACCEPTED or not outcome.state.is_terminal:
        return ExitCode.DONE
    if outcome.reason is None:
        return ExitCode.NOT_ACCEPTED
    return exit_code_of_error(errors.failure_of(outcome.operation_id, outcome.reason, state=outcome.state))


def exit_code_of_reason(reason: Reason) -> ExitCode:
    """Return the exit code of an operation that ended for this reason."""
    return exit_code_of_error(errors.failure_of("", reason))
