"""The exit code of each error and outcome."""

from __future__ import annotations

import pytest

from gatepost import errors
from gatepost_core.kinds import Kind
from gatepost_core.outcomes import Outcome
from gatepost_core.reasons import Reason
from gatepost_core.states import State
from gatepost_operations.cli.exit_codes import ExitCode, Refused, exit_code_of_error, exit_code_of_outcome
from gatepost_operations.cli.output import blames_options
from gatepost_operations.files.text_reader import FileError


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.ConfigurationError("wrong"), ExitCode.CONFIGURATION),
        (errors.UnknownKey("wrong"), ExitCode.CONFIGURATION),
        (errors.ClientMisconfigured("id", "client_rejected"), ExitCode.CONFIGURATION),
        (errors.InvalidCommand([("email", "is wrong")]), ExitCode.INVALID),
        (FileError("cannot be read"), ExitCode.INVALID),
        (errors.IdempotencyConflict(), ExitCode.REFUSED),
        (errors.RecordGone(), ExitCode.REFUSED),
        (errors.CampaignConflict("It is running."), ExitCode.REFUSED),
        (Refused("Nothing was done."), ExitCode.REFUSED),
        (errors.CodeExpired("id", "code_expired"), ExitCode.NOT_ACCEPTED),
        (errors.OutcomeUnknown("id", "answer_lost"), ExitCode.NOT_ACCEPTED),
        (errors.Unavailable(), ExitCode.UNEXPECTED),
        (errors.OperationNotFound(), ExitCode.UNEXPECTED),
        (errors.CampaignNotFound(), ExitCode.UNEXPECTED),
        (RuntimeError("surprise"), ExitCode.UNEXPECTED),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else None,
)
def test_an_error_gives_its_exit_code(error: BaseException, code: ExitCode) -> None:
    """The code tells a script what kind of failure it was."""
    assert exit_code_of_error(error) is code


@pytest.mark.parametrize(
    ("state", "reason", "code"),
    [
        (State.QUEUED, None, ExitCode.DONE),
        (State.IN_FLIGHT, None, ExitCode.DONE),
        (State.DEFERRED, None, ExitCode.DONE),
        (State.ACCEPTED, None, ExitCode.DONE),
        (State.REJECTED, Reason.RECIPIENT_REJECTED, ExitCode.NOT_ACCEPTED),
        (State.REJECTED, Reason.CLIENT_REJECTED, ExitCode.CONFIGURATION),
        (State.REJECTED, Reason.CONNECTION_MISCONFIGURED, ExitCode.CONFIGURATION),
        (State.EXPIRED, Reason.DEADLINE_PASSED, ExitCode.NOT_ACCEPTED),
        (State.EXHAUSTED, Reason.NOT_REACHED, ExitCode.NOT_ACCEPTED),
        (State.UNKNOWN, Reason.WORKER_LOST, ExitCode.NOT_ACCEPTED),
        (State.UNKNOWN, None, ExitCode.NOT_ACCEPTED),
    ],
)
def test_an_outcome_gives_its_exit_code(state: State, reason: Reason | None, code: ExitCode) -> None:
    """An open or accepted operation gives 0, any other end 3, or 4 when the configuration is the cause."""
    outcome = Outcome("id", Kind.SEND_EMAIL, state, reason)

    assert exit_code_of_outcome(outcome) is code


@pytest.mark.parametrize(
    ("fields", "words", "blamed"),
    [
        (["deadline"], ["--deadline", "soon"], True),
        (["start_at"], ["--start-at=soon"], True),
        (["email", "language"], ["ana", "--language", "?"], False),
        (["address"], ["ana"], False),
        (["guest-list"], ["--guest-list", "guests.csv"], False),
        (["to 2"], ["--to", "ana@example.com", "--to", "absent"], True),
        (["auth_params"], ["--auth-params", "@params.json"], False),
        (["auth_params"], ["--auth-params", "[1]"], True),
    ],
)
def test_a_wrong_value_of_an_option_is_wrong_usage(fields: list[str], words: list[str], *, blamed: bool) -> None:
    """An argument that is wrong too, or the content of a file, is invalid input."""
    error = errors.InvalidCommand([(field, "is wrong") for field in fields])

    assert blames_options(error, words) is blamed
