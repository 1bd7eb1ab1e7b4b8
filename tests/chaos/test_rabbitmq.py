"""RabbitMQ as the broker: the same ends, and the same faults."""

from __future__ import annotations

import json
import shlex
import signal
import uuid
from datetime import UTC, datetime
from importlib import import_module
from typing import TYPE_CHECKING, Any

import kombu
import pytest
from pydantic import SecretStr

from gatepost import Producer, State
from gatepost.errors import ConfigurationError
from gatepost_core.broker.messages import SUBMIT
from gatepost_core.dead_letters import Selection
from gatepost_core.kinds import Queue
from gatepost_core.redis.keys import RedisKeys
from gatepost_operations.cli.doctor.broker import examine_broker
from gatepost_operations.cli.doctor.checks import Status
from gatepost_operations.maintenance.dead_letters import DeadLetterControl
from gatepost_worker.upkeep.start_checks import check_broker
from support.any_json import nested
from support.chaos_load import Load
from support.chaos_stack import ALL_QUEUES, fault
from support.checkout import CHECKOUT
from support.guests import address
from support.keys import KEYS

if TYPE_CHECKING:
    from collections.abc import Callable

    from gatepost_core.settings import Settings
    from support.chaos_rabbitmq import RabbitMQ
    from support.chaos_stack import ChaosStack

SETTINGS_PAGE = CHECKOUT / "docs" / "reference" / "settings.md"


@pytest.fixture
def stack(stack_on_rabbitmq: ChaosStack) -> ChaosStack:
    """Over RabbitMQ, with a simulator that has forgotten everything."""
    stack_on_rabbitmq.simulator.control.reset()
    return stack_on_rabbitmq


def test_sends_logins_and_campaigns_survive_a_killed_worker_and_a_killed_broker(
    stack: ChaosStack, rabbitmq: RabbitMQ, record: Callable[..., None]
) -> None:
    """One worker dies during its attempts, then RabbitMQ is killed under load and comes back; the other worker continues."""
    struck = stack.struck(fault("kill", "before settle", "before settle"), queues="gatepost.login,gatepost.send")
    with stack.producer() as producer:
        load = Load(stack, producer)
        load.send(2)
        assert struck.wait(120) == -signal.SIGKILL
        sound = stack.worker(ALL_QUEUES)
        codes = load.prepare_logins(3)
        control = stack.simulator.control
        control.script_fault(endpoint="/passwordless/start", when="after", delay_s=0.05, count=30)
        load.campaign(60)
        load.send(20)
        load.log_in(codes)

        rabbitmq.kill()
        late = address()
        load.sends[late] = producer.send_email(late).operation_id
        rabbitmq.start()
        load.until_ended()

        logins = [producer.handle(one) for one in load.references]
        accepted = [one for one in logins if one.state() is State.ACCEPTED]
        results = [producer.app.AsyncResult(one.operation_id).get(timeout=120) for one in accepted]
        assert all(result.startswith("eyJ") for result in results)
        assert all(one.redeem(1).id_token for one in accepted)
        account = load.account()
    record("RabbitMQ killed under load, and a worker", account, injected=2)
    assert account.unknown >= 2
    assert set(account.states) <= {State.ACCEPTED, State.UNKNOWN}
    account.assert_holds()
    assert sound.process.poll() is None


def submission(recipient: str) -> bytes:
    return json.dumps([[], {"command": {"kind": "send_email", "email": recipient}}, {}]).encode()


def headers(**changes: Any) -> dict[str, Any]:
    usual = {"task": SUBMIT, "id": str(uuid.uuid4())}
    return {name: value for name, value in {**usual, **changes}.items() if value is not None}


MALFORMED: dict[str, dict[str, Any]] = {
    "no headers": {"headers": {}},
    "no id": {"headers": headers(id=None)},
    "an id that is no text": {"headers": headers(id=7)},
    "an unknown task": {"headers": headers(task="gatepost.dance")},
    "a task of Celery's": {"headers": headers(task="celery.map")},
    "an eta that is none": {"headers": headers(eta="tomorrow")},
    "an expires that is none": {"headers": headers(expires="tomorrow", mine="kept")},
    "an eta of AMQP's own": {"headers": headers(eta=datetime(2100, 1, 1, tzinfo=UTC))},
    "another version": {"body": json.dumps([[], {"command": {}, "version": 99}, {}]).encode()},
    "a callback": {"body": json.dumps([[], {"command": {}}, {"callbacks": [{"task": SUBMIT}]}]).encode()},
    "a body that is not JSON": {"body": b"{"},
    "a body that is no text": {"body": b"\xff\xfe\x00"},
    "a pickle": {"content_type": "application/x-python-serialize", "content_encoding": "binary", "body": b"\x80\x04N."},
    "a foreign type": {"content_type": "text/martian"},
    "a compressed body": {"headers": headers(compression="zlib")},
    "headers of many levels": {"headers": headers(deep=nested(300))},
    "a body of megabytes": {"body": b"x" * (5 << 20)},
    "no content type": {"content_type": None, "content_encoding": None, "body": b"\x00"},
}


def test_a_malformed_message_on_rabbitmq_goes_to_the_dead_letters_and_can_be_replayed(
    stack: ChaosStack, rabbitmq: RabbitMQ
) -> None:
    """Each refusal has its reason, over one connection; after the correction the messages are delivered."""
    worker = stack.worker(ALL_QUEUES)
    usual = {"content_type": "application/json", "content_encoding": "utf-8", "headers": headers()}
    recipient = address()
    with DeadLetterControl(stack.settings) as control, kombu.Connection(rabbitmq.url) as connection:
        channel: Any = connection.channel()
        for number, changes in enumerate(MALFORMED.values(), 1):
            given = {**usual, "body": submission(recipient), **changes}
            channel.basic_publish(channel.prepare_message(given.pop("body"), **given), "", KEYS.queue(Queue.SEND))
            stack.until(lambda number=number: len(control.letters) == number, str(changes), worker)  # type: ignore[misc] # mypy does not infer a lambda with a default
        with stack.producer() as producer:
            assert producer.send_email(address()).result(120).state is State.ACCEPTED

        assert all(letter.reason for letter in control.letters.list())
        opened = [control.letters.open(letter) for letter in control.letters.list()]
        assert [one["headers"]["mine"] for one in opened if "mine" in one.get("headers", {})] == ["kept"]
        assert max(letter.size for letter in control.letters.list()) < 4 << 20
        assert rabbitmq.messages() == 0
        assert "Connection to broker lost" not in worker.output()
        put_right = {"headers": headers(), "properties": {}, "body": submission(recipient).decode()}
        control.letters.add(put_right, reason="there is no such task here", queue=KEYS.queue(Queue.SEND))
        done = control.replay(Selection())
        assert (done.replayed, done.refused.total()) == (1, len(MALFORMED))
        stack.until(lambda: stack.simulator.control.count(recipient) == 1, "the replayed command is sent", worker)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (("guest:guest@", "guest:wrong@"), "RabbitMQ refuses the user name or password; correct GATEPOST_BROKER_URL."),
        (("//\n", "/nowhere\n"), "RabbitMQ has no such virtual host"),
    ],
    ids=["password", "virtual host"],
)
def test_a_rabbitmq_that_refuses_is_named_at_the_start(
    rabbitmq: RabbitMQ, make_settings: Callable[..., Settings], wrong: tuple[str, str], said: str
) -> None:
    """Worker and beat do not start; Celery's own would end with a traceback."""
    url = f"{rabbitmq.url}\n".replace(*wrong).strip()
    settings = make_settings(broker_url=url)
    app = import_module("gatepost_worker.celery").create(settings)

    with pytest.raises(ConfigurationError, match=said):
        check_broker(app, settings)


def test_a_namespace_uses_no_queue_or_exchange_of_another(
    rabbitmq: RabbitMQ, make_settings: Callable[..., Settings]
) -> None:
    """RabbitMQ lets the user touch blue's names alone: blue sends, and asks for workers; green is refused, and sees no message."""
    rabbitmq.new_hosts({"blue": r"^(blue\\..*|amq\\.default|.*blue\\.control\\.pidbox)$"})
    blue, green = (make_settings(broker_url=rabbitmq.host("blue"), namespace=name) for name in ("blue", "green"))
    with Producer(blue) as producer:
        producer.send_email(address())
    found = [{check.name: check.status for check in examine_broker(settings)} for settings in (blue, green)]
    with kombu.Connection(blue.broker) as connection:
        channel: Any = connection.channel()
        waiting = channel.queue_declare(RedisKeys(blue.namespace).queue(Queue.SEND), passive=True).message_count

    assert waiting == 1
    assert found[0] == {"broker": Status.OK, "queues": Status.OK, "workers": Status.FAILED}
    assert found[1] == {"broker": Status.OK, "queues": Status.FAILED}


@pytest.mark.skipif(not SETTINGS_PAGE.exists(), reason="the wheel's tests run without the documentation")
@pytest.mark.parametrize("namespace", ["gatepost", "staging"])
def test_the_documented_permissions_are_enough(stack: ChaosStack, rabbitmq: RabbitMQ, namespace: str) -> None:
    """A producer sends with its patterns; a worker and `doctor` work with theirs."""
    patterns = documented_permissions(namespace)
    host = f"permitted-{namespace}"
    rabbitmq.new_host(host)
    broker = SecretStr(rabbitmq.host(host))
    settings = stack.settings.model_copy(update={"broker_url": broker, "namespace": namespace})
    rabbitmq.permit(host, *patterns["producer"])
    with Producer(settings) as producer:
        operation = producer.send_email(address())
        rabbitmq.permit(host, *patterns["worker"])
        queues = ",".join(RedisKeys(namespace).queue(queue) for queue in Queue)
        stack.worker(queues, GATEPOST_BROKER_URL=rabbitmq.host(host), GATEPOST_NAMESPACE=namespace)
        state = operation.wait(60).state
    found = {check.name: check.status for check in examine_broker(settings, webhooks=True)}

    assert state is State.ACCEPTED
    assert found == {"broker": Status.OK, "queues": Status.OK, "workers": Status.OK}


def documented_permissions(namespace: str) -> dict[str, list[str]]:
    lines = [line for line in SETTINGS_PAGE.read_text().splitlines() if line.startswith("rabbitmqctl set_permissions ")]
    if namespace != "gatepost":
        changes = {
            r"gatepost\.": rf"{namespace}\.",
            r"celery\.pidbox": rf"{namespace}\.control\.pidbox",
            "|celeryev": "",
        }
        for old, new in changes.items():
            lines = [line.replace(old, new) for line in lines]
    return {user: patterns for _, _, user, *patterns in map(shlex.split, lines)}
