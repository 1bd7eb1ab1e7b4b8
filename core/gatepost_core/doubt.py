"""The rule of doubt: after an attempt that may have been carried out, no later state may claim that nothing was sent.

The policy and the batches use it in Python, the ledger and the campaigns in Lua.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gatepost_core.states import State

if TYPE_CHECKING:
    from collections.abc import Callable

    from gatepost_core.reasons import Reason


def end_after(doubt: Reason | None, state: State, reason: Reason) -> tuple[State, Reason]:
    """Return the final state and its reason.

    Args:
        doubt: why an earlier attempt may have been carried out, if it may.
        state: the state by the last attempt or decision alone.
        reason: the reason of that state.
    """
    return (State.UNKNOWN, doubt) if doubt is not None and state.denies_sending else (state, reason)


def doubt_in(reason: Reason | None) -> Reason | None:
    """Return the reason if it means that an attempt may have been carried out."""
    return reason if reason is not None and reason.doubt else None


def kept_for_retry(doubt: Reason | None, reason: Reason) -> Reason:
    """Return the reason to keep for a recipient's next attempt: the newest doubt, if there is any."""
    return reason if doubt is None or reason.doubt else doubt


_LUA: Final = """\
local DENIES_SENDING = {{ {denying} }}
local function end_after(doubt, state, reason)
  if doubt and DENIES_SENDING[state] then return '{unknown}', doubt end
  return state, reason
end
"""


def rule_in_lua(spelled: Callable[[State], str]) -> str:
    """Return `end_after` for a script.

    Args:
        spelled: how the script writes a state.
    """
    denying = ", ".join(f"{spelled(state)} = true" for state in State if state.denies_sending)
    return _LUA.format(denying=denying, unknown=spelled(State.UNKNOWN))
