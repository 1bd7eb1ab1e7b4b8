"""Values that a newer version wrote: this version refuses them, says so and changes nothing; `doctor` counts them."""

from __future__ import annotations

import json
import re
import struct
import uuid
import zlib
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from gatepost.errors import NewerForm
from gatepost_core.audit_log import AuditLog, AuditUnreadable
from gatepost_core.blocks import BlockKind
from gatepost_core.campaigns.batch import rows_form
from gatepost_core.kinds import Endpoint, Lane
from gatepost_core.ledger.values import Verdict
from gatepost_core.sealing import Purpose
from gatepost_core.settings.tenants import Application
from gatepost_core.states import State
from gatepost_core.stored_forms import FORMS, LIMITER_FORM
from gatepost_core.webhooks.endpoints import Endpoints, new_secret
from gatepost_core.webhooks.events import SUBSCRIBABLE
from gatepost_operations.cli.doctor.checks import Status, judge_forms
from gatepost_operations.maintenance.form_census import MOST_KEYS, MOST_OF_A_KIND, FormCensus
from gatepost_worker.authentication.rate_limits import RateLimits
from gatepost_worker.limiter import LimiterKey, Reading, RedisLimiter, Wait, WaitReason
from gatepost_worker.process import Process
from support.campaign_parts import email, rows
from support.keys import KEYS
from support.ledger_calls import begin_attempt

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import redis

    from gatepost import Producer
    from gatepost_core.dead_letters import DeadLetters
    from gatepost_core.ledger import Ledger
    from gatepost_core.settings import Settings
    from support.campaign_parts import Bench

PERSON = "guest@example.com"
KEY = LimiterKey("default", Endpoint.START)


@pytest.fixture
def worker(settings: Settings) -> Iterator[Process]:
    """A worker process of this version."""
    with closing(Process(settings)) as process:
        yield process


def everything(client: redis.Redis, pattern: str) -> dict[bytes, Any]:
    """The raw values under some keys."""
    return {key: client.dump(key) for key in client.scan_iter(pattern)}


@pytest.fixture
def operation(producer: Producer, redis_client: redis.Redis) -> str:
    """The id of an operation in a newer form."""
    found = producer.login_with_email(PERSON, "123456").operation_id
    redis_client.hset(KEYS.operation(found), "form", 2)
    return found


@pytest.mark.parametrize(
    "call",
    [
        lambda ledger, one: ledger.ready(one),
        lambda ledger, one: begin_attempt(ledger, one, "attempt", lease_s=1),
        lambda ledger, one: ledger.outcome(one),
        lambda ledger, one: ledger.redeem(one, "digest"),
        lambda ledger, one: ledger.forget(one, "0123456789abcdef"),
        lambda ledger, one: ledger.close(one, State.CANCELLED, "cancelled_by_caller"),
        lambda ledger, one: ledger.recover(one),
        lambda ledger, one: ledger.adopt(one, Application("a", "b"), Application("a", "c")),
    ],
)
def test_no_call_changes_an_operation_of_a_newer_version(
    call: Callable[[Ledger, str], Any], operation: str, ledger: Ledger, redis_client: redis.Redis
) -> None:
    """Its fields may mean something else there."""
    before = redis_client.hgetall(KEYS.operation(operation))
    with pytest.raises(NewerForm):
        call(ledger, operation)

    assert redis_client.hgetall(KEYS.operation(operation)) == before


def test_a_worker_returns_the_message_of_a_newer_operation(operation: str, worker: Process) -> None:
    """`NewerForm` counts as an outage, after which the message goes back to its queue."""
    with pytest.raises(NewerForm):
        worker.runner.run(operation)


def test_the_reconciler_passes_over_a_newer_operation(
    operation: str, producer: Producer, ledger: Ledger, redis_client: redis.Redis
) -> None:
    """It looks at it again later, and at all others now."""
    other = producer.send_email(PERSON).operation_id
    redis_client.hset(KEYS.operation(other), "deadline", 1)
    before = redis_client.hgetall(KEYS.operation(operation))
    answers = ledger.sweep([operation, other], drained=[], since_ms=ledger.now_ms())

    assert {one: answer.verdict for one, answer in answers.items()} == {
        operation: Verdict.CORRUPT,
        other: Verdict.FINISHED,
    }
    assert redis_client.hgetall(KEYS.operation(operation)) == before


def test_a_command_of_a_newer_version_is_put_back_and_shown_as_blocked(
    producer: Producer, worker: Process, redis_client: redis.Redis
) -> None:
    """Another worker may know its form."""
    handle = producer.send_email(PERSON)
    key, purpose = KEYS.operation(handle.operation_id), Purpose.command(handle.operation_id)
    command = json.loads(worker.keyring.open(redis_client.hget(key, "command").decode(), purpose))
    newer = worker.keyring.seal(json.dumps({**command, "form": 2, "colour": "red"}).encode(), purpose)
    redis_client.hset(key, "command", newer)
    worker.runner.run(handle.operation_id)
    outcome = handle.outcome()

    assert outcome.state is State.DEFERRED
    assert outcome.blocked is not None
    assert outcome.blocked.kind is BlockKind.NEWER_FORM
    assert "Upgrade" in outcome.blocked.sentence("")


def test_an_idempotency_key_of_a_newer_version_records_nothing(producer: Producer, redis_client: redis.Redis) -> None:
    """Otherwise the same command could be carried out twice."""
    producer.send_email(PERSON, idempotency_key="invite-1")
    (key,) = redis_client.keys(KEYS.idempotency("*"))
    redis_client.hset(key, "form", 2)
    with pytest.raises(NewerForm):
        producer.send_email(PERSON, idempotency_key="invite-1")

    assert len(redis_client.keys(KEYS.operation("?" * 36))) == 1


@pytest.mark.parametrize(
    "call",
    [
        lambda bench, one: bench.campaigns.status(one),
        lambda bench, one: bench.campaigns.pause(one),
        lambda bench, one: bench.campaigns.cancel(one),
        lambda bench, one: bench.campaigns.add(one, rows(3)),
        lambda bench, one: bench.runner.run(one, 0),
        lambda bench, one: bench.campaigns.store.feed(one),
    ],
)
def test_no_call_changes_a_campaign_of_a_newer_version(
    call: Callable[[Bench, str], Any], bench: Bench, redis_client: redis.Redis
) -> None:
    """Neither an operator, a worker nor the sweep."""
    campaign = bench.started(5)
    redis_client.hset(KEYS.campaign(campaign), "form", 2)
    before = everything(redis_client, f"{KEYS.campaign(campaign)}*")
    with pytest.raises(NewerForm):
        call(bench, campaign)

    assert everything(redis_client, f"{KEYS.campaign(campaign)}*") == before


def test_a_campaign_with_an_option_of_a_newer_version_waits(bench: Bench, redis_client: redis.Redis) -> None:
    """An option that a worker ignores could be the one that matters."""
    campaign = bench.started(5)
    options = json.loads(redis_client.hget(KEYS.campaign(campaign), "options"))
    redis_client.hset(KEYS.campaign(campaign), "options", json.dumps({**options, "tone": "formal"}))

    assert bench.runner.run(campaign, 0) is None
    assert b"newer_form" in redis_client.hget(KEYS.blocked(campaign), "0")
    with pytest.raises(NewerForm):
        bench.campaigns.status(campaign)


def test_rows_of_a_newer_version_wait(bench: Bench, redis_client: redis.Redis) -> None:
    """The batch is shown as blocked, and the campaign keeps its sums."""
    campaign = bench.started(5)
    ring, key = bench.settings.keyring(), KEYS.batch(campaign, 0)
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = packer.compress(json.dumps([2, "e", [email(1)]]).encode()) + packer.flush()
    redis_client.hset(key, "rows", ring.seal(packed, Purpose.rows(campaign, 0)))

    assert rows_form(packed) == 2
    assert bench.runner.run(campaign, 0) is None
    assert [block.kind for block in bench.status(campaign).blocks] == [BlockKind.NEWER_FORM]


def test_nothing_is_sent_while_the_suppression_list_has_a_newer_form(bench: Bench, redis_client: redis.Redis) -> None:
    """A person on it could get a message."""
    redis_client.hset(KEYS.suppression, mapping={"index_form": 2, "index_size": 1})
    campaign = bench.started(5)
    with pytest.raises(NewerForm):
        bench.runner.run(campaign, 0)

    assert bench.status(campaign).counts[State.QUEUED] == 5


def test_a_dead_letter_of_a_newer_version_is_listed_and_not_opened(worker: Process, redis_client: redis.Redis) -> None:
    """It stays for the version that wrote it."""
    letters: DeadLetters = worker.dead_letters
    letter = letters.add({"raw": "{}"}, reason="a reason", queue="gatepost.send")
    redis_client.hset(KEYS.dead_letter(letter), "form", 2)

    assert [one.id for one in letters.list()] == [letter]
    with pytest.raises(NewerForm):
        letters.open(letters.find(letter))


def test_an_audit_entry_of_a_newer_version_is_named(settings: Settings, redis_client: redis.Redis) -> None:
    """It is not reported as a forgery; acts are still recorded."""
    log = AuditLog(redis_client, KEYS, settings.fingerprints())
    log.record("campaign.start")
    entry = json.loads(redis_client.lindex(KEYS.audit, 0))
    redis_client.rpush(KEYS.audit, json.dumps({**entry, "form": 2}))
    with pytest.raises(AuditUnreadable, match="newer version"):
        list(log.entries())

    assert log.record("campaign.pause").number == 2


def test_work_waits_while_a_tenant_is_registered_in_a_newer_form(worker: Process, redis_client: redis.Redis) -> None:
    """Its application cannot be compared."""
    redis_client.hset(KEYS.tenants, "default", json.dumps({"form": 2}))
    with pytest.raises(NewerForm):
        worker.ownership.require("default", "")

    assert redis_client.hget(KEYS.tenants, "default") == b'{"form": 2}'


def test_the_limiter_gives_no_permit_on_the_state_of_a_newer_version(redis_client: redis.Redis) -> None:
    """Two versions that overwrite each other's estimate would exceed the quota."""
    limiter, key = RedisLimiter(redis_client, KEYS), KEYS.limiter("default", Endpoint.START)
    limiter.acquire(KEY, Lane.BULK)
    own = redis_client.get(key)
    newer = struct.pack("<d", LIMITER_FORM + 1) + own[8:]
    redis_client.set(key, newer)
    permit = limiter.acquire(KEY, Lane.BULK)
    limiter.observe(KEY, [Reading(ticket=1, limits=RateLimits(limit=100, remaining=50))])

    assert struct.unpack("<d", own[:8]) == (LIMITER_FORM,)
    assert isinstance(permit, Wait)
    assert permit.reason is WaitReason.NEWER_FORM
    assert redis_client.get(key) == newer


def test_doctor_counts_what_is_in_another_form(
    operation: str, bench: Bench, settings: Settings, redis_client: redis.Redis
) -> None:
    """Before a format changes, it counts the values in the old one; a newer form is a failure."""
    campaign = bench.started(5)
    census = FormCensus(redis_client, KEYS, settings.keyring())
    both = judge_forms(census.take())
    redis_client.hdel(KEYS.operation(operation), "form")
    found = census.take()

    assert (both.status, both.found) == (Status.FAILED, "operations in form 2: 1")
    assert judge_forms(found).status is Status.OK
    kinds = {name for name, counts in found.found.items() if counts}
    assert kinds >= {"operations", "commands", "campaigns", "rows", "lists of recipients", "audit entries"}
    assert uuid.UUID(campaign)
    found.found["limiter"][LIMITER_FORM - 1] = 1
    assert judge_forms(found).status is Status.WARNING
    assert {form.name for form in FORMS} == set(found.found)


def test_doctor_counts_webhook_endpoints_and_their_events(settings: Settings, redis_client: redis.Redis) -> None:
    """After a rollback it names the endpoints and events that this version leaves alone."""
    endpoints = Endpoints(redis_client, KEYS, settings.keyring())
    endpoint = endpoints.add("https://hooks.example.com/", SUBSCRIBABLE, new_secret())
    newer = settings.keyring().seal(json.dumps({"form": 2}).encode(), Purpose.webhook(endpoint))
    census = FormCensus(redis_client, KEYS, settings.keyring())
    before = census.take()
    redis_client.hset(KEYS.webhook(endpoint), "sealed", newer)
    redis_client.xadd(KEYS.webhook_events, {"v": "2"})

    assert before.found["webhook endpoints"] == {1: 1}
    assert judge_forms(census.take()).found == "webhook endpoints in form 2: 1; events for webhooks in form 2: 1"


def test_doctor_says_how_many_entries_it_read_of_how_many(settings: Settings, redis_client: redis.Redis) -> None:
    """Entries that it did not read may have another form, so `all` would be wrong."""
    redis_client.rpush(KEYS.audit, *[json.dumps({"form": 1})] * (MOST_OF_A_KIND + 2))
    steps = redis_client.pipeline(transaction=False)
    for number in range(MOST_OF_A_KIND + 1):
        steps.xadd(KEYS.webhook_events, {"v": "1"})
        steps.hset(KEYS.dead_letter(str(number)), "form", "1")
    steps.execute()
    census = FormCensus(redis_client, KEYS, settings.keyring())
    first, second = (judge_forms(census.take()) for _ in range(2))

    assert first == second
    assert first.status is Status.OK
    assert first.found == (
        "the 1,500 values have this version's form; read only 500 of 502 audit entries, "
        "500 of 501 events for webhooks, 500 of 501 dead letters"
    )


def test_doctor_says_how_many_names_of_keys_it_read(settings: Settings, redis_client: redis.Redis) -> None:
    """A Redis with many keys takes too long to read in full."""
    redis_client.eval(
        "for n = 1, tonumber(ARGV[2]) do redis.call('SET', ARGV[1] .. n, '') end",
        0,
        f"{KEYS.namespace}:x:",
        MOST_KEYS + 5000,
    )
    found = judge_forms(FormCensus(redis_client, KEYS, settings.keyring()).take()).found

    assert re.fullmatch(r"the 0 values have this version's form; read only 20,000 of 25,\d{3} names of keys", found)
