"""Real bulk workers and a real Valkey against the stub tenant, and the result of a campaign by the tenant's count."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Self

import redis

from gatepost.campaigns.control import Campaigns
from gatepost_core.campaigns.model import Options, Status
from gatepost_core.campaigns.row import Row
from gatepost_core.kinds import Channel
from gatepost_core.sealing import Key
from gatepost_core.settings import Settings
from gatepost_operations.local.embedded_valkey import EmbeddedValkey
from outside.tenant import Scenario, TenantStub, Total

if TYPE_CHECKING:
    from collections.abc import Callable

SETTLED_BY_S = 10
"""The first seconds spend what the bucket held, and find the window."""
_READY_S = 120.0


@dataclass(frozen=True)
class Outcome:
    """The result of a campaign.

    Attributes:
        total: from the second by which it had settled until a tenth of the rows was open, by the tenant's count.
        whole: from the start to the end.
        seconds: how long it took.
    """

    total: Total
    whole: Total
    seconds: float


class PacingRig:
    """Valkey, the stub tenant and worker processes. Use it as a context manager."""

    def __init__(self, scenario: Scenario, *, workers: int = 2, **environment: str) -> None:
        """Prepare it.

        Args:
            scenario: how the tenant behaves.
            workers: how many bulk workers; the first runs the schedule too.
            environment: more settings of the workers.
        """
        self._scenario = scenario
        self._workers = workers
        self._environment = environment

    def __enter__(self) -> Self:
        with ExitStack() as undo:
            self._directory = undo.enter_context(TemporaryDirectory(prefix="gatepost-pacing-"))
            valkey = undo.enter_context(EmbeddedValkey(self._directory))
            self.stub = undo.enter_context(TenantStub(self._scenario))
            self.redis = undo.enter_context(redis.Redis.from_url(valkey.url))
            given = {
                "GATEPOST_REDIS_URL": valkey.url,
                "GATEPOST_SEALING_KEYS": Key("pacing", bytes(range(32))).reveal(),
                "GATEPOST_FINGERPRINT_KEY": "a fingerprint key for pacing alone",
                "AUTH0_DOMAIN": "tenant.example.com",
                "AUTH0_CLIENT_ID": "client",
                "AUTH0_CLIENT_SECRET": "secret",
                "AUTH0_BASE_URL": self.stub.url,
                "GATEPOST_LOG_LEVEL": "WARNING",
                **self._environment,
            }
            names = {name: name.removeprefix("GATEPOST_").lower() for name in given}
            self.campaigns = undo.enter_context(Campaigns(Settings(**{names[name]: given[name] for name in given})))
            inherited = {
                name: text for name, text in os.environ.items() if not name.startswith(("AUTH0_", "GATEPOST_"))
            }
            for number in range(self._workers):
                undo.callback(_end, self._worker(number, {**inherited, **given}))
            self._until(lambda: self._listening() >= self._workers, "the workers are ready", _READY_S)
            self._stack = undo.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def prepare(self, people: int, *, domain: str = "a.example", **options: Any) -> str:
        """Add a campaign that is yet to be started."""
        campaign_id = self.campaigns.create(domain, Options(**options))
        rows = (Row(number + 1, Channel.EMAIL, f"person{number}@{domain}") for number in range(people))
        self.campaigns.add(campaign_id, rows)
        return campaign_id

    def measure(self, people: int, *, settled_by: int = SETTLED_BY_S, timeout: float = 600, **options: Any) -> Outcome:
        """Run one campaign from its start to its end.

        Args:
            people: how many recipients.
            settled_by: the second from which on shares are counted.
            timeout: seconds until it must have ended.
            options: the campaign's.
        """
        campaign_id = self.prepare(people, **options)
        self.stub.run(self._scenario)
        started = time.monotonic()
        self.campaigns.start(campaign_id)
        self._until(
            lambda: self.campaigns.status(campaign_id).status is not Status.RUNNING, "the campaign ends", timeout
        )
        seconds = time.monotonic() - started
        campaign = self.campaigns.status(campaign_id)
        assert campaign.status is Status.FINISHED, campaign
        return Outcome(self.stub.total(settled_by, self._mostly_done(people)), self.stub.total(), seconds)

    def _mostly_done(self, people: int) -> int:
        done = 0
        for second in self.stub.seconds():
            done += second.ours_granted + second.ours_closed
            if done >= 0.9 * people:
                return second.second
        return len(self.stub.seconds())

    def _worker(self, number: int, environment: dict[str, str]) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "gatepost_operations.cli", "worker", "--queues", "bulk"]
        schedule = ["--beat"] if number == 0 else []
        return subprocess.Popen([*command, *schedule], env=environment, cwd=self._directory, stdin=subprocess.DEVNULL)

    def _listening(self) -> int:
        return sum(client["cmd"] == "brpop" for client in self.redis.client_list())

    def _until(self, holds: Callable[[], bool], what: str, timeout: float) -> None:
        give_up = time.monotonic() + timeout
        while not holds():
            if time.monotonic() > give_up:
                raise AssertionError(f"after {timeout:g} s not true: {what}")
            time.sleep(0.1)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
