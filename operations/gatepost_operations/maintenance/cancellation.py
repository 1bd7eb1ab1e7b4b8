"""Cancelling a single operation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gatepost_core.errors import GatepostError

if TYPE_CHECKING:
    from gatepost.handles import Handle
    from gatepost_core.outcomes import Outcome

_UNDER_WAY: Final = "A request to Auth0 is under way, so the operation cannot be cancelled. Nothing was changed."


class NotCancelled(GatepostError):
    """The operation was not cancelled: a request to Auth0 is under way, or the operation has ended."""


def cancel_operation(handle: Handle) -> Outcome:
    """Cancel an operation that waits, and return its outcome. A cancelled operation stays as it is.

    Raises:
        OperationNotFound: there is no such operation.
        NotCancelled: a request to Auth0 is under way, or the operation has ended otherwise.
    """
    is_cancelled = handle.cancel()
    outcome = handle.outcome()
    if is_cancelled:
        return outcome
    state = outcome.state
    raise NotCancelled(f"The operation has ended: it is {state}." if state.is_terminal else _UNDER_WAY)
