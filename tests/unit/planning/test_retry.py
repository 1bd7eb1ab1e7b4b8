"""The recipients that a retry selects, by the names that are given."""

from __future__ import annotations

import pytest

from gatepost_core.reasons import Reason, Retry
from gatepost_core.states import FAILED_STATES, RETRYABLE, State
from gatepost_operations.planning.retry import selection_of

ALL = [(state, reason) for state in State for reason in Reason]


def test_without_names_unknown_recipients_are_not_selected() -> None:
    """Only those who failed are, without those for whom a retry cannot succeed."""
    default = selection_of()
    chosen = {(state, reason) for state, reason in ALL if default.has(state, reason)}

    assert {state for state, _ in chosen} == set(FAILED_STATES)
    assert {reason for _, reason in chosen} == {one for one in Reason if one.retry is not Retry.CANNOT_SUCCEED}


@pytest.mark.parametrize("reason", [reason for reason in Reason if State.UNKNOWN in reason.states])
def test_unknown_recipients_are_selected_by_their_state_or_their_reason(reason: Reason) -> None:
    """Both ask for a second message."""
    by_state, by_reason = selection_of({State.UNKNOWN}), selection_of(reasons={reason})

    assert by_state.has(State.UNKNOWN, reason)
    assert by_reason.has(State.UNKNOWN, reason)
    assert by_state.states == {State.UNKNOWN}
    assert by_reason.states == RETRYABLE
