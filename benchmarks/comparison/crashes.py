"""What a crash loses and doubles: both workers of a contender are killed amid their calls, and started again."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from comparison.bulk import ends_of_logs
from comparison.contenders import GATEPOST, PROCESSES
from comparison.counting_stub import counting
from comparison.processes import redis_server, scratch
from comparison.runners import Gatepost, PeerOfGatepost

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from comparison.contenders import Peer
    from comparison.counting_stub import CountingStub

CALLS: Final = 10
"""Calls at once in each of two processes."""
RECIPIENTS: Final = 200
ANSWER_S: Final = 0.5
BEFORE_THE_KILL: Final = 50
_START_S: Final = 90.0
# The queue `send` carries the reconciler's task too.
_OPTIONS: Final = ("--queues", "login,send,bulk", "--calls", str(CALLS))
# Gatepost ends every recipient; this is a limit for a broken run.
_GATEPOST_S: Final = 300.0
_POLL_S: Final = 0.1


@dataclass(frozen=True)
class CrashRun:
    """What became of the recipients of one contender.

    Attributes:
        recipients: how many.
        interrupted: those whose call was under way just after the kill. Their requests had arrived.
        lost: those for whom no request ever arrived.
        doubled: those for whom more than one arrived.
        unknown: those that the contender reports as perhaps sent; None if it has no such report.
        waited_s: seconds from the restart to the last request.
    """

    recipients: int
    interrupted: int
    lost: int
    doubled: int
    unknown: int | None
    waited_s: float


def measure(peers: Sequence[Peer], wait_s: float) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """Crash Gatepost and its peers, all at the same time: most of it is waiting for a redelivery.

    Args:
        peers: the peers that have a queue.
        wait_s: how long the messages of a peer are waited for.

    Returns:
        The result of each contender, and a sentence for each that could not be measured.
    """
    makes: dict[str, Any] = {GATEPOST: _gatepost, **{peer.name: partial(_peer, peer) for peer in peers}}
    waits = dict.fromkeys(makes, wait_s) | {GATEPOST: _GATEPOST_S}
    found: dict[str, dict[str, Any]] = {}
    failed = []
    with ThreadPoolExecutor(len(makes)) as pool:
        runs = {name: pool.submit(_crash, make, waits[name]) for name, make in makes.items()}
        for name, run in runs.items():
            try:
                found[name] = asdict(run.result())
            except SystemExit as error:
                failed.append(f"crash: {name}: {error}")
    own = found.get(GATEPOST)
    if own is not None and (own["lost"] or own["doubled"] or not 0 < own["unknown"] <= PROCESSES * CALLS):
        failed.append(f"crash: Gatepost did not keep its promise: {own}")
    return found, failed


def _gatepost(stub: CountingStub, redis_url: str, directory: Path) -> Gatepost:
    return Gatepost(stub, redis_url, directory, tls=False, options=_OPTIONS)


def _peer(peer: Peer, stub: CountingStub, redis_url: str, directory: Path) -> PeerOfGatepost:
    return PeerOfGatepost(peer, stub, redis_url, directory, calls=CALLS, tls=False)


def _crash(make: Callable[..., Gatepost | PeerOfGatepost], wait_s: float) -> CrashRun:
    with counting(ANSWER_S) as stub, scratch() as directory, redis_server(directory) as (url, _):
        contender = make(stub, url, directory)
        contender.load(RECIPIENTS)
        with ExitStack() as workers:
            contender.workers(workers)
            if not _until(lambda: sum(stub.arrivals.values()) >= BEFORE_THE_KILL, _START_S):
                raise SystemExit(f"{sum(stub.arrivals.values())} requests in {_START_S:g} s\n{ends_of_logs(directory)}")
        interrupted = stub.under_way
        restarted = time.monotonic()
        with ExitStack() as workers:
            contender.workers(workers)
            _until(contender.is_finished, wait_s)
            return CrashRun(
                recipients=RECIPIENTS,
                interrupted=interrupted,
                lost=RECIPIENTS - len(stub.arrivals),
                doubled=sum(count > 1 for count in stub.arrivals.values()),
                unknown=contender.unknown(),
                waited_s=round(max(0.0, stub.last - restarted), 1),
            )


def _until(holds: Callable[[], bool], seconds: float) -> bool:
    give_up = time.monotonic() + seconds
    while time.monotonic() < give_up:
        if holds():
            return True
        time.sleep(_POLL_S)
    return False
