"""Two installations share one Redis under two namespaces, and see nothing of each other."""

from __future__ import annotations

import json
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import pytest

from gatepost import State
from gatepost_core.audit_log import AuditLog
from gatepost_core.campaigns.model import Status
from gatepost_core.kinds import Queue
from gatepost_core.redis.connections import connect
from gatepost_core.redis.keys import RedisKeys
from gatepost_core.sealing.fingerprints import Origin
from gatepost_operations.cli.entry import main
from gatepost_operations.maintenance.dead_letters import DeadLetterControl
from gatepost_operations.maintenance.erasure import Erasure
from gatepost_operations.maintenance.key_rotation import Rotation
from gatepost_operations.planning.limiter import LimiterQuotas
from support.campaign_parts import rows
from support.stack import Stack

if TYPE_CHECKING:
    from pathlib import Path

    import redis

    from gatepost import Producer
    from gatepost_operations.local.embedded_valkey import EmbeddedValkey
    from gatepost_simulator.server import SimulatorServer
    from support.stack import Program

NAMES = ("blue", "green")
RECIPIENTS = 20
PERSON = "ana@example.com"


@dataclass
class Installation:
    """One namespace: a worker, the scheduler and a producer, as a Redis user that may use no other names."""

    name: str
    stack: Stack
    worker: Program
    producer: Producer

    @classmethod
    def started(cls, name: str, valkey: EmbeddedValkey, simulator: SimulatorServer, directory: Path) -> Self:
        directory.mkdir()
        stack = Stack(valkey, simulator, directory)
        with stack.redis() as client:
            client.execute_command("ACL", "SETUSER", name, "reset", "on", ">secret", "+@all", *_rights(name))
        stack.environment["GATEPOST_NAMESPACE"] = name
        stack.environment["GATEPOST_REDIS_URL"] = f"redis://{name}:secret@{valkey.url.removeprefix('redis://')}"
        # A worker is called by how many programs started before it, so that the two have different names.
        for _ in range(NAMES.index(name) + 1):
            worker = stack.worker(",".join(f"{name}.{queue.value}" for queue in Queue))
        stack.beat()
        return cls(name, stack, worker, stack.producer())

    def work(self, sends: int) -> None:
        """Some sends, a login, a campaign, and a message that no worker can take."""
        for number in range(sends):
            assert self.producer.send_email(f"{number}@{self.name}.example").wait(120).state is State.ACCEPTED
        self.producer.send_email(PERSON).wait(120)
        code = self.stack.simulator.control.latest_code(PERSON, wait_s=10)
        assert self.producer.login_with_email(PERSON, code).wait(120).state is State.ACCEPTED
        campaign_id = self.producer.campaigns.create(self.name)
        self.producer.campaigns.add(campaign_id, rows(RECIPIENTS))
        self.producer.campaigns.start(campaign_id)
        self.stack.until(lambda: self._is_finished(campaign_id), "the campaign is finished", self.worker)
        self.producer.campaigns.suppressions.add(f"guest@{self.name}.example")

    def _is_finished(self, campaign_id: str) -> bool:
        return self.producer.campaigns.status(campaign_id).status is Status.FINISHED

    def send_junk(self, client: redis.Redis) -> None:
        keys = RedisKeys(self.stack.settings.namespace)
        client.lpush(keys.queue_key(keys.queue(Queue.SEND)), "junk")
        with DeadLetterControl(self.stack.settings) as control:
            self.stack.until(lambda: len(control.letters) == 1, "the junk is a dead letter", self.worker)


@pytest.mark.timeout(300)
def test_two_namespaces_on_one_redis_see_nothing_of_each_other(
    valkey: EmbeddedValkey,
    simulator: SimulatorServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Redis itself refuses each installation the other's names, and nothing is ever refused."""
    with ExitStack() as stack:
        blue, green = both = [Installation.started(name, valkey, simulator, tmp_path / name) for name in NAMES]
        for one in both:
            stack.enter_context(one.stack)
            stack.enter_context(one.producer)
        client = stack.enter_context(blue.stack.redis())
        blue.work(sends=3)
        green.work(sends=1)
        blue.send_junk(client)

        counts = [sum(one.producer.ledger.counts().values()) for one in both]
        campaigns = [[one.name for one in side.producer.campaigns.list()] for side in both]
        suppressed = [len(one.producer.campaigns.suppressions) for one in both]
        workers = [set(one.producer.app.control.inspect(timeout=3).ping() or {}) for one in both]
        letters = [_letters(one) for one in both]
        acts = [_acts(one) for one in both]
        issued = [_issued(one) for one in both]
        sealed = [_sealed(one) for one in both]
        erased = _erase(blue)
        left = _operations_of(green)
        monkeypatch.setenv("GATEPOST_NAMESPACE", "blue")
        for name, value in blue.stack.environment.items():
            monkeypatch.setenv(name, value)
        code = main(["doctor", "--offline", "--json"])
        checks = {check["name"]: check for check in json.loads(capsys.readouterr().out)["checks"]}
        keys = [key.decode() for key in client.scan_iter("*", count=1000)]
        denied = client.acl_log()

    assert {key.partition(":")[0] for key in keys} == set(NAMES)
    assert denied == []
    assert counts == [5, 3]
    assert campaigns == [["blue"], ["green"]]
    assert suppressed == [1, 1]
    assert workers == [{"worker0@test"}, {"worker0@test", "worker1@test"}]
    assert letters == [1, 0]
    assert all(f'"{name}"' not in acts[1 - at] for at, name in enumerate(NAMES))
    assert issued[0] > issued[1] > 0
    assert sealed[0] == sealed[1] + 1
    assert erased == 2
    assert left == 2
    assert code in {0, 1}
    assert checks["workers"]["found"].startswith("1 alive")
    assert checks["dead letters"]["status"] == "warning"


def _letters(one: Installation) -> int:
    with DeadLetterControl(one.stack.settings) as control:
        return len(control.letters)


def _acts(one: Installation) -> str:
    settings = one.stack.settings
    with connect(settings) as client:
        log = AuditLog(client, RedisKeys(settings.namespace), settings.fingerprints())
        assert log.verify().intact
        return json.dumps([[entry.action, entry.about] for entry in log.entries()])


def _issued(one: Installation) -> int:
    settings = one.stack.settings
    with connect(settings) as client:
        return sum(quota.issued for quota in LimiterQuotas(settings, client).read()[0])


def _sealed(one: Installation) -> int:
    settings = one.stack.settings
    with connect(settings) as client:
        audit = AuditLog(client, RedisKeys(settings.namespace), settings.fingerprints())
        found = Rotation(client, RedisKeys(settings.namespace), settings.keyring(), audit).look()
    return sum(found.counts.values())


def _erase(one: Installation) -> int:
    with Erasure(one.stack.settings) as erasure:
        return erasure.erase(PERSON).operations


def _operations_of(one: Installation) -> int:
    fingerprint = one.stack.settings.fingerprints().operation(PERSON, Origin.PRODUCER)
    return len(one.producer.ledger.operations_of(fingerprint))


def _rights(name: str) -> list[str]:
    # Redis compares the pattern of a PSUBSCRIBE literally: the last two are kombu's.
    channels = [f"{name}:*", f"{name}:/0.{name}.control.pidbox", f"{name}:/0.{name}.events*"]
    return [f"~{name}:*", *(f"&{channel}" for channel in channels)]
