"""After an erasure nothing in Redis leads to the person but a fingerprint that keeps them from being written to again."""

from __future__ import annotations

import json
import threading
import uuid
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import SecretStr

from gatepost.campaigns.control import Campaigns
from gatepost.campaigns.suppression import SuppressionReason
from gatepost.errors import NothingToRedeem, Unavailable
from gatepost_core.audit_log import AuditLog
from gatepost_core.dead_letters import DeadLetters
from gatepost_core.outcomes import TokenSet
from gatepost_core.reasons import Reason
from gatepost_core.redis.keys import recipient_entry
from gatepost_core.sealing import Key, Keyring, Purpose
from gatepost_core.states import RETRYABLE, State
from gatepost_operations.maintenance.erasure import Erasure
from gatepost_operations.maintenance.key_rotation import Rotation
from support.campaign_parts import Bench, assert_adds_up, email, rows
from support.keys import KEYS
from support.ledger_calls import begin_attempt
from support.redeeming import sealed_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import redis

    from gatepost.producer import Producer
    from gatepost_core.settings import Settings
    from gatepost_simulator.server import SimulatorServer

PERSON = email(7)


@pytest.fixture
def erasure(settings: Settings) -> Iterator[Erasure]:
    with Erasure(settings) as opened:
        yield opened


def test_open_operations_are_cancelled_and_lead_nowhere(
    erasure: Erasure, producer: Producer, redis_client: redis.Redis, settings: Settings
) -> None:
    """The sealed command is deleted, and a waiting caller gets the outcome."""
    mine = [producer.send_email(PERSON), producer.login_with_email(PERSON, "123456")]
    other = producer.send_email(email(8))
    done = erasure.erase(f"  {PERSON.upper()} ")

    assert (done.operations, done.cancelled, done.in_flight, done.complete) == (2, 2, 0, True)
    assert [handle.outcome().state for handle in mine] == [State.CANCELLED] * 2
    assert other.outcome().state is State.QUEUED
    assert not any(redis_client.hexists(f"gatepost:operation:{one.operation_id}", "command") for one in mine)
    assert producer.ledger.operations_of(settings.fingerprints().operation(PERSON)) == []


def test_a_token_set_that_waits_is_deleted(erasure: Erasure, producer: Producer, redis_client: redis.Redis) -> None:
    """An id_token names its person."""
    handle = producer.login_with_email(PERSON, "123456")
    begin_attempt(producer.ledger, handle.operation_id, "attempt", 60)
    sealed = sealed_for(handle, TokenSet(access_token=SecretStr("a")))
    producer.ledger.settle(handle.operation_id, "attempt", State.ACCEPTED, sealed_result=sealed)
    looked, done = erasure.look(PERSON), erasure.erase(PERSON)

    assert (looked.results, done.results, done.cancelled) == (1, 1, 0)
    assert not redis_client.exists(KEYS.celery_result(handle.operation_id))
    assert handle.outcome().state is State.ACCEPTED
    with pytest.raises(NothingToRedeem, match="erasure"):
        handle.redeem(1)


def test_an_attempt_under_way_is_left_and_said(erasure: Erasure, producer: Producer) -> None:
    """Its bytes may be on the wire; the next run finds how it ended."""
    handle = producer.send_email(PERSON)
    begin_attempt(producer.ledger, handle.operation_id, "attempt", 60)
    first = erasure.erase(PERSON)
    producer.ledger.settle(handle.operation_id, "attempt", State.ACCEPTED)
    second = erasure.erase(PERSON)

    assert (first.in_flight, first.operations, first.complete) == (1, 0, False)
    assert (second.in_flight, second.operations, second.complete) == (0, 1, True)


def test_the_index_of_a_recipient_forgets_what_has_expired(
    producer: Producer, redis_client: redis.Redis, settings: Settings
) -> None:
    """One person who logs in every day for years has no list that grows for years."""
    fingerprint = settings.fingerprints().operation(PERSON)
    key = KEYS.recipients(fingerprint)
    producer.send_email(PERSON)
    redis_client.zadd(key, {"long ago": 1})
    # As after an hour, in which the index is not searched for old entries.
    redis_client.expire(key, settings.record_lifetime)
    newest = recipient_entry(fingerprint, producer.send_email(PERSON).operation_id)
    lives_s = redis_client.ttl(key)

    members: Any = redis_client.zrange(key, 0, -1)
    assert newest.encode() in members
    assert b"long ago" not in members
    assert 2 * settings.record_lifetime < lives_s <= 2 * settings.record_lifetime + 75 * 60


def test_people_whose_fingerprints_begin_alike_share_an_index_and_are_erased_one_by_one(
    erasure: Erasure, producer: Producer, settings: Settings
) -> None:
    """One index holds several people, so the erasure of one leaves the others."""
    fingerprints = settings.fingerprints()
    index = KEYS.recipients(fingerprints.operation(PERSON))
    others = (f"guest-{number}@example.com" for number in range(1_000_000))
    other = next(one for one in others if KEYS.recipients(fingerprints.operation(one)) == index)
    erased, kept = producer.send_email(PERSON), producer.send_email(other)

    done = erasure.erase(PERSON)

    assert done.operations == 1
    assert erased.state() is State.CANCELLED
    assert kept.state() is State.QUEUED
    assert producer.ledger.operations_of(fingerprints.operation(other)) == [kept.operation_id]


def test_rows_keep_their_state_and_lose_the_person(erasure: Erasure, bench: Bench) -> None:
    """The sums are the same; the export has everybody else."""
    campaign_id = bench.started(40)
    bench.work()
    before = bench.status(campaign_id)
    done = erasure.erase(PERSON)
    after = bench.status(campaign_id)
    exported = [one.row.recipient for one in bench.campaigns.export(campaign_id)]

    assert (done.rows, done.suppressed, done.campaigns, done.complete) == (1, 0, 1, True)
    assert after.counts == before.counts
    assert (after.total, after.erased, len(exported)) == (40, 1, 39)
    assert PERSON not in exported
    assert bench.campaigns.show(campaign_id, PERSON) is None
    assert bench.campaigns.show(campaign_id, email(8))


def test_an_open_row_is_suppressed_and_nothing_is_sent(
    erasure: Erasure, bench: Bench, simulator: SimulatorServer
) -> None:
    """In a campaign that has not begun, as in one that runs."""
    campaign_id = bench.started(40)
    done = erasure.erase(PERSON)
    bench.work()
    campaign = bench.status(campaign_id)

    assert (done.rows, done.suppressed) == (1, 1)
    assert campaign.status == "finished"
    assert campaign.counts[State.SUPPRESSED] == 1
    assert campaign.reasons == {(State.SUPPRESSED, Reason.ON_SUPPRESSION_LIST): 1}
    assert simulator.control.count(PERSON) == 0
    assert simulator.control.count(email(8)) == 1


def test_the_last_open_row_finishes_its_campaign(erasure: Erasure, bench: Bench) -> None:
    """A campaign whose only person is erased does not run for ever."""
    campaign_id = bench.start(rows(1, first=7))
    erasure.erase(PERSON)

    assert bench.status(campaign_id).status == "finished"


def test_an_erased_row_that_is_retried_is_suppressed_again(erasure: Erasure, bench: Bench) -> None:
    """Also when the person was taken off the suppression list since: the row no longer has its recipient."""
    campaign_id = bench.started(40)
    erasure.erase(PERSON)
    bench.work()
    bench.campaigns.suppressions.remove(PERSON)
    retried = bench.campaigns.retry(campaign_id, RETRYABLE)
    ended = bench.work()
    campaign = bench.status(campaign_id)

    assert (retried.matched, ended[State.ACCEPTED]) == (1, 0)
    assert (campaign.status, campaign.counts[State.SUPPRESSED]) == ("finished", 1)


def test_a_row_under_way_is_left_and_said(erasure: Erasure, bench: Bench, redis_client: redis.Redis) -> None:
    """As for operations."""
    campaign_id = bench.started(40)
    states = f"gatepost:campaign:{campaign_id}:batch:0"
    text = redis_client.hget(states, "states")
    assert isinstance(text, bytes)
    redis_client.hset(states, "states", text[:7] + b"f" + text[8:])
    first = erasure.erase(PERSON)
    redis_client.hset(states, "states", text)

    assert (first.in_flight, first.rows) == (1, 0)
    assert erasure.erase(PERSON).rows == 1


def test_rows_that_changed_since_they_were_read_are_not_replaced(
    campaigns: Campaigns, redis_client: redis.Redis, settings: Settings
) -> None:
    """A key rotation has sealed them anew meanwhile, and its work is kept."""
    campaign_id = campaigns.create("spring")
    campaigns.add(campaign_id, rows(10))
    fingerprint = settings.fingerprints().campaign(campaign_id, PERSON)
    key = f"gatepost:campaign:{campaign_id}:batch:0"
    stored = redis_client.hget(key, "rows")

    said = campaigns.store.forget(campaign_id, 0, 7, fingerprint=fingerprint, before="older", after="without")

    assert said == "changed"
    assert redis_client.hget(key, "rows") == stored
    assert campaigns.status(campaign_id).counts[State.QUEUED] == 10


def test_the_same_file_again_brings_the_person_back_suppressed(
    erasure: Erasure, bench: Bench, simulator: SimulatorServer
) -> None:
    """A new import has the address again, and it gets no message."""
    campaign_id = bench.started(40)
    bench.work()
    erasure.erase(PERSON)
    added = bench.campaigns.add(campaign_id, rows(40))
    bench.work()

    assert (added.added, added.duplicates) == (1, 39)
    assert bench.status(campaign_id).counts[State.SUPPRESSED] == 1
    assert simulator.control.count(PERSON) == 1


def test_a_guest_list_forgets_the_fingerprint(erasure: Erasure, campaigns: Campaigns) -> None:
    """It would tell who was invited to a rehearsal."""
    campaign_id = campaigns.create("rehearsal", guest_list=[PERSON, email(8)])
    done = erasure.erase(PERSON)
    guests = campaigns.status(campaign_id).options.guests

    assert done.guest_lists == 1
    assert guests is not None
    assert len(guests) == 1


def test_dead_letters_that_mention_the_person_are_dropped(
    erasure: Erasure, redis_client: redis.Redis, settings: Settings
) -> None:
    """In any form. Others stay, those without a stored body too, and those that do not open are counted."""
    letters = DeadLetters(redis_client, KEYS, settings.keyring())
    sealed = settings.keyring().seal(json.dumps({"email": PERSON}).encode(), Purpose.submission())
    for document in ({"raw": json.dumps({"to": PERSON})}, {"body": json.dumps([[], {"command": sealed}, {}])}):
        letters.add(document, reason="r", queue="gatepost.send")
    other = letters.add({"raw": email(8)}, reason="r", queue="gatepost.send")
    DeadLetters(redis_client, KEYS, Keyring([Key("lost", bytes(32))])).add(
        {"raw": PERSON}, reason="r", queue="gatepost.send"
    )
    letters.add({"headers": {"compression": "brotli"}, "body": PERSON}, reason="r", queue="gatepost.send")
    looked, done = erasure.look(PERSON), erasure.erase(PERSON)

    assert (looked.dead_letters, done.dead_letters, done.unreadable, done.complete) == (2, 2, 1, False)
    assert other in {letter.id for letter in letters.list()}
    assert len(letters) == 3


def test_looking_changes_nothing(
    erasure: Erasure, producer: Producer, campaigns: Campaigns, redis_client: redis.Redis
) -> None:
    """The numbers are those of the erasure."""
    producer.send_email(PERSON)
    campaign_id = campaigns.create("spring", guest_list=[PERSON])
    campaigns.add(campaign_id, rows(10))
    before = {key: redis_client.dump(key) for key in redis_client.keys("gatepost:*")}
    looked = erasure.look(PERSON)
    after = {key: redis_client.dump(key) for key in redis_client.keys("gatepost:*")}
    done = erasure.erase(PERSON)

    assert before == after
    assert looked.as_json() | {"suppressed": 1} == done.as_json()


def test_what_remains_is_one_fingerprint_and_numbers(
    erasure: Erasure, producer: Producer, campaigns: Campaigns, redis_client: redis.Redis, settings: Settings
) -> None:
    """No key, field or member has the address or its fingerprint, but for the suppression list."""
    producer.send_email(PERSON)
    campaign_id = campaigns.create("spring", guest_list=[PERSON])
    campaigns.add(campaign_id, rows(10))
    list(campaigns.export(campaign_id))
    done = erasure.erase(PERSON)
    fingerprints = settings.fingerprints()
    marks = [fingerprints.suppression(PERSON), fingerprints.campaign(campaign_id, PERSON)]
    marks += [bytes.fromhex(text) for text in (fingerprints.operation(PERSON), fingerprints.log(PERSON))]
    forms = [PERSON.encode(), *marks, *(mark.hex().encode() for mark in marks)]
    found = {
        key.decode()
        for key in redis_client.scan_iter("*")
        if any(form in key + (redis_client.dump(key) or b"") for form in forms)
    }
    acts = [
        entry for entry in AuditLog(redis_client, KEYS, settings.fingerprints()).entries() if "erase" in entry.action
    ]

    assert {key.rsplit(":", 1)[0] for key in found} == {"gatepost:suppression:i"}
    entry = campaigns.suppressions.find(PERSON)
    assert entry is not None
    assert entry.reason is SuppressionReason.ERASED
    assert done.exports == 1
    assert [act.action for act in acts] == ["person.erase", "person.erase.done"]
    assert acts[1].about["rows"] == 1


def test_an_erasure_and_a_rotation_at_once_lose_nothing(
    erasure: Erasure, campaigns: Campaigns, redis_client: redis.Redis, settings: Settings
) -> None:
    """Both replace the rows of a batch only if these have not changed since they were read."""
    campaign_id = campaigns.create("spring")
    campaigns.add(campaign_id, rows(600))
    fresh, old = Key("fresh", bytes(32)), Key("test", bytes(range(32)))
    turning = Rotation(
        redis_client,
        KEYS,
        Keyring([fresh, old]),
        AuditLog(redis_client, KEYS, settings.fingerprints()),
    )
    both = settings.model_copy(
        update={"sealing_keys": tuple(type(settings.redis_url)(key.reveal()) for key in (fresh, old))}
    )
    with Erasure(both) as erasing:
        rotate = threading.Thread(target=turning.run)
        rotate.start()
        done = [erasing.erase(email(number)) for number in range(0, 600, 30)]
        rotate.join()
    with Campaigns(both) as reading:
        left = {one.row.recipient for one in reading.export(campaign_id)}
        assert_adds_up(reading.status(campaign_id))

    assert [one.rows for one in done] == [1] * 20
    assert left == {email(number) for number in range(600) if number % 30}


def test_a_shell_erases_without_repeating_the_address(
    gatepost: Callable[..., Any], producer: Producer, campaigns: Campaigns
) -> None:
    """It asks first; without a terminal it needs --yes. Exit code 3 while an attempt is under way."""
    handle = producer.send_email(PERSON)
    campaign_id = campaigns.create("spring")
    campaigns.add(campaign_id, rows(10))
    list(campaigns.export(campaign_id))
    dry = gatepost("erase", PERSON, "--dry-run")
    refused = gatepost("erase", PERSON)
    assert handle.outcome().state is State.QUEUED
    begin_attempt(producer.ledger, handle.operation_id, "attempt", 60)
    partly = gatepost("erase", PERSON, "--yes", "--json")
    producer.ledger.settle(handle.operation_id, "attempt", State.ACCEPTED)
    done = gatepost("erase", PERSON, "--yes")
    invalid = gatepost("erase", "no-address", "--yes")

    assert dry.out == "would erase: 1 operation, 1 row of a campaign, 0 guest lists, 0 dead letters\n"
    assert "1 export of these campaigns recorded" in dry.err
    assert (dry.code, refused.code, partly.code, done.code, invalid.code) == (0, 5, 3, 0, 6)
    assert (partly.document["in_flight"], partly.document["complete"]) == (1, False)
    assert done.out.startswith("erased: 1 operation, 0 rows of campaigns")
    said = "".join(one.out + one.err for one in (dry, refused, partly, done, invalid))
    assert PERSON not in said
    assert "no-address" not in said


def test_an_erasure_that_breaks_off_has_put_the_person_on_the_list(
    erasure: Erasure, campaigns: Campaigns, redis_client: redis.Redis, settings: Settings
) -> None:
    """The list comes first, so that no campaign begins with them meanwhile."""
    index = KEYS.recipients(settings.fingerprints().operation(PERSON))
    redis_client.set(index, "damaged")

    with pytest.raises(Unavailable):
        erasure.erase(PERSON)

    entry = campaigns.suppressions.find(PERSON)
    assert entry is not None
    assert entry.reason is SuppressionReason.ERASED


def test_exports_of_campaigns_without_the_person_are_not_counted(erasure: Erasure, campaigns: Campaigns) -> None:
    """Only files that the person may be in are worth a search."""
    with_them, without = campaigns.create("with"), campaigns.create("without")
    campaigns.add(with_them, rows(10))
    campaigns.add(without, rows(5, first=20))
    for campaign_id in (with_them, without, without):
        list(campaigns.export(campaign_id))

    assert erasure.erase(PERSON).exports == 1


def test_an_unknown_person_is_put_on_the_list_all_the_same(erasure: Erasure, campaigns: Campaigns) -> None:
    """The next campaign does not write to an erased person either."""
    done = erasure.erase(f"{uuid.uuid4().hex}@example.com")

    assert not any(done.as_json().values())
    assert len(campaigns.suppressions) == 1


def test_a_commands_fingerprint_tells_nothing_without_its_idempotency_key(
    producer: Producer, redis_client: redis.Redis
) -> None:
    """It remains after the erasure; a holder of the fingerprint key who guesses the command must guess the idempotency key as well."""
    for key in ("first", "second"):
        producer.send_email(PERSON, idempotency_key=key)

    marks = {redis_client.hget(key, "fingerprint") for key in redis_client.keys("gatepost:idempotency:*")}
    assert len(marks) == 2
