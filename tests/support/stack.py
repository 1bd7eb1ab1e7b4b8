"""The real parts of an acceptance test: Valkey, the simulator over https, and worker processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

import redis

from gatepost import Producer
from gatepost_core.settings import Settings
from gatepost_simulator.settings import DEV_CLIENT_ID, DEV_CLIENT_SECRET
from support.sealing_keys import SEALING_KEY
from support.warm_start import WarmProcess

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from gatepost_operations.local.embedded_valkey import EmbeddedValkey
    from gatepost_simulator.server import SimulatorServer

_READY_S = 120.0


@dataclass
class Program:
    """A child process whose whole output is kept in a file."""

    name: str
    process: subprocess.Popen[bytes] | WarmProcess
    log: Path

    def output(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")

    def kill(self) -> None:
        """End it as a crash does."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(timeout=30)

    def terminate(self) -> None:
        """Ask it to end, as a deployment does."""
        self.process.send_signal(signal.SIGTERM)

    def wait(self, timeout: float = 60) -> int:
        return self.process.wait(timeout=timeout)


@dataclass
class Stack:
    """Valkey and the simulator, and the processes between them. Use it as a context manager.

    Attributes:
        fresh: whether each worker and scheduler starts in a new interpreter, instead of in a fork of one that has its modules.
    """

    valkey: EmbeddedValkey
    simulator: SimulatorServer
    directory: Path
    environment: dict[str, str] = field(default_factory=dict)
    programs: list[Program] = field(default_factory=list)
    fresh: bool = False

    def __post_init__(self) -> None:
        own = {
            "GATEPOST_REDIS_URL": self.valkey.url,
            "GATEPOST_SEALING_KEYS": SEALING_KEY.reveal(),
            "GATEPOST_FINGERPRINT_KEY": "a fingerprint key of the tests alone",
            "AUTH0_DOMAIN": self.simulator.domain,
            "AUTH0_CLIENT_ID": DEV_CLIENT_ID,
            "AUTH0_CLIENT_SECRET": DEV_CLIENT_SECRET,
            "AUTH0_CA_BUNDLE": str(self.simulator.ca_file or ""),
            # Short, so that lost messages are found within the test.
            "GATEPOST_EMAIL_DEADLINE": "3",
            "GATEPOST_SMS_DEADLINE": "3",
            "GATEPOST_LOGIN_DEADLINE": "3",
            "GATEPOST_LEASE_MARGIN": "1",
            "GATEPOST_RECONCILE_EVERY": "0.5",
            "GATEPOST_REPUBLISH_AFTER": "1",
            "GATEPOST_CONCURRENCY": "8",
        }
        if not self.simulator.ca_file:
            del own["AUTH0_CA_BUNDLE"]
            own["AUTH0_BASE_URL"] = self.simulator.url
        self.environment = {**own, **self.environment}

    @property
    def settings(self) -> Settings:
        prefix = "GATEPOST_"
        given: dict[str, Any] = {}
        for name, value in self.environment.items():
            given[name.removeprefix(prefix).lower() if name.startswith(prefix) else name] = value
        if "tenants" in given:
            given["tenants"] = json.loads(given["tenants"])
        return Settings(**given)

    def producer(self) -> Producer:
        return Producer(self.settings)

    def redis(self) -> redis.Redis:
        return redis.Redis.from_url(self.valkey.url, protocol=2)

    def start(self, name: str, *command: str, python: str = sys.executable, **environment: str) -> Program:
        """Start a program of ours with the stack's environment."""
        log = self._new_log(name)
        with log.open("wb") as output:
            process = subprocess.Popen(
                [python, *command],
                cwd=self.directory,
                env=self.whole_environment(environment),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        return self._started(name, process, log)

    def _celery(self, name: str, *arguments: str, **environment: str) -> Program:
        command = ["-m", "celery", *arguments]
        if self.fresh:
            return self.start(name, *command, **environment)
        log = self._new_log(name)
        process = WarmProcess(command, self.directory, self.whole_environment(environment), log)
        return self._started(name, process, log)

    def _new_log(self, name: str) -> Path:
        log = self.directory / f"{name}-{len(self.programs)}.log"
        log.touch()
        return log

    def whole_environment(self, changes: dict[str, str]) -> dict[str, str]:
        """Return the environment of a program of the stack."""
        inherited = {key: value for key, value in os.environ.items() if not key.startswith(("AUTH0_", "GATEPOST_"))}
        return {**inherited, **self.environment, **changes}

    def _started(self, name: str, process: subprocess.Popen[bytes] | WarmProcess, log: Path) -> Program:
        program = Program(name, process, log)
        self.programs.append(program)
        return program

    def worker(
        self,
        queues: str = "gatepost.login,gatepost.send",
        *options: str,
        application: str = "gatepost_worker",
        **environment: str,
    ) -> Program:
        """Start a worker process and wait until it takes messages."""
        name = f"worker{len(self.programs)}@test"
        arguments = ["-A", application, "worker", "-n", name, "-Q", queues]
        program = self._celery(name, *arguments, "--without-gossip", "--without-mingle", *options, **environment)
        self.until(lambda: "ready." in program.output(), f"{name} is ready", program)
        return program

    def beat(self) -> Program:
        """Start the scheduler of the reconciler."""
        schedule = str(self.directory / f"beat-{len(self.programs)}")
        return self._celery("beat", "-A", "gatepost_worker", "beat", "--schedule", schedule)

    def until(
        self, holds: Callable[[], bool], what: str, program: Program | None = None, timeout: float = _READY_S
    ) -> None:
        """Wait for something that real processes do; fail with their output when it does not come."""
        give_up = time.monotonic() + timeout
        while not holds():
            if program is not None and program.process.poll() is not None:
                raise AssertionError(f"{program.name} ended with {program.process.returncode}:\n{program.output()}")
            if time.monotonic() > give_up:
                raise AssertionError(f"after {timeout} s not true: {what}\n{self.output()}")
            time.sleep(0.05)

    def output(self) -> str:
        """Everything that every program wrote."""
        return "\n".join(f"--- {program.name}\n{program.output()}" for program in self.programs)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Kill what still runs, with its children: how a worker ends is for the tests of that, and takes it a second."""
        for program in self.programs:
            if program.process.poll() is None:
                os.killpg(program.process.pid, signal.SIGKILL)
                program.wait()
