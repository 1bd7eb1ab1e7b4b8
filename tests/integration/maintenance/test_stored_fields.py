"""The page of stored data lists every field and its protection; a journey through everything stores nothing else."""

from __future__ import annotations

import contextlib
import json
import re
import time
import uuid
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
import redis
from pydantic import SecretStr

from gatepost import errors as e
from gatepost.producer import Producer
from gatepost_core.campaigns.row import Row
from gatepost_core.commands import SendSms
from gatepost_core.dead_letters import DeadLetters
from gatepost_core.kinds import Channel
from gatepost_core.ledger import ledger_at
from gatepost_core.probe_results import SUCCESS, Cause, ProbeResult, ProbeResults, Step
from gatepost_core.sealing import Key, Purpose, kid_of
from gatepost_core.sealing.fingerprints import Origin
from gatepost_core.settings import Settings
from gatepost_core.states import State
from gatepost_core.webhooks.events import EventType
from gatepost_core.webhooks.publishing import publish_delivery
from gatepost_operations.maintenance.api_keys import grant_of
from gatepost_operations.maintenance.erasure import Erasure
from gatepost_operations.maintenance.key_rotation import Rotation
from gatepost_operations.probing.mailbox_lock import mailbox_lock
from gatepost_operations.web.api.services import open_services
from gatepost_operations.web.console.security.operators import Level, Operator
from gatepost_operations.web.console.security.pending_sign_ins import PendingSignIns
from gatepost_operations.web.console.security.refusals import TooManyTries
from gatepost_operations.web.console.security.sessions import Sessions
from gatepost_operations.web.console.security.tries import Tries
from gatepost_simulator.server import SimulatorServer
from gatepost_simulator.settings import DEV_CLIENT_ID, DEV_CLIENT_SECRET
from gatepost_worker import tasks
from gatepost_worker.bulk.store import Claim
from gatepost_worker.process import Process
from gatepost_worker.submission import Submissions
from gatepost_worker.upkeep.reconciler import Reconciler
from support.campaign_parts import Bench, email, rows
from support.keys import KEYS
from support.ledger_calls import begin_attempt
from support.planted_secrets import Recording, found
from support.stored_values import Written, listed, unlisted, written_in
from support.webhook_bench import WebhookBench
from support.webhook_receiver import WebhookReceiver

if TYPE_CHECKING:
    from gatepost_operations.local.embedded_valkey import EmbeddedValkey

# Celery's result backend stores with a call that redis-py would have written otherwise.
pytestmark = pytest.mark.filterwarnings("ignore:Call to deprecated setex:DeprecationWarning")
NAME = "canary-q7x2v9"
PERSON = f"{NAME}@example.com"
PHONE = "+447700900847"
BY_WORKERS = {"unacked", "unacked_index", "unacked_mutex", "_kombu.binding_deadlines", "ANY.celery.pidbox"}
"""What Celery stores in workers alone; `acceptance/sealed/test_canaries.py` looks at those."""
# Eight bytes, or digests of 32 as hexadecimal digits, also several; a late command has none.
IS_FINGERPRINT = re.compile(
    r".{8}|(?:[0-9a-f]{32} ?)*|[0-9a-f]{14}:[0-9a-f-]{36}|null|\[(?:\"[0-9a-f]{16}\"(?:, )?)*\]", re.DOTALL
)


class Journey:
    """Every call that stores something, on parts without Celery's loop."""

    def __init__(self, settings: Settings, simulator: SimulatorServer, client: redis.Redis) -> None:
        self.simulator = simulator
        self.client = client
        self.bench = Bench(settings)
        self.process = Process(settings)
        self.producer = Producer(settings)
        self.app = self.producer.app
        tasks.register(self.app, self.process)
        self.process.prepare()

    def operations(self) -> None:
        """Send, log in, redeem, cancel, postpone, doubt, lose, submit, expire."""
        producer, run = self.producer, self.process.runner.run
        run(producer.send_email(PERSON, idempotency_key="a key", auth_params={"state": NAME}).operation_id)
        login = producer.login_with_email(PERSON, self.simulator.control.latest_code(PERSON))
        run(login.operation_id)
        login.redeem(1)
        with_mfa = f"{NAME}+mfa@example.com"
        run(producer.send_email(with_mfa).operation_id)
        run(producer.login_with_email(with_mfa, self.simulator.control.latest_code(with_mfa)).operation_id)
        producer.send_sms(PHONE).cancel()
        run(producer.send_email(f"{NAME}+429-once@example.com").operation_id)
        run(producer.send_email(f"{NAME}+bad-email@example.com").operation_id)
        run(producer.send_email(f"{NAME}+503-after@example.com", on_unknown="resend").operation_id)
        submissions = Submissions(self.app, self.process)
        command = {"kind": "send_email", "email": PERSON}
        sealed, again = (
            self.process.keyring.seal(json.dumps(command).encode(), Purpose.submission()) for _ in range(2)
        )
        late = {**command, "deadline": (datetime.now(UTC) - timedelta(minutes=1)).isoformat()}
        for one in (command, sealed, again, late):
            submissions.accept(str(uuid.uuid4()), one, None if one is late else "its key")
        blocked = producer.send_email(PERSON).operation_id
        self.client.hset(KEYS.operation(blocked), "command", "not a seal")
        run(blocked)
        lost = producer.send_email(PERSON).operation_id
        self.process.ledger.unpublished(lost)
        self.client.zadd("gatepost:operations:due", {lost: 1})
        Reconciler(self.app, self.process.ledger, self.client, KEYS).run()
        ledger = ledger_at(self.client, self.bench.settings.model_copy(update={"wait_replicas": 1}))
        with contextlib.suppress(e.Unavailable):
            begin_attempt(ledger, lost, "attempt", 5)

    def campaigns(self) -> None:
        """Create, add, screen, send, fail, pause, resume, change, retry amid a batch, resend, sweep."""
        bench, campaigns = self.bench, self.bench.campaigns
        thresholds = WebhookBench(self.bench.settings)
        endpoint_id, _ = thresholds.added("https://example.com/", [EventType.CAMPAIGN_THRESHOLD_REACHED])
        people = [f"{number}{'+bad-email' if number % 3 == 0 else ''}@example.com" for number in range(110)]
        bench.start([Row(number, Channel.EMAIL, address) for number, address in enumerate(people)])
        bench.work()
        thresholds.control.remove(endpoint_id)
        thresholds.close()
        campaigns.suppressions.add(email(2), expires_at=datetime.now(UTC) + timedelta(days=1))
        several = [*rows(5), Row(1, Channel.EMAIL, PERSON)]
        several += [Row(1, Channel.EMAIL, f"{NAME}+bad-email@example.com", auth_params=f'{{"state":"{NAME}"}}')]
        guests = [row.recipient for row in several[1:]]
        campaign_id = bench.start(several, guest_list=guests, auth_params={"state": NAME}, rate=1000, language="de")
        campaigns.sent_before.note_file(campaign_id, "ab" * 32)
        batch = bench.take()
        assert batch is not None
        bench.store.claim(Claim(campaign_id, batch["batch"], "token"), 0.01)
        campaigns.pause(campaign_id)
        campaigns.resume(campaign_id)
        time.sleep(0.02)
        bench.sweep.run()
        bench.runner.run(campaign_id, batch["batch"])
        bench.runner.replicated = lambda *_: bool(campaigns.retry(campaign_id, [State.SUPPRESSED]))
        campaigns.retry(campaign_id, [State.REJECTED])
        bench.sweep.run()
        bench.work()
        campaigns.change_deadline(campaign_id, datetime.now(UTC) + timedelta(days=1))
        other = bench.start(rows(3), start_at=datetime.now(UTC) + timedelta(hours=1))
        campaigns.cancel(other)
        list(campaigns.export(campaign_id))
        campaigns.delete(other)
        # A worker whose credential was never accepted does not wait a minute for a new one.
        with closing(Bench(bench.settings)) as another:
            refused = another.start([Row(1, Channel.EMAIL, f"{NAME}+invalid-client@example.com")])
            another.work()
        assert campaigns.status(refused).pause
        damaged = bench.start(rows(3))
        self.client.hset(KEYS.batch(damaged, 0), "rows", "not a seal")
        bench.runner.run(damaged, 0)

    def ways_in(self) -> None:
        """Create an API key, and use it."""
        services = open_services(self.bench.settings)
        rights = {"name": "shop", "kinds": ["send_sms"], "tenants": ["default"], "domains": ["example.com"]}
        key, _ = services.api_keys.create(grant_of({**rights, "scopes": ["campaigns"], "countries": ["GB"]}))
        command = SendSms(phone_number=PHONE)
        services.usage.take(key, [services.usage.of_command(key, command)])
        services.producer.enqueue_for(key.id, [(command, "a key")], Origin.HTTP)
        services.campaigns.create("spring", owner=key.id)
        services.close()

    def webhooks(self) -> None:
        """Add endpoints, test, deliver, fail, lose, give up, disable, rotate, remove."""
        with WebhookReceiver() as receiver:
            bench = WebhookBench(self.bench.settings)
            kept, gone = (bench.added(receiver.url)[0] for _ in range(2))
            self.producer.send_email(PERSON).cancel()
            bench.deliveries.test(kept)
            bench.deliveries.plan(3600)
            publish_delivery(self.app, kept)
            receiver.answers = [(429, {"Retry-After": "60"}), (410, {})]
            bench.deliver(kept)
            bench.deliver(gone)
            attempt = bench.deliveries.take(bench.added(receiver.url)[0])
            assert attempt is None
            bench.endpoints.enable(kept)
            bench.deliver(kept)
            bench.record()
            attempt = bench.deliveries.take(kept)
            assert attempt is not None
            bench.deliveries.failed(kept, attempt, "connect_failed", wait_ms=None, pause_ms=0)
            bench.record()
            self.client.xtrim(KEYS.webhook_events, maxlen=0, approximate=False)
            bench.deliveries.plan(3600)
            bench.control.rotate(kept, timedelta(hours=1))
            bench.control.remove(gone)
            bench.close()

    def trust(self) -> None:
        """Dead-letter, replay, erase, probe, rotate."""
        letters = DeadLetters(self.client, KEYS, self.process.keyring)
        letters.mark(letters.add({"raw": PERSON}, reason="not JSON", queue="gatepost.send"), again=False)
        letters.answer(str(uuid.uuid4()), "not JSON")
        with Erasure(self.bench.settings) as erasure:
            erasure.erase(PERSON)
        with mailbox_lock(self.client, KEYS.probe_lock("0" * 16), lifetime_s=60, wait_s=0, on_wait=lambda: None):
            for reason, step in ((SUCCESS, None), (Cause.MESSAGE_LATE, Step.ARRIVAL)):
                result = ProbeResult(datetime.now(UTC), reason, step, dict.fromkeys(Step, 0.1))
                ProbeResults(self.client, KEYS).store("default", Channel.EMAIL, result)
        Rotation(self.client, KEYS, self.process.keyring, self.bench.campaigns.audit).run()

    def console(self) -> None:
        """Sign in to the console, with a failed try."""
        Tries(self.client, KEYS).count("ana", "192.0.2.7")
        for number in range(6):
            with contextlib.suppress(TooManyTries):
                Tries(self.client, KEYS).count("ana", f"192.0.2.{number}")
        PendingSignIns(self.client, KEYS).add("browser", "/campaigns")
        Sessions(self.client, KEYS, idle_s=60, lifetime_s=60).open(Operator("ana", Level.ADMIN, "oidc:1"))

    def close(self) -> None:
        self.producer.close()
        self.bench.close()
        self.process.redis.close()


@pytest.fixture(scope="module")
def written(valkey_server: EmbeddedValkey) -> list[Written]:
    """Everything that the journey stored, also for a moment."""
    with (
        SimulatorServer(quota={"plan": "unlimited"}) as simulator,
        redis.Redis.from_url(valkey_server.url) as client,
        Recording(valkey_server.port) as recording,
    ):
        client.flushall()
        settings = Settings(
            redis_url=SecretStr(valkey_server.url),
            sealing_keys=(SecretStr(Key.new("test").reveal()),),
            fingerprint_key=SecretStr("a fingerprint key of the tests alone"),
            auth0_domain=simulator.domain,
            auth0_base_url=simulator.url,
            auth0_client_id=DEV_CLIENT_ID,
            auth0_client_secret=SecretStr(DEV_CLIENT_SECRET),
            webhook_allow_private=True,
        )
        with closing(Journey(settings, simulator, client)) as journey:
            journey.operations()
            journey.campaigns()
            journey.ways_in()
            journey.webhooks()
            journey.trust()
            journey.console()
    return list(written_in(recording.text()))


def test_nothing_is_stored_that_is_not_listed(written: list[Written]) -> None:
    """A new field is listed with its protection and content before it is stored."""
    assert len(written) > 500
    assert unlisted(written) == set()


def test_nothing_is_listed_that_is_not_stored(written: list[Written]) -> None:
    """The list has no field of earlier days."""
    never = {(one.key, one.field) for one in listed() if not any(one.fits(value) for value in written)}

    assert {key for key, _ in never} == BY_WORKERS


def test_each_field_has_the_protection_that_is_listed(written: list[Written]) -> None:
    """Sealed fields name a key of the ring, fingerprints are fingerprints, and clear fields contain no planted value."""
    protections = {one: protection_of(one) for one in written}
    sealed = {one.value for one, protection in protections.items() if protection == "sealed"} - {"not a seal"}
    fingerprints = {
        one.field if ":i:" in one.key else one.value
        for one, protection in protections.items()
        if protection == "fingerprint"
    }
    clear = "\n".join(
        f"{one.key} {one.field} {one.value}" for one, protection in protections.items() if protection == "clear"
    )

    assert {kid_of(value) for value in sealed} == {"test"}
    assert {value.count(".") for value in sealed} == {4}
    assert all(IS_FINGERPRINT.fullmatch(value) for value in fingerprints)
    assert found([NAME, PHONE], clear) == []


def protection_of(written: Written) -> str:
    """The protection that the page gives."""
    (protection,) = {one.protection for one in listed() if one.fits(written)}
    return protection
