"""Who reads and writes Redis without a key links no person in one place to the same person in another."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from gatepost.errors import IdempotencyConflict
from gatepost_core.broker.publishing import build_app
from gatepost_core.reasons import Reason
from gatepost_core.sealing import Purpose
from gatepost_core.sealing.fingerprints import FINGERPRINT_BYTES
from gatepost_core.states import State
from gatepost_operations.maintenance.erasure import Erasure
from gatepost_worker import tasks
from gatepost_worker.process import Process
from gatepost_worker.submission import Submissions
from support.campaign_parts import Bench, assert_adds_up, email, rows
from support.keys import KEYS

if TYPE_CHECKING:
    from collections.abc import Iterator

    import redis

    from gatepost.producer import Producer
    from gatepost_core.settings import Settings

PERSON = email(7)
OTHER = email(8)


@pytest.fixture
def process(settings: Settings) -> Process:
    return Process(settings)


@pytest.fixture
def submissions(settings: Settings, process: Process) -> Iterator[Submissions]:
    app = build_app(settings)
    tasks.register(app, process)
    yield Submissions(app, process)
    app.close()


def plain(person: str, **fields: Any) -> dict[str, Any]:
    """A command in clear, as another system pushes it."""
    return {"kind": "send_email", "email": person, **fields}


def long_ago() -> str:
    return (datetime.now(UTC) - timedelta(hours=1)).isoformat()


def marks_by_place(client: redis.Redis) -> dict[str, set[bytes]]:
    """Every recipient's fingerprint in Redis, by the place that it is in."""
    places: dict[str, set[bytes]] = {}
    for key in client.scan_iter("gatepost:*"):
        name = key.decode()
        fields: Any = client.hgetall(key) if client.type(key) == b"hash" else {}
        if ":i:" in name:
            places.setdefault(name.partition(":i:")[0], set()).update(fields)
        elif name.startswith("gatepost:recipient:"):
            entries: Any = client.zrange(key, 0, -1)
            rests = [entry.decode().partition(":")[0] for entry in entries]
            places.setdefault(name, set()).update(bytes.fromhex(name.rpartition(":")[2][:2] + rest) for rest in rests)
        elif b"options" in fields:
            guests = json.loads(fields[b"options"])["guests"] or []
            places.setdefault(f"{name} guests", set()).update(map(bytes.fromhex, guests))
    return places


def test_no_place_has_the_fingerprint_of_another(
    producer: Producer, submissions: Submissions, redis_client: redis.Redis
) -> None:
    """One person in two campaigns, a suppression list, a producer's operation and submissions in time and too late."""
    campaigns = producer.campaigns
    first, second = (campaigns.create(name, guest_list=[PERSON]) for name in ("spring", "autumn"))
    for campaign_id in (first, second):
        campaigns.add(campaign_id, rows(10))
    campaigns.suppressions.add(PERSON)
    producer.send_email(PERSON)
    submissions.accept(str(uuid.uuid4()), plain(PERSON), None)
    submissions.accept(str(uuid.uuid4()), plain(PERSON, deadline=long_ago()), None)

    places = marks_by_place(redis_client)
    guests = {KEYS.campaign(one): places.pop(f"{KEYS.campaign(one)} guests") for one in (first, second)}
    marks = [mark for place in places.values() for mark in place]
    assert len(places) == 2 + 1 + 1 + 1
    assert len(set(marks)) == len(marks) == 2 * 10 + 3
    assert {len(mark) for mark in marks} == {FINGERPRINT_BYTES}
    # A guest list and the index of its campaign are one purpose: the index alone tells as much.
    assert all(found < places[name] for name, found in guests.items())


def test_a_submission_that_came_too_late_records_nothing_about_its_recipient(
    submissions: Submissions, process: Process, redis_client: redis.Redis
) -> None:
    """It ends as `expired` and is counted; two people's records differ in id and time alone."""
    kept = []
    for person in (PERSON, OTHER):
        key = f"key-{person}"
        operation_id = submissions.accept(str(uuid.uuid4()), plain(person, deadline=long_ago()), key)
        record: Any = redis_client.hgetall(KEYS.operation(operation_id))
        (name,) = redis_client.keys("gatepost:idempotency:*")
        kept.append((set(record), redis_client.hget(name, "fingerprint")))
        redis_client.delete(name)
        assert process.runner.run(operation_id).state is State.EXPIRED  # type: ignore[union-attr] # it has ended

    assert kept[0] == kept[1]
    assert b"command" not in kept[0][0]
    assert kept[0][1] == b""
    assert redis_client.keys("gatepost:recipient:*") == []
    assert {state: count for (_, state), count in process.ledger.counts().items()} == {State.EXPIRED: 2}


def test_a_submission_that_came_too_late_leaves_its_key_to_one_in_time(
    submissions: Submissions, process: Process, redis_client: redis.Redis
) -> None:
    """Repeated it is the same operation; the same command in time is another one, and has the key from then on."""
    late = [submissions.accept("1", plain(PERSON, deadline=long_ago()), "a key") for _ in range(2)]
    process.runner.run(late[0])
    in_time = [submissions.accept("2", plain(PERSON), "a key") for _ in range(2)]
    (key,) = redis_client.keys("gatepost:idempotency:*")

    assert len(set(late)) == len(set(in_time)) == 1
    assert late[0] != in_time[0]
    assert redis_client.pttl(key) == -1
    with pytest.raises(IdempotencyConflict):
        submissions.accept("3", plain(OTHER), "a key")


def test_an_idempotency_key_from_the_queue_opens_no_sealed_command(
    submissions: Submissions, producer: Producer, process: Process
) -> None:
    """The key of a sealed submission can be read on the queue; a guess at its command under that key is an operation apart."""
    sealed = process.keyring.seal(json.dumps(plain(PERSON)).encode(), Purpose.submission())
    operations = {
        submissions.accept("1", sealed, "visit-1842"),
        producer.send_email(PERSON, idempotency_key="visit-1842").operation_id,
        submissions.accept("2", plain(PERSON), "visit-1842"),
    }

    assert len(operations) == 3
    # A wrong guess is answered as a right one is.
    assert submissions.accept("3", plain(OTHER), "another") not in operations


def test_two_sealed_submissions_of_one_command_store_nothing_in_common(
    submissions: Submissions, process: Process, redis_client: redis.Redis
) -> None:
    """Without an idempotency key there is nothing to compare a command with."""
    for task_id in ("1", "2"):
        sealed = process.keyring.seal(json.dumps(plain(PERSON)).encode(), Purpose.submission())
        submissions.accept(task_id, sealed, None)

    names = redis_client.keys("gatepost:idempotency:*")
    assert len(names) == 2
    assert [redis_client.hget(name, "fingerprint") for name in names] == [b"", b""]


def test_an_erasure_finds_a_person_under_every_label(
    producer: Producer, submissions: Submissions, settings: Settings, redis_client: redis.Redis
) -> None:
    """Operations of producers and of both kinds of submissions, two campaigns and a guest list; the suppression list has one more."""
    campaigns = producer.campaigns
    for name in ("spring", "autumn"):
        campaigns.add(campaigns.create(name, guest_list=[PERSON, OTHER]), rows(10))
    producer.send_email(PERSON)
    sealed = settings.keyring().seal(json.dumps(plain(PERSON)).encode(), Purpose.submission())
    for command in (plain(PERSON), sealed):
        submissions.accept(str(uuid.uuid4()), command, None)
    with Erasure(settings) as erasure:
        done = erasure.erase(PERSON)

    assert (done.operations, done.rows, done.guest_lists, done.complete) == (3, 2, 2, True)
    assert redis_client.keys("gatepost:recipient:*") == []
    assert campaigns.suppressions.find(PERSON)


def test_what_was_asked_for_can_be_compared_only_with_the_key(producer: Producer, redis_client: redis.Redis) -> None:
    """The digest of two campaigns' equal options differs, so a dictionary of options finds nothing."""
    first, second = (producer.campaigns.create("spring") for _ in range(2))

    assert redis_client.hget(KEYS.campaign(first), "asked") != redis_client.hget(KEYS.campaign(second), "asked")


def test_a_batch_is_screened_against_guests_and_the_suppression_list(bench: Bench) -> None:
    """Each list has separate fingerprints, and a campaign with both reads both."""
    bench.campaigns.suppressions.add(PERSON)
    campaign_id = bench.start(rows(10), guest_list=[PERSON, OTHER])
    bench.work()

    campaign = bench.status(campaign_id)
    assert_adds_up(campaign)
    assert campaign.counts[State.ACCEPTED] == 1
    assert campaign.reasons[State.SUPPRESSED, Reason.ON_SUPPRESSION_LIST] == 1
    assert campaign.reasons[State.SUPPRESSED, Reason.NOT_ON_GUEST_LIST] == 8
