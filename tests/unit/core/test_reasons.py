"""The entries of states and reasons, and the places that repeat them."""

from __future__ import annotations

import re

import pytest

from gatepost import errors
from gatepost_core.doubt import end_after, kept_for_retry
from gatepost_core.errors import OperationFailed, failure_of
from gatepost_core.reasons import Reason, Retry
from gatepost_core.states import FAILED_STATES, NOT_ACCEPTED, OPEN_STATES, Outlook, State
from support.checkout import CHECKOUT

DOCS = CHECKOUT / "docs"
PAGE = DOCS / "reference" / "failures.md"
FINAL_STATES = DOCS / "how-to" / "final-states.md"
STATE_ROW = re.compile(r"^\| `(\w+)` \| [^|]+ \| ([^|]+) \| [^|]+ \|$", re.MULTILINE)
ROW = re.compile(r"^\| `(\w+)` \| ([^|]+) \| `(\w+)` \| ([^|]*) \| ([^|]+) \|$", re.MULTILINE)
RETRIES = {
    "can succeed": Retry.CAN_SUCCEED,
    "needs a correction": Retry.NEEDS_CORRECTION,
    "cannot succeed": Retry.CANNOT_SUCCEED,
}
EFFECTS = {"": (False, False), "may have been carried out": (True, False), "pauses a campaign": (False, True)}


@pytest.mark.parametrize("reason", Reason)
def test_each_reason_names_a_public_error(reason: Reason) -> None:
    """A typo in an entry would break the first operation that ends so."""
    error = failure_of("0f8fad5b", reason, state=reason.states[0])

    assert isinstance(error, OperationFailed)
    assert reason.error in errors.__all__
    assert reason.advice in str(error)


def test_the_page_of_failures_has_each_reason_as_its_entry_says() -> None:
    """States, error, effect, and whether a retry can succeed."""
    found = {
        name: (tuple(re.findall(r"`(\w+)`", states)), error, *EFFECTS[effect.strip()], RETRIES[retry])
        for name, states, error, effect, retry in ROW.findall(PAGE.read_text(encoding="utf-8"))
    }

    assert found == {
        reason.value: (
            *(tuple(state.value for state in reason.states), reason.error),
            *(reason.doubt, reason.pauses, reason.retry),
        )
        for reason in Reason
    }


def test_the_advice_fits_whether_a_retry_can_succeed() -> None:
    """Advice for a reason that a retry cannot change never says to retry, ask again or send it again."""
    hopeless = {reason: reason.advice for reason in Reason if reason.retry is Retry.CANNOT_SUCCEED}
    said = {
        reason for reason, advice in hopeless.items() if re.search(r"\bretry|\bask again|\bsend (it )?again", advice)
    }

    assert "correct it, or leave it out" in hopeless[Reason.RECIPIENT_REJECTED]
    assert said == set()
    assert {reason for reason in Reason if reason.doubt and reason.retry is Retry.CANNOT_SUCCEED} == set()
    assert {reason for reason in Reason if reason.pauses} <= {
        reason for reason in Reason if reason.retry is Retry.NEEDS_CORRECTION
    }


def test_the_page_of_final_states_has_each_state_as_its_entry_says() -> None:
    """Whether a message was sent, the open states, the meaning of `failed`, and the states of exit code 3."""
    page = FINAL_STATES.read_text(encoding="utf-8")
    sent = {"yes": Outlook.ACCEPTED, "perhaps": Outlook.UNKNOWN}
    found = {state: sent.get(re.split(r"\W", said)[0]) for state, said in STATE_ROW.findall(page)}
    open_states, failed = (re.search(rf"{text}(.+)", page) for text in ("a recipient can also be ", "`failed` means "))
    exit_code_0 = re.search(r"- 0: all recipients are (.+)\.", page)

    assert found == {s.value: None if s.denies_sending else s.outlook for s in State if s.is_terminal}
    assert open_states is not None
    assert set(re.findall(r"`(\w+)`", open_states[1])) == set(OPEN_STATES)
    assert failed is not None
    assert set(re.findall(r"`(\w+)`", failed[1])) == set(FAILED_STATES)
    assert exit_code_0 is not None
    assert set(re.findall(r"`(\w+)`", exit_code_0[1])) == {s for s in State if s.is_terminal} - set(NOT_ACCEPTED)


@pytest.mark.parametrize("state", State)
def test_a_doubt_leaves_no_end_that_says_nothing_was_sent(state: State) -> None:
    """Every terminal state but `accepted` becomes `unknown`, with the reason of the doubt."""
    denies = state.is_terminal and state not in {State.ACCEPTED, State.UNKNOWN}
    ended = end_after(Reason.ANSWER_LOST, state, Reason.RECIPIENT_REJECTED)

    assert ended == ((State.UNKNOWN, Reason.ANSWER_LOST) if denies else (state, Reason.RECIPIENT_REJECTED))
    assert end_after(None, state, Reason.RECIPIENT_REJECTED) == (state, Reason.RECIPIENT_REJECTED)


def test_a_later_failure_that_is_sure_does_not_hide_a_doubt() -> None:
    """The record of a recipient who is tried again keeps the newest doubt."""
    assert kept_for_retry(None, Reason.NOT_REACHED) is Reason.NOT_REACHED
    assert kept_for_retry(Reason.ANSWER_LOST, Reason.NOT_REACHED) is Reason.ANSWER_LOST
    assert kept_for_retry(Reason.ANSWER_LOST, Reason.SERVER_FAILED) is Reason.SERVER_FAILED
