"""Every remote command of Celery's and every page of Flower's, against one worker: nothing crashes, and no password is shown."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from celery.worker.control import Panel

from gatepost_core.broker.messages import SUBMIT
from gatepost_core.broker.publishing import build_app
from gatepost_operations.local.embedded_valkey import EmbeddedValkey
from gatepost_worker.celery_guard.remote_control import COMMANDS
from support.canary_journey import Flower, log_in_with_a_password
from support.canary_values import NAME, REDIS_PASSWORD
from support.stack import Program, Stack

if TYPE_CHECKING:
    from collections.abc import Iterator

    from celery import Celery

    from gatepost_simulator.server import SimulatorServer

pytestmark = pytest.mark.slow

ARGUMENTS: dict[str, dict[str, Any]] = {
    "add_consumer": {"queue": "gatepost.bulk"},
    "autoscale": {"max": 3, "min": 1},
    "cancel_consumer": {"queue": "gatepost.bulk"},
    "hello": {"from_node": "other@test"},
    "query_task": {"ids": ["unknown"]},
    "rate_limit": {"task_name": SUBMIT, "rate_limit": "1/s"},
    "revoke": {"task_id": ["unknown"]},
    "revoke_by_stamped_headers": {"headers": {"a": ["b"]}},
    "terminate": {"signal": "KILL", "task_id": ["unknown"]},
    "time_limit": {"task_name": SUBMIT, "soft": 1.0},
}
SILENT = {"heartbeat", "shutdown"}
"""Commands that answer nothing."""


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory, simulator_server: SimulatorServer) -> Iterator[Stack]:
    """A Valkey behind a password."""
    directory = tmp_path_factory.mktemp("guarded")
    with EmbeddedValkey(directory / "valkey") as valkey, Stack(valkey, simulator_server, directory) as stack:
        log_in_with_a_password(stack)
        yield stack


@pytest.fixture(scope="module")
def worker(guarded: Stack) -> Program:
    """One worker for all of them, which sends events."""
    return guarded.worker("gatepost.login,gatepost.send", "-E")


@pytest.fixture(scope="module")
def app(guarded: Stack) -> Iterator[Celery]:
    celery = build_app(guarded.settings)
    yield celery
    celery.close()


def ask(app: Celery, command: str, **arguments: Any) -> Any:
    """Send a command as `celery inspect` and `celery control` do, and return the one worker's answer."""
    answers = app.control.broadcast(command, arguments=arguments, reply=True, limit=1, timeout=20)
    (answer,) = answers[0].values()
    return answer


def test_every_remote_command_is_classified() -> None:
    """A new Celery brings none that was not looked at."""
    assert set(Panel.meta) == set(COMMANDS)


def test_flower_shows_every_page_and_no_password(guarded: Stack, worker: Program) -> None:
    """Its list of workers comes from `inspect stats`."""
    flower = Flower(guarded)
    with guarded.producer() as producer:
        producer.send_email(f"{NAME}+bad-email@example.com").wait(120)

    shown = flower.pages("gatepost.send_email")

    assert '"broker"' in shown
    assert "Internal Server Error" not in shown
    assert REDIS_PASSWORD not in shown + guarded.output()
    assert NAME not in shown


def test_no_remote_command_crashes_or_shows_the_password(
    worker: Program, app: Celery, subtests: pytest.Subtests
) -> None:
    """Those that do not fit are answered with a sentence; none leaves a traceback in the worker's log."""
    for command, refusal in COMMANDS.items():
        if command in SILENT:
            continue
        with subtests.test(command):
            answer = ask(app, command, **ARGUMENTS.get(command, {}))

            assert REDIS_PASSWORD not in json.dumps(answer)
            assert (answer == {"error": refusal}) if refusal else ("error" not in (answer or {}))
    app.control.broadcast("heartbeat")

    assert "pidbox command error" not in worker.output()
    assert "Traceback" not in worker.output()
    assert '"exception"' not in worker.output()


def test_the_statistics_name_the_broker(worker: Program, app: Celery) -> None:
    """`celery inspect stats`: the kind of broker and its host, and the pool."""
    stats = ask(app, "stats")

    assert {name: stats["broker"][name] for name in ("transport", "hostname")} == {
        "transport": "redis",
        "hostname": "127.0.0.1",
    }
    assert stats["pool"]["max-concurrency"] == 8


def test_a_worker_takes_no_queue_of_others(worker: Program, app: Celery) -> None:
    """Its messages would be taken for malformed ones and become dead letters."""
    answer = ask(app, "add_consumer", queue="orders")

    assert answer == {
        "error": "There is no such queue; the queues are gatepost.login, gatepost.send, gatepost.bulk, gatepost.webhooks."
    }
