"""`gatepost recover`: open work in a restored backup becomes unknown, once, before workers start."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from gatepost import Producer, State
from gatepost.errors import OutcomeUnknown
from gatepost_core.audit_log import AuditLog
from gatepost_core.campaigns.model import Options, PauseReason, Status
from gatepost_core.campaigns.wire_format import Record
from gatepost_core.dead_letters import DeadLetters
from gatepost_core.reasons import Reason
from gatepost_core.redis.connections import connect
from gatepost_operations.maintenance.queue_drain import REASON
from gatepost_operations.maintenance.recovery import Recovery
from support import foreign_client
from support.campaign_parts import assert_adds_up, email, rows
from support.keys import KEYS
from support.ledger_calls import begin_attempt

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import redis

    from gatepost.campaigns.control import Campaigns
    from gatepost_core.settings import Settings

# Celery's own, where it stores a result.
pytestmark = pytest.mark.filterwarnings("ignore:Call to deprecated setex:DeprecationWarning")
UNKNOWN = (State.UNKNOWN, Reason.BACKUP_RESTORED)


@pytest.fixture
def recovery(settings: Settings) -> Iterator[Recovery]:
    with Recovery(settings) as ready:
        yield ready


def an_hour_ago() -> datetime:
    return datetime.now(UTC) - timedelta(hours=1)


def made(campaigns: Campaigns, people: int = 300, **options: Any) -> str:
    campaign_id = campaigns.create("spring", Options(**options))
    campaigns.add(campaign_id, rows(people))
    return campaign_id


def test_open_recipients_of_running_paused_and_drafted_campaigns_are_unknown(
    campaigns: Campaigns, recovery: Recovery
) -> None:
    """A draft may have been started after the backup, and a paused campaign resumed; each is paused, and its counts add up."""
    running, paused, draft = (made(campaigns) for _ in range(3))
    campaigns.start(running)
    campaigns.start(paused)
    campaigns.pause(paused)

    done = recovery.run(an_hour_ago())
    after = [campaigns.status(one) for one in (running, paused, draft)]

    assert (done.campaigns, done.recipients) == (3, 900)
    for campaign in after:
        assert campaign.status is Status.PAUSED
        assert campaign.pause is not None
        assert campaign.pause.reason is PauseReason.BACKUP_RESTORED
        assert campaign.reasons == {UNKNOWN: 300}
        assert_adds_up(campaign)


def test_the_sweep_leaves_a_restored_campaign_to_its_operator(campaigns: Campaigns, recovery: Recovery) -> None:
    """It has no open recipient, but it is not finished before the operator has decided about the unknown ones."""
    campaign_id = made(campaigns, 3)
    campaigns.start(campaign_id)
    recovery.run(an_hour_ago())

    campaigns.store.sweep(campaign_id)
    left = campaigns.status(campaign_id).status
    campaigns.resume(campaign_id)

    assert left is Status.PAUSED
    assert campaigns.status(campaign_id).status is Status.FINISHED


def test_rows_with_and_without_records_keep_what_is_known_of_them(
    campaigns: Campaigns, recovery: Recovery, redis_client: redis.Redis
) -> None:
    """Ended rows are unchanged; an earlier doubt keeps its reason, and earlier attempts are still counted."""
    campaign_id = made(campaigns, 6)
    campaigns.start(campaign_id)
    records = [
        Record(1, Reason.NOT_REACHED, attempts=2),
        Record(2, Reason.ANSWER_LOST, attempts=1),
        Record(4, Reason.RECIPIENT_REJECTED, 400, 1),
    ]
    packed = b"".join(record.pack() for record in records)
    redis_client.hset(KEYS.batch(campaign_id, 0), mapping={"states": b"fqdqra", "details": packed})
    counts = {"queued": 2, "in_flight": 1, "deferred": 1, "rejected": 1, "accepted": 1, "reason:rejected:1": 1}
    redis_client.hset(KEYS.campaign(campaign_id), mapping=counts)

    recovery.run(an_hour_ago())
    campaign = campaigns.status(campaign_id)
    told = {one.row.recipient: (one.state, one.reason, one.attempts) for one in campaigns.export(campaign_id)}

    assert_adds_up(campaign)
    assert campaign.counts[State.UNKNOWN] == 4
    assert told[email(0)] == (*UNKNOWN, 0)
    assert told[email(1)] == (*UNKNOWN, 2)
    assert told[email(2)] == (State.UNKNOWN, Reason.ANSWER_LOST, 1)
    assert told[email(4)] == (State.REJECTED, Reason.RECIPIENT_REJECTED, 1)
    assert told[email(5)][0] is State.ACCEPTED


def test_recipients_that_are_retried_afterwards_stay_in_doubt(campaigns: Campaigns, recovery: Recovery) -> None:
    """Whatever comes of them but a success is `unknown`: no state may say that nothing was sent."""
    campaign_id = made(campaigns, 3)
    campaigns.start(campaign_id)
    recovery.run(an_hour_ago())

    retried = campaigns.retry(campaign_id, {State.UNKNOWN}, {Reason.BACKUP_RESTORED})
    campaigns.resume(campaign_id)
    campaigns.cancel(campaign_id)
    campaign = campaigns.status(campaign_id)

    assert retried.by_state == {State.UNKNOWN: 3}
    assert campaign.status is Status.CANCELLED
    assert campaign.counts[State.UNKNOWN] == 3
    assert_adds_up(campaign)


def test_what_surely_was_not_sent_stays_queued(campaigns: Campaigns, recovery: Recovery) -> None:
    """Before a `start_at` that is still ahead nothing leaves; and the operator may know it of others."""
    ahead = made(campaigns, start_at=datetime.now(UTC) + timedelta(days=1))
    campaigns.start(ahead)
    known, draft = made(campaigns), made(campaigns)
    campaigns.start(known)

    done = recovery.run(an_hour_ago(), [known, draft])

    assert (done.campaigns, done.kept, done.recipients) == (2, 3, 0)
    assert campaigns.status(ahead).counts[State.QUEUED] == 300
    assert campaigns.status(known).counts[State.QUEUED] == 300
    assert [campaigns.status(one).status for one in (ahead, known, draft)] == [
        Status.PAUSED,
        Status.PAUSED,
        Status.DRAFT,
    ]


def test_open_operations_are_unknown_and_their_callers_are_told(
    producer: Producer, recovery: Recovery, redis_client: redis.Redis
) -> None:
    """Sends and logins that are queued, deferred or under way are unknown; ended ones are unchanged."""
    queued, deferred, in_flight, ended = (producer.send_email(email(number)) for number in range(4))
    login = producer.login_with_email(email(5), "123456")
    producer.ledger.postpone(deferred.operation_id, 60, free=True)
    begin_attempt(producer.ledger, in_flight.operation_id, "attempt", 60)
    producer.ledger.close(ended.operation_id, State.CANCELLED, Reason.CANCELLED_BY_CALLER)

    done = recovery.run(an_hour_ago())

    assert done.operations == 4
    for handle in (queued, deferred, in_flight, login):
        outcome = handle.outcome()
        assert (outcome.state, outcome.reason) == UNKNOWN
        with pytest.raises(OutcomeUnknown):
            producer.app.AsyncResult(handle.operation_id).get(timeout=120)
    assert ended.outcome().state is State.CANCELLED
    assert redis_client.zcard("gatepost:operations:due") == 0
    assert sum(producer.ledger.counts().values()) == 5


def test_an_operation_that_cannot_be_read_is_named_and_hinders_no_other(
    producer: Producer, recovery: Recovery, redis_client: redis.Redis
) -> None:
    """The operator deletes it before workers start."""
    corrupt, good = (producer.send_email(email(number)).operation_id for number in range(2))
    redis_client.hset(KEYS.operation(corrupt), "lifetime", "no number")

    done = recovery.run(an_hour_ago())

    assert done.unreadable == [corrupt]
    assert producer.handle(good).outcome().state is State.UNKNOWN


def test_submissions_on_the_queue_become_dead_letters(
    producer: Producer, recovery: Recovery, settings: Settings, redis_client: redis.Redis
) -> None:
    """The ledger of the backup does not know them, although they may have been carried out; other messages are dropped."""
    producer.send_email(email(1))
    command = {"kind": "send_email", "email": email(2)}
    foreign_client.push(redis_client, {"command": command})
    held = json.dumps([json.loads(redis_client.lindex("gatepost.send", 0)), "", "gatepost.send"])
    redis_client.hset("unacked", mapping={"tag": held, "other": json.dumps([{"headers": {"task": "theirs"}}, "", "x"])})
    redis_client.zadd("unacked_index", {"tag": 1, "other": 1})

    looked = recovery.look(an_hour_ago())
    done = recovery.run(an_hour_ago())
    with connect(settings) as client:
        letters = DeadLetters(client, KEYS, settings.keyring(), lifetime_s=settings.dead_letter_lifetime)
        kept = [(letter.reason, letter.queue, json.loads(letters.open(letter)["body"])[1]) for letter in letters.list()]

    assert (looked.submissions, done.submissions) == (2, 2)
    assert kept == [(REASON, "gatepost.send", {"command": command})] * 2
    assert redis_client.llen("gatepost.send") == 0
    assert redis_client.hkeys("unacked") == [b"other"]


def test_a_recovery_comes_once_and_is_in_the_audit_log(
    producer: Producer, recovery: Recovery, settings: Settings, redis_client: redis.Redis
) -> None:
    """Later operations are unchanged, also when the moment is given as a time ago."""
    producer.send_email(email(1))
    first = recovery.run(an_hour_ago())
    later = producer.send_email(email(2))

    again = recovery.run(an_hour_ago())
    looked = recovery.look(an_hour_ago())

    assert first.operations == 1
    assert (again.already, again.operations, looked.already) == (True, 0, True)
    assert later.outcome().state is State.QUEUED
    entries = list(AuditLog(redis_client, KEYS, settings.fingerprints()).entries())
    assert [entry.action for entry in entries] == ["recover", "recover.done"]
    assert entries[1].about["operations"] == 1


def test_looking_changes_nothing(campaigns: Campaigns, producer: Producer, recovery: Recovery) -> None:
    """And counts the same."""
    campaign_id = made(campaigns)
    campaigns.start(campaign_id)
    handle = producer.send_email(email(1))

    looked = recovery.look(an_hour_ago())
    before = (campaigns.status(campaign_id).status, handle.outcome().state)
    done = recovery.run(an_hour_ago())

    assert before == (Status.RUNNING, State.QUEUED)
    assert looked == done


def test_the_command_asks_counts_and_refuses_what_is_not_past(producer: Producer, gatepost: Callable[..., Any]) -> None:
    """Nothing is done unasked."""
    handle = producer.send_email(email(1))
    unasked = gatepost("recover", "--backup-of", "8h", "--json")
    future = gatepost("recover", "--backup-of", "2999-01-01T00:00+00:00", "--json")
    counted = gatepost("recover", "--backup-of", "8h", "--dry-run", "--json")
    open_still = handle.outcome().state
    done = gatepost("recover", "--backup-of", "8h", "--yes")
    again = gatepost("recover", "--backup-of", "8h", "--yes", "--json")

    assert (unasked.code, future.code, counted.code, done.code, again.code) == (5, 2, 0, 0, 0)
    assert (counted.document["operations"], counted.document["dry_run"]) == (1, True)
    assert open_still is State.QUEUED
    assert "1 operation unknown" in done.out
    assert again.document["already"]
