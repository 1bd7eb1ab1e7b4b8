"""Decisions about a send of which an earlier attempt may have been carried out."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from gatepost_core.commands import OnUnknown
from gatepost_core.kinds import Kind
from gatepost_core.reasons import Reason
from gatepost_worker.authentication.errors import ConnectFailed
from gatepost_worker.authentication.refusals import RateLimited, RecipientRejected
from gatepost_worker.delivery.policy import Attempt, Deferred, RetryAt, RetryLimits, Unknown, decide

if TYPE_CHECKING:
    from gatepost_worker.authentication import AuthenticationError

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def attempt(number: int = 2, left: timedelta = timedelta(hours=1)) -> Attempt:
    return Attempt(Kind.SEND_EMAIL, number, NOW, NOW + left, OnUnknown.RESEND, doubt=Reason.ANSWER_LOST)


@pytest.mark.parametrize(
    ("failure", "known"),
    [
        (RecipientRejected("refused"), attempt()),
        (ConnectFailed("not reached"), attempt(number=5)),
        (RateLimited("wait", retry_after_s=60), attempt(left=timedelta(seconds=1))),
    ],
    ids=["rejected", "exhausted", "expired"],
)
def test_no_end_says_that_nothing_was_sent(failure: AuthenticationError, known: Attempt) -> None:
    """The outcome keeps the first attempt's reason."""
    assert decide(failure, known, RetryLimits()) == Unknown(Reason.ANSWER_LOST)


def test_what_goes_on_goes_on() -> None:
    """A doubt changes ends only."""
    assert isinstance(decide(ConnectFailed("not reached"), attempt(), RetryLimits()), RetryAt)
    assert isinstance(decide(RateLimited("wait", retry_after_s=1), attempt(), RetryLimits()), Deferred)
