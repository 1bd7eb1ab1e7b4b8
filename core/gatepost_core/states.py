"""The states of an operation or a recipient. Python, the Lua scripts and the command line read these entries."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import TYPE_CHECKING, Any, Final, Self

if TYPE_CHECKING:
    from collections.abc import Callable


class Outlook(Enum):
    """The meaning of a state for the message or login.

    Attributes:
        WAITING: open, and no attempt is under way.
        CALLING: open, and an attempt is under way.
        ACCEPTED: Auth0 accepted the request.
        REFUSED: final; Auth0 refused the request, or no attempt succeeded.
        NOT_WANTED: final; Gatepost sent nothing because of a list or a cancellation.
        UNKNOWN: final; the request may have been carried out.
    """

    WAITING = "waiting"
    CALLING = "calling"
    ACCEPTED = "accepted"
    REFUSED = "refused"
    NOT_WANTED = "not_wanted"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Entry:
    """One state.

    Attributes:
        name: its name in Redis, JSON and logs.
        char: its byte in a campaign's batch. Stored: a letter is never reused for another state.
        outlook: its meaning for the message or login.
        counts_as_failure: whether it counts in the share of failures that pauses a campaign.
    """

    name: str
    char: str
    outlook: Outlook
    counts_as_failure: bool = False


class State(StrEnum):
    """The state of an operation or a recipient. Each one ends in exactly one terminal state."""

    char: str
    outlook: Outlook
    counts_as_failure: bool

    def __new__(cls, entry: Any) -> Self:
        """Make a member of its entry."""
        state = str.__new__(cls, entry.name)
        state._value_ = entry.name
        state.char, state.outlook, state.counts_as_failure = entry.char, entry.outlook, entry.counts_as_failure
        return state

    QUEUED = Entry("queued", "q", Outlook.WAITING)
    IN_FLIGHT = Entry("in_flight", "f", Outlook.CALLING)
    DEFERRED = Entry("deferred", "d", Outlook.WAITING)
    ACCEPTED = Entry("accepted", "a", Outlook.ACCEPTED)
    REJECTED = Entry("rejected", "r", Outlook.REFUSED, counts_as_failure=True)
    EXHAUSTED = Entry("exhausted", "x", Outlook.REFUSED, counts_as_failure=True)
    EXPIRED = Entry("expired", "e", Outlook.REFUSED)
    SUPPRESSED = Entry("suppressed", "s", Outlook.NOT_WANTED)
    CANCELLED = Entry("cancelled", "c", Outlook.NOT_WANTED)
    UNKNOWN = Entry("unknown", "u", Outlook.UNKNOWN, counts_as_failure=True)

    @property
    def is_terminal(self) -> bool:
        """Whether the state is final."""
        return self.outlook not in {Outlook.WAITING, Outlook.CALLING}

    @property
    def denies_sending(self) -> bool:
        """Whether the state claims that the message did not leave or the login was not made. See `gatepost_core.doubt`."""
        return self.outlook in {Outlook.REFUSED, Outlook.NOT_WANTED}

    @property
    def is_retryable(self) -> bool:
        """Whether a campaign's `retry` accepts recipients in this state. Not `accepted`: a second message voids the first code."""
        return self.is_terminal and self is not State.ACCEPTED


OPEN_STATES: Final = tuple(state for state in State if not state.is_terminal)
RETRYABLE: Final = frozenset(state for state in State if state.is_retryable)
"""The states that a campaign's `retry` accepts."""
FAILED_STATES: Final = tuple(state for state in State if state.outlook is Outlook.REFUSED)
"""The states that the command line calls `failed`: a message was wanted, and none was accepted."""
NOT_ACCEPTED: Final = tuple(state for state in State if state.is_retryable and state is not State.SUPPRESSED)
"""The final states of a recipient or login for which a message or token set was wanted and may be missing."""


def states_in_lua(spelled: Callable[[State], str]) -> str:
    """Return a Lua constant for each state, such as `QUEUED`: scripts name a state only by its constant.

    Args:
        spelled: how the script writes a state.
    """
    values = ", ".join(f"'{spelled(state)}'" for state in State)
    return f"local {', '.join(state.name for state in State)} = {values}\n"
