"""Valkey, a simulated tenant, and a worker process between them."""

from __future__ import annotations

import os
import secrets
import subprocess
import time
import uuid
from contextlib import ExitStack
from typing import TYPE_CHECKING, Final, Self

from gatepost import Producer, Settings, load_settings
from gatepost_core.redis.keys import RedisKeys
from gatepost_core.sealing import Key
from gatepost_core.states import OPEN_STATES
from gatepost_operations.local.embedded_valkey import EmbeddedValkey
from gatepost_operations.processes import Child, worker_command
from gatepost_simulator.server import SimulatorServer
from gatepost_simulator.settings import DEV_CLIENT_ID, DEV_CLIENT_SECRET
from gatepost_testing.outbox import Outbox

if TYPE_CHECKING:
    from pathlib import Path

    from gatepost_simulator.control import ControlClient

_DRAIN_S: Final = 60.0
_LOOK_EVERY_S: Final = 0.05
_STOP_S: Final = 5.0
_QUEUES: Final = ("login", "send", "bulk")


class World:
    """A running Gatepost. Use it as a context manager.

    The worker is a process and not a thread of the test: Celery's workers change the process that they run in, and so would change the
    application under test.

    Attributes:
        settings: the configuration for a `Producer`.
        environment: the same as environment variables, for processes that the test starts.
        producer: a producer.
        simulator: the simulated tenant.
        control: the client of its control API.
        outbox: the messages that it sent.
    """

    def __init__(self, directory: Path) -> None:
        """Prepare it; `__enter__` starts it.

        Args:
            directory: an empty directory, for data and logs.
        """
        self._directory = directory
        self._stack = ExitStack()
        self.environment: dict[str, str] = {}
        self.settings: Settings
        self.producer: Producer
        self.simulator: SimulatorServer
        self.control: ControlClient
        self.outbox: Outbox

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            valkey = stack.enter_context(EmbeddedValkey(self._directory / "valkey", appendfsync="no"))
            self.simulator = stack.enter_context(SimulatorServer(in_thread=True, quota={"plan": "unlimited"}))
            self.control = self.simulator.control
            self.outbox = Outbox(self.control)
            secret_values = {
                "redis_url": valkey.url,
                "sealing_keys": Key.new("world").reveal(),
                "fingerprint_key": secrets.token_urlsafe(32),
            }
            self.environment = {
                **{f"GATEPOST_{name.upper()}": value for name, value in secret_values.items()},
                "GATEPOST_RECONCILE_EVERY": "1",
                "AUTH0_DOMAIN": self.simulator.domain,
                "AUTH0_BASE_URL": self.simulator.url,
                "AUTH0_CLIENT_ID": DEV_CLIENT_ID,
                "AUTH0_CLIENT_SECRET": DEV_CLIENT_SECRET,
            }
            self.settings = load_settings(
                **secret_values, auth0_domain=self.simulator.domain, auth0_client_id=DEV_CLIENT_ID
            )
            self._start_worker(stack)
            self.producer = stack.enter_context(Producer(self.settings))
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def drain(self, timeout: float = _DRAIN_S) -> None:
        """Wait until every operation has ended, and every campaign has ended or is paused.

        Args:
            timeout: seconds.

        Raises:
            TimeoutError: some are still open. The message counts them.
        """
        give_up = time.monotonic() + timeout
        while open_ := self._open():
            if time.monotonic() > give_up:
                raise TimeoutError(f"{open_} after {timeout:.0f} s; the worker's log is {self._log}")
            time.sleep(_LOOK_EVERY_S)

    def reset(self) -> None:
        """Forget the simulator's messages, users, faults and changed settings. Operations and campaigns stay."""
        self.control.reset()

    @property
    def _log(self) -> Path:
        return self._directory / "worker.log"

    def _open(self) -> str:
        counts = self.producer.ledger.counts()
        operations = sum(number for (_, state), number in counts.items() if state in OPEN_STATES)
        campaigns = [each for each in self.producer.campaigns.active() if each.status.value != "paused"]
        if operations or campaigns:
            return f"{operations} operations and {len(campaigns)} campaigns are open"
        return ""

    def _start_worker(self, stack: ExitStack) -> None:
        keep = {name: value for name, value in os.environ.items() if not name.startswith(("GATEPOST_", "AUTH0_"))}
        log = stack.enter_context(self._log.open("w", encoding="utf-8"))
        worker = Child(
            "worker",
            worker_command(_QUEUES, name=uuid.uuid4().hex[:8], keys=RedisKeys(), beat=True),
            environment={**keep, **self.environment},
            directory=self._directory,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        stack.callback(worker.wait_or_kill, _STOP_S)
        stack.callback(worker.terminate)
