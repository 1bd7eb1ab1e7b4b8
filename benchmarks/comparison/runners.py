"""The contenders of a bulk run: Gatepost's campaigns with workers as a user starts them, and its peers with their own programs."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

import redis

from comparison import environments
from comparison.contenders import PROCESSES, Peer
from comparison.processes import run, started
from comparison.stub import SECRET
from gatepost.campaigns.control import Campaigns
from gatepost_core.campaigns.model import Status
from gatepost_core.campaigns.row import Row
from gatepost_core.kinds import Channel
from gatepost_core.sealing import Key
from gatepost_core.settings import Settings
from gatepost_core.states import State

if TYPE_CHECKING:
    from contextlib import ExitStack

    from comparison.stub import Target

GATEPOST: Final = str(Path(sys.executable).with_name("gatepost"))
_READY_S: Final = 60.0
_QUIET_S: Final = 0.3


class Contender(Protocol):
    """Something that sends to many recipients.

    Attributes:
        has_queue: whether recipients wait in Redis.
    """

    has_queue: bool

    def load(self, count: int) -> None:
        """Put recipients into the queue or the campaign."""

    def workers(self, stack: ExitStack) -> list[int]:
        """Start to send, and return the process groups of the workers."""

    def settled(self) -> bool:
        """Whether the contender has noted all results."""


class PeerOfGatepost:
    """A peer in one run."""

    def __init__(self, peer: Peer, stub: Target, redis_url: str, directory: Path, *, calls: int, tls: bool) -> None:
        self.has_queue = bool(peer.enqueue)
        self._peer = peer
        self._directory = directory
        self._calls = calls
        self._count = 0
        self._python = environments.interpreter(peer)
        self._environment = {
            **_inherited(),
            "BENCH_REDIS_URL": redis_url,
            "BENCH_BASE_URL": stub.url(tls=tls),
            "BENCH_CALLS": str(self._calls),
            "PYTHONPATH": str(environments.PEERS_DIRECTORY),
        }
        if tls:
            self._environment |= {"BENCH_CA_FILE": str(stub.ca_file), "REQUESTS_CA_BUNDLE": str(stub.ca_file)}

    def load(self, count: int) -> None:
        """Run the peer's own producer."""
        self._count = count
        if self._peer.enqueue:
            run(self._filled(self._peer.enqueue), self._environment, environments.working_directory(self._peer))

    def workers(self, stack: ExitStack) -> list[int]:
        """Start the peer's workers."""
        cwd, log = environments.working_directory(self._peer), self._directory / "workers.log"
        commands = [self._filled(command) for command in self._peer.workers]
        return [stack.enter_context(started(command, self._environment, cwd, log)) for command in commands]

    def settled(self) -> bool:
        """Wait for acknowledgements, which no peer reports in one place."""
        time.sleep(_QUIET_S)
        return True

    def is_finished(self) -> bool:
        """Return False: a message may come back much later."""
        return False

    def unknown(self) -> None:
        """Return nothing: no peer knows which messages may have been sent."""

    def _filled(self, command: tuple[str, ...]) -> list[str]:
        names = {
            "python": self._python,
            "bin": self._python.parent,
            "count": self._count,
            "half": self._count // PROCESSES,
            "calls": self._calls,
        }
        return [part.format_map(names) for part in command]


class Gatepost:
    """A campaign of Gatepost in one run, with workers as a user starts them."""

    def __init__(self, stub: Target, redis_url: str, directory: Path, *, tls: bool, options: tuple[str, ...]) -> None:
        self.has_queue = True
        self._redis_url = redis_url
        self._directory = directory
        self._options = options
        self._environment = gatepost_environment(stub, redis_url, tls=tls)
        self._campaigns = Campaigns(gatepost_settings(self._environment))
        self._campaign_id = self._campaigns.create("benchmark")
        self._count = 0

    def load(self, count: int) -> None:
        """Add the recipients to a campaign."""
        self._count = count
        rows = (Row(number + 1, Channel.EMAIL, f"guest-{number:07}@example.com") for number in range(count))
        self._campaigns.add(self._campaign_id, rows)

    def workers(self, stack: ExitStack) -> list[int]:
        """Start two workers, wait until they listen, and start the campaign if it is new."""
        groups = []
        for number in range(PROCESSES):
            schedule = ["--beat"] if number == 0 else []
            command = [GATEPOST, "worker", *schedule, *self._options]
            log = self._directory / f"worker-{number}.log"
            groups.append(stack.enter_context(started(command, self._environment, self._directory, log)))
        wait_for_listeners(self._redis_url, PROCESSES)
        if self._campaigns.status(self._campaign_id).status is Status.DRAFT:
            self._campaigns.start(self._campaign_id)
        return groups

    def settled(self) -> bool:
        """Whether the campaign has finished, with every recipient accepted.

        Raises:
            SystemExit: a recipient ended in another state.
        """
        campaign = self._campaigns.status(self._campaign_id)
        if campaign.status is not Status.FINISHED:
            return False
        if campaign.counts[State.ACCEPTED] != self._count:
            raise SystemExit(f"not every recipient was accepted: {campaign.counts}")
        return True

    def is_finished(self) -> bool:
        """Whether every recipient is in a final state."""
        return self._campaigns.status(self._campaign_id).status is Status.FINISHED

    def unknown(self) -> int:
        """Return how many recipients are `unknown`."""
        return self._campaigns.status(self._campaign_id).counts[State.UNKNOWN]


def sealed_environment(redis_url: str) -> dict[str, str]:
    """Return the variables of a producer."""
    return {
        "GATEPOST_REDIS_URL": redis_url,
        "GATEPOST_SEALING_KEYS": Key("bench", bytes(range(32))).reveal(),
        "GATEPOST_FINGERPRINT_KEY": "a fingerprint key for benchmarks alone",
        "AUTH0_DOMAIN": "tenant.example.com",
        "AUTH0_CLIENT_ID": "client",
    }


def gatepost_environment(stub: Target, redis_url: str, *, tls: bool) -> dict[str, str]:
    """Return the variables of a worker."""
    own = {
        "AUTH0_CLIENT_SECRET": SECRET,
        "AUTH0_ID_TOKEN_SIGNING_ALG": "HS256",
        "AUTH0_BASE_URL": stub.url(tls=tls),
    }
    if tls:
        own["AUTH0_CA_BUNDLE"] = str(stub.ca_file)
    return {**_inherited(), **sealed_environment(redis_url), **own}


def gatepost_settings(environment: dict[str, str]) -> Settings:
    """Return the settings of a producer with the same variables."""
    given: dict[str, Any] = {
        name.removeprefix("GATEPOST_").lower(): value
        for name, value in environment.items()
        if name.startswith(("GATEPOST_", "AUTH0_"))
    }
    return Settings(**given)


def wait_for_listeners(redis_url: str, count: int) -> None:
    """Wait until workers of Celery wait for messages."""
    with redis.Redis.from_url(redis_url) as client:
        give_up = time.monotonic() + _READY_S
        while sum(each["cmd"] == "brpop" for each in client.client_list()) < count:
            if time.monotonic() > give_up:
                raise SystemExit(f"after {_READY_S:g} s the workers do not listen")
            time.sleep(0.05)


def _inherited() -> dict[str, str]:
    return {name: text for name, text in os.environ.items() if not name.startswith(("AUTH0_", "GATEPOST_", "BENCH_"))}
