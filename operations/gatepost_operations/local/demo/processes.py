"""The processes of the demo: Valkey, the simulator, Celery beat and workers."""

from __future__ import annotations

import os
from contextlib import ExitStack, contextmanager
from typing import IO, TYPE_CHECKING, Final, Self

from gatepost_core.redis.keys import RedisKeys
from gatepost_operations.cli.dev_environment import no_proxy_variables, without_gatepost_variables
from gatepost_operations.local.embedded_valkey import EmbeddedValkey
from gatepost_operations.local.environment import (
    SimulatorAddress,
    simulator_variables,
    start_simulator,
    store_variables,
)
from gatepost_operations.processes import Child, Children, beat_command, worker_command
from gatepost_simulator.control import ControlClient

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

# Short times, so that the requests of a killed worker are settled within seconds.
_SHORT_TIMES: Final = {
    "GATEPOST_EMAIL_DEADLINE": "3",
    "GATEPOST_SMS_DEADLINE": "3",
    "GATEPOST_LOGIN_DEADLINE": "3",
    "GATEPOST_LEASE_MARGIN": "2",
    "GATEPOST_RECONCILE_EVERY": "1",
    "GATEPOST_REPUBLISH_AFTER": "3",
    "GATEPOST_CONCURRENCY": "8",
    "GATEPOST_LOG_FORMAT": "json",
}
SINGLE: Final = ("login", "send")
BULK: Final = ("bulk",)
_STOP_S: Final = 10.0


class DemoProcesses:
    """The processes of one demo, which run inside `running`.

    Args:
        directory: the directory for data, certificates and logs. The logs stay.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.logs = directory / "logs"
        self._services = Children(_STOP_S)
        self.workers = Children(_STOP_S)
        self._environment: dict[str, str] = {}
        self._address: SimulatorAddress | None = None

    @contextmanager
    def running(self) -> Iterator[Self]:
        """Start Valkey and the simulator, and stop all processes afterwards."""
        with ExitStack() as stack:
            self.logs.mkdir(mode=0o700, parents=True, exist_ok=True)
            outside = without_gatepost_variables(os.environ) | no_proxy_variables(os.environ)
            valkey = stack.enter_context(EmbeddedValkey(self.directory / "valkey"))
            stack.callback(self._services.stop)
            child, self._address = start_simulator(
                self.directory / "simulator", environment=outside, stderr=stack.enter_context(self._log("simulator"))
            )
            self._services.add(child)
            store = store_variables(valkey.url)
            self._environment = {**outside, **store, **simulator_variables(self._address), **_SHORT_TIMES}
            stack.callback(self.workers.stop)
            stack.enter_context(_as_environment(self._environment))
            yield self

    @property
    def address(self) -> SimulatorAddress:
        """The simulator's address."""
        if self._address is None:
            raise AssertionError("the simulator has started")
        return self._address

    def control(self) -> ControlClient:
        """Return a client of the simulator's control API."""
        return ControlClient(self.address.url, self.address.ca_file)

    def start_beat(self) -> None:
        """Start Celery beat, which starts the reconciler."""
        self._start("beat", beat_command(self.directory / "beat-schedule"))

    def start_worker(self, name: str, queues: Sequence[str] = SINGLE) -> Child:
        """Start a worker."""
        return self._start(name, worker_command(queues, name=name, keys=RedisKeys()))

    def dead(self) -> str | None:
        """Return the name of a process that ended by itself, if there is one."""
        for child in filter(None, (self._services.dead(), self.workers.dead())):
            return child.name
        return None

    def _start(self, name: str, command: Sequence[str]) -> Child:
        with self._log(name) as log:
            child = Child(name, command, environment=self._environment, directory=self.directory, stdout=log)
        return self.workers.add(child)

    def _log(self, name: str) -> IO[str]:
        return (self.logs / f"{name}.log").open("w", encoding="utf-8")


@contextmanager
def _as_environment(environment: dict[str, str]) -> Iterator[None]:
    # The demo's producer reads the environment too, and must not find a real tenant or broker.
    before = dict(os.environ)
    os.environ.clear()
    os.environ.update(environment)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
