"""Cancelling a single operation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gatepost_core.errors import GatepostError
from gatepost_core.states import State

if TYPE_CHECKING:
    from gatepost.handles import Handle
    from gatepost_core.outcomes import Outcome

_UNDER_WAY: Final = "A request to Auth0 is under way, so the operation cannot be cancelled. Wait for its end."


class NotCancelled(GatepostError):
    """The operation was not cancelled: a request to Auth0 is under way, or the operation has ended."""


def cancel_operation(handle: Handle) -> Outcome:
    """Cancel an operation that waits, and return its outcome: `cancelled`, or `unknown` if an earlier request may have been carried out.

    An operation that is cancelled already stays as it is.

    Raises:
        OperationNotFound: there is no such operation.
        NotCancelled: a request to Auth0 is under way, or the operation has ended otherwise.
    """
    before = handle.outcome()
    if before.state.is_terminal:
        return _in_state(before, State.CANCELLED)
    handle.cancel()
    return _in_state(handle.outcome(), State.CANCELLED, State.UNKNOWN)


def _in_state(outcome: Outcome, *states: State) -> Outcome:
    if outcome.state in states:
        return outcome
    ended = outcome.state.is_terminal
    raise NotCancelled(f"The operation has ended: it is {outcome.state}." if ended else _UNDER_WAY)
