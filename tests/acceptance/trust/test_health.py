"""A worker's health is progress: a worker that no longer consumes is unhealthy, even if its process answers."""

from __future__ import annotations

import json
import os
import signal
import socket
import urllib.error
import urllib.request
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from support.free_ports import free_port

if TYPE_CHECKING:
    from support.stack import Program, Stack

pytestmark = pytest.mark.slow

TESTS = Path(__file__).parents[2]
STUCK_FILE = "STUCK_WORKER_FILE"
"""What `stuck_worker` reads; importing it here would read a configuration."""


class Watched:
    """A worker with a health port and little patience."""

    def __init__(self, stack: Stack, *options: str, **environment: str) -> None:
        self.stack = stack
        self.port = free_port()
        given = {"GATEPOST_HEALTH_PORT": str(self.port), "GATEPOST_HEALTH_PATIENCE": "2", **environment}
        self.program: Program = stack.worker("gatepost.login,gatepost.send", *options, **given)

    def health(self) -> tuple[int, dict[str, Any]]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/health", timeout=5) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as refused:
            with refused:
                return refused.code, json.load(refused)

    def until(self, status: int, problem: str = "") -> dict[str, Any]:
        seen: list[dict[str, Any]] = []

        def holds() -> bool:
            code, found = self.health()
            seen.append(found)
            return code == status and (not problem or any(problem in one for one in found["problems"]))

        self.stack.until(holds, f"health is {status} {problem}", self.program, timeout=120)
        return seen[-1]

    def asked(self) -> int:
        return self.stack.start("health", "-m", "gatepost_operations.cli", "health", "--port", str(self.port)).wait()


def send_one(stack: Stack) -> None:
    with stack.producer() as producer:
        assert producer.send_email(f"guest-{uuid.uuid4().hex}@example.com").result(120)


def test_a_worker_that_works_is_healthy_and_a_dead_one_is_not(stack: Stack) -> None:
    """A container's health check uses the command's exit code."""
    watched = Watched(stack)
    send_one(stack)
    # The look at the queues can fall into the moment in which the call has ended and its task has not.
    stack.until(lambda: watched.health()[1]["slots_free"] == 8, "every slot is free again")
    healthy = watched.until(200)
    asked = watched.asked()
    watched.program.kill()

    assert healthy["taken"] >= 1
    assert set(healthy["waiting"]) == {"gatepost.login", "gatepost.send"}
    assert (asked, watched.asked()) == (0, 1)


def test_a_broker_that_hangs_makes_a_worker_unhealthy_until_it_is_back(stack: Stack) -> None:
    """Connections stay open, and nothing ever comes over them: a ping over the broker would say nothing at all."""
    watched = Watched(stack)
    watched.until(200)
    os.kill(stack.valkey.pid, signal.SIGSTOP)
    try:
        hanging = watched.until(503)
        asked = watched.asked()
    finally:
        os.kill(stack.valkey.pid, signal.SIGCONT)
    watched.until(200)
    send_one(stack)

    assert asked == 1
    assert any("broker" in problem for problem in hanging["problems"])


def test_a_loop_that_is_stuck_makes_a_worker_unhealthy(stack: Stack, tmp_path: Path) -> None:
    """The process lives, the port answers, the connection is up, and the consumer does nothing."""
    stuck = tmp_path / "stuck"
    path = os.pathsep.join(part for part in (str(TESTS), os.environ.get("PYTHONPATH")) if part)
    environment = {STUCK_FILE: str(stuck), "PYTHONPATH": path}
    watched = Watched(stack, application="support.stuck_worker", **environment)
    watched.until(200)
    stuck.touch()
    watched.until(503, "The consumer's loop has not turned")
    stuck.unlink()
    watched.until(200)

    send_one(stack)


def test_messages_that_wait_while_none_is_taken_make_a_worker_unhealthy(stack: Stack) -> None:
    """Its loop turns and the broker answers, but it consumes no more: as after a lost consumer."""
    watched = Watched(stack)
    watched.until(200)
    with stack.producer() as producer:
        for queue in ("gatepost.login", "gatepost.send"):
            producer.app.control.cancel_consumer(queue, reply=True, timeout=5)
        handle = producer.send_email(f"guest-{uuid.uuid4().hex}@example.com")
        found = watched.until(503, "no message has been taken")
        producer.app.control.add_consumer("gatepost.send", reply=True, timeout=5)
        watched.until(200)

        assert found["waiting"]["gatepost.send"] >= 1
        assert handle.result(120)


def test_a_taken_port_ends_the_worker_with_the_reason(stack: Stack) -> None:
    """Rather than to run unwatched."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        arguments = ["-A", "gatepost_worker", "worker", "-Q", "gatepost.login", "--without-gossip", "--without-mingle"]
        program = stack.start("worker", "-m", "celery", *arguments, GATEPOST_HEALTH_PORT=port)

        assert program.wait() != 0
    assert "GATEPOST_HEALTH_PORT" in program.output()
