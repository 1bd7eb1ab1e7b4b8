"""The stack of the chaos tests: worker processes that faults strike, and the reconciler's tick from the test itself."""

from __future__ import annotations

import json
import os
import sys
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import redis

from gatepost import errors as e
from gatepost_core.broker.messages import RECONCILE
from gatepost_core.broker.publishing import build_app, publish
from gatepost_core.kinds import Queue
from gatepost_core.redis.connections import connect
from support.keys import KEYS
from support.stack import Program, Stack

if TYPE_CHECKING:
    from collections.abc import Callable

    from celery import Celery

    from support.chaos_rabbitmq import RabbitMQ

ALL_QUEUES = ",".join(KEYS.queue(queue) for queue in Queue)
_TICK_S = 0.3
_LAST_DATABASE = 15
_EXECUTE = "import os, sys; os.execvp(sys.argv[1], sys.argv[1:])"


@dataclass
class ChaosStack(Stack):
    """Short times, so that lost messages are found soon; one worker's faults do not reach another's messages."""

    rabbitmq: RabbitMQ | None = None
    _app: Celery | None = None
    _brokers: int = 0

    def __post_init__(self) -> None:
        times = {
            "GATEPOST_EMAIL_DEADLINE": "2",
            "GATEPOST_SMS_DEADLINE": "2",
            "GATEPOST_LOGIN_DEADLINE": "2",
            "GATEPOST_LEASE_MARGIN": "1",
            "GATEPOST_REPUBLISH_AFTER": "1",
        }
        broker = {"GATEPOST_BROKER_URL": self.rabbitmq.url} if self.rabbitmq else {}
        self.environment = {**times, **broker, **self.environment}
        super().__post_init__()

    def redis(self) -> redis.Redis:
        """Return a client of the ledger's Redis, wherever its master is."""
        return connect(self.settings)

    def broker_apart(self) -> str:
        """Return the URL of an empty broker of the stack's kind, whose messages no other worker takes; the ledger is the stack's."""
        self._brokers += 1
        if self.rabbitmq:
            return self.rabbitmq.new_host(f"apart-{self.valkey.port}-{self._brokers}")
        url = f"{self.valkey.url.removesuffix('/0')}/{self._brokers % _LAST_DATABASE + 1}"
        with redis.Redis.from_url(url) as client:
            client.flushdb()
        return url

    def struck(self, *faults: dict[str, Any], queues: str = ALL_QUEUES, **environment: str) -> Program:
        """Start a worker that `chaos_worker` strikes at the points named, and wait until it takes messages."""
        path = os.pathsep.join([str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
        return self.worker(
            queues, application="support.chaos_worker", PYTHONPATH=path, CHAOS_FAULTS=json.dumps(faults), **environment
        )

    def worker_within(self, prefix: list[str], **environment: str) -> Program:
        """Start a worker through another command, such as one that enters a network namespace."""
        name = f"within{len(self.programs)}@test"
        celery = [sys.executable, "-m", "celery", "-A", "gatepost_worker", "worker", "-n", name, "-Q", ALL_QUEUES]
        options = ["--loglevel", "INFO", "--without-gossip", "--without-mingle"]
        program = self.start(name, "-c", _EXECUTE, *prefix, *celery, *options, **environment)
        self.until(lambda: "ready." in program.output(), f"{name} is ready", program)
        return program

    def tick(self) -> None:
        """Ask a worker for one run of the reconciler, as beat does."""
        if self._app is None:
            self._app = build_app(self.settings)
        publish(self._app, RECONCILE, Queue.LOGIN, str(uuid.uuid4()), {})

    def until_swept(self, holds: Callable[[], bool], what: str, timeout: float = 60) -> None:
        """Wait for something that needs the reconciler, through any restart of Redis."""
        last = 0.0

        def look() -> bool:
            nonlocal last
            try:
                if time.monotonic() - last > _TICK_S:
                    last = time.monotonic()
                    self.tick()
                return holds()
            except (e.Unavailable, OSError):
                return False

        self.until(look, what, timeout=timeout)

    def __exit__(self, *args: object) -> None:
        super().__exit__(*args)
        if self._app is not None:
            self._app.close()


def fault(action: str, *points: str, seconds: float = 0.0) -> dict[str, Any]:
    """Describe a fault for `ChaosStack.struck`."""
    return {"action": action, "points": list(points), "seconds": seconds}
