"""A row of a campaign that is sent again after an attempt which may have been carried out."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, cast

import pytest

from gatepost_core.campaigns.model import Options
from gatepost_core.campaigns.row import Row
from gatepost_core.campaigns.wire_format import Record
from gatepost_core.kinds import Channel
from gatepost_core.reasons import Reason
from gatepost_core.states import State
from gatepost_worker.authentication.errors import ConnectFailed
from gatepost_worker.authentication.refusals import RateLimited, RecipientRejected
from gatepost_worker.bulk.sending import Sender, Sent
from gatepost_worker.delivery.policy import RetryLimits

if TYPE_CHECKING:
    from gatepost_worker.authentication import AuthenticationError
    from gatepost_worker.authentication.starts import Starts

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ROW = Row(1, Channel.EMAIL, "ana@example.com")
MAY_HAVE_BEEN_SENT = [
    Reason.ANSWER_LOST,
    Reason.SERVER_FAILED,
    Reason.PROVIDER_SILENT,
    Reason.WORKER_LOST,
    Reason.ANSWER_NOT_UNDERSTOOD,
    Reason.BACKUP_RESTORED,
]


def sent(failure: Exception, record: Record) -> Sent:
    """The result of a row's call that ended with an error."""
    sender = Sender(cast("Starts", None), Options(), RetryLimits(), clock=lambda: NOW)
    return sender.settle(0, ROW, 1, record, failure)


@pytest.mark.parametrize("doubt", MAY_HAVE_BEEN_SENT)
def test_a_row_that_may_have_been_sent_ends_unknown(doubt: Reason) -> None:
    """A refusal of the second attempt does not say that the first was not carried out; its reason stays."""
    ended = sent(RecipientRejected(), Record(0, doubt, attempts=1))

    assert (ended.settlement.state, ended.settlement.reason) == (State.UNKNOWN, doubt)
    assert ended.settlement.attempts == 2


@pytest.mark.parametrize("doubt", MAY_HAVE_BEEN_SENT)
def test_a_row_that_breaks_in_its_second_attempt_ends_unknown(doubt: Reason) -> None:
    """Its request had begun, so both attempts are in doubt."""
    ended = sent(RuntimeError(), Record(0, doubt, attempts=1))

    assert (ended.settlement.state, ended.settlement.attempts) == (State.UNKNOWN, 2)


@pytest.mark.parametrize("doubt", MAY_HAVE_BEEN_SENT)
@pytest.mark.parametrize(
    ("failure", "state"),
    [(ConnectFailed(), State.QUEUED), (RateLimited(retry_after_s=1), State.DEFERRED)],
    ids=["not reached", "too many requests"],
)
def test_a_row_that_has_to_wait_keeps_its_doubt(failure: AuthenticationError, state: State, doubt: Reason) -> None:
    """Cancelled or suppressed while it waits, it still ends as unknown."""
    ended = sent(failure, Record(0, doubt, attempts=1))

    assert (ended.settlement.state, ended.settlement.reason) == (state, doubt)


def test_a_row_that_surely_was_not_sent_ends_as_refused() -> None:
    """An attempt that never reached Auth0 leaves no doubt."""
    ended = sent(RecipientRejected(), Record(0, Reason.NOT_REACHED, attempts=1))

    assert (ended.settlement.state, ended.settlement.reason) == (State.REJECTED, Reason.RECIPIENT_REJECTED)
