"""A stub of a tenant, in a separate process. It shares no code with Gatepost or its simulator.

    with TenantStub(Scenario(latency=lognormal(0.08, 1.5), foreign=sine(20, 80, period=40))) as stub:
        ...  # workers with AUTH0_BASE_URL=stub.url
        total = stub.total(10, 60)
        assert total.ours_429 == 0
        assert total.share_used > 0.97

Foreign users are simulated inside the stub: they take tokens at random moments, and a second bucket without us says which of their
429s are our fault.
"""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Self

from outside.shared_quota import Second


def constant(value: float) -> list[Any]:
    """The same latency in seconds, or the same foreign load a second, for ever."""
    return ["constant", value]


def uniform(low: float, high: float) -> list[Any]:
    """A latency between two."""
    return ["uniform", low, high]


def lognormal(median: float, p99: float) -> list[Any]:
    """A latency with a long tail."""
    return ["lognormal", median, p99]


def bimodal(fast: float, slow: float, share_slow: float) -> list[Any]:
    """A latency that is one or the other."""
    return ["bimodal", fast, slow, share_slow]


def steps(*steps: tuple[float, float]) -> list[Any]:
    """A foreign load that changes at moments: `steps((0, 50), (20, 100))` jumps from 50 to 100 a second after 20 s."""
    return ["steps", [list(step) for step in steps]]


def sine(low: float, high: float, *, period: float) -> list[Any]:
    """A foreign load that goes from `low` to `high` and back within `period` seconds."""
    return ["sine", low, high, period]


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """How the tenant behaves.

    Attributes:
        limit: the bucket's size, full at the start.
        refill: tokens a second.
        latency: seconds of an answer. The bucket is asked after half of it, at most 20 ms.
        foreign: requests a second of others.
        refused_share: of the recipients, chosen by address, get a 400 after 1 ms. It costs a token.
        closed_connections: of new connections are closed as soon as they are there.
        closed_requests: of the requests have their connection closed without an answer and without a token.
        headers: rate-limit headers that are always sent so, `None` for never.
        seed: of everything random.
    """

    limit: int = 100
    refill: float = 100.0
    latency: list[Any] = field(default_factory=lambda: constant(0.115))
    foreign: list[Any] = field(default_factory=lambda: constant(0))
    refused_share: float = 0.0
    closed_connections: float = 0.0
    closed_requests: float = 0.0
    headers: dict[str, str | None] = field(default_factory=dict)
    seed: int = 1


@dataclass(frozen=True)
class Total:
    """Seconds of a run, added up. See `Second` for the counts."""

    seconds: int
    refill: float
    ours_granted: int
    ours_429: int
    ours_refused: int
    ours_closed: int
    foreign_wanted: int
    foreign_granted: int
    foreign_429: int
    foreign_429_blamed: int

    @property
    def left(self) -> float:
        """The refill that the foreign users did not use."""
        return self.refill * self.seconds - self.foreign_granted

    @property
    def share_used(self) -> float:
        """Our share of the rest."""
        return self.ours_granted / self.left

    @property
    def share_429(self) -> float:
        """The part of our requests that found no token."""
        return self.ours_429 / max(1, self.ours_granted + self.ours_429)

    @property
    def share_blamed(self) -> float:
        """The part of the foreign requests that found no token because of us."""
        return self.foreign_429_blamed / max(1, self.foreign_wanted)


class TenantStub:
    """A running stub. Use it as a context manager."""

    def __init__(self, scenario: Scenario | None = None) -> None:
        """Prepare one that behaves so at first."""
        self.scenario = scenario or Scenario()

    def __enter__(self) -> Self:
        command = [sys.executable, str(Path(__file__).with_name("tenant_server.py")), json.dumps(asdict(self.scenario))]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self.port, self._control_port = map(int, self._process.stdout.readline().split())
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        with self._process:
            pass

    @property
    def url(self) -> str:
        """For `AUTH0_BASE_URL`."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        return self._process.pid

    def run(self, scenario: Scenario) -> None:
        """Begin anew: clock, bucket, counts."""
        self.scenario = scenario
        self._ask("/run", json.dumps(asdict(scenario)))

    def seconds(self) -> list[Second]:
        """Return the counts of each second that is over."""
        return [Second(**second) for second in self._ask("/seconds")]

    def total(self, first: int = 0, until: int | None = None) -> Total:
        """Add up the seconds from `first` to `until`, which is not counted; to the present one when there is none."""
        chosen = self.seconds()[first:until]
        counts = [each.name for each in fields(Total) if each.name not in ("seconds", "refill")]
        sums = {name: sum(getattr(second, name) for second in chosen) for name in counts}
        return Total(seconds=len(chosen), refill=self.scenario.refill, **sums)

    def _ask(self, path: str, body: str = "") -> Any:
        connection = http.client.HTTPConnection("127.0.0.1", self._control_port, timeout=30)
        try:
            connection.request("POST", path, body)
            return json.loads(connection.getresponse().read())
        finally:
            connection.close()
