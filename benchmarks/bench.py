"""Measures Gatepost beside other task queues, and writes the report: `make bench`, or `python benchmarks/bench.py --help`.

Fails when a contender breaks, never because of a timing. `--smoke` is a short run for CI.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import login_latency
from campaign_setup import machine
from comparison import (
    bulk,
    crashes,
    enqueueing,
    environments,
    logins,
    memory,
    page,
    producers,
    quota,
    runners,
    stub,
)
from comparison.contenders import BEST, GATEPOST, LABELS, PEERS
from comparison.processes import free_ports, raise_priority, scratch
from gatepost_core.errors import GatepostError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from comparison.contenders import Peer

CHECKOUT: Final = Path(__file__).parents[1]
ONLY_BULK: Final = ("--queues", "bulk")
BEST_OPTIONS: Final = ("--calls", "1000")
LATE_S: Final = 0.05
_SHOWN: Final = ("celery", "auth0-python", "taskiq", "taskiq-redis", "dramatiq", "saq", "aiohttp", "requests")


@dataclass(frozen=True)
class Plan:
    """How much a run measures.

    Attributes:
        rounds: how often each contender runs in each scenario.
        recipients: of a contender with share 1, for answers at once and for late ones.
        sizes: of the campaigns that show the cost by size.
        logins: how many logins give the rate, and how many the times.
        quota_people: the recipients of the campaign beside other users.
        operations: how many sends show the memory of one.
        beside: rounds of logins beside a campaign, and logins in each.
        crash_peers: the peers that are killed; all by default.
        crash_s: how long their messages are waited for afterwards.
        crash_beside: whether the crashes happen beside the rest, in a run whose figures are not compared.
    """

    rounds: int = 5
    recipients: tuple[int, int] = (30_000, 16_000)
    sizes: tuple[int, ...] = (10_000, 100_000, 1_000_000)
    logins: tuple[int, int] = (1_000, 200)
    quota_people: int = 4_000
    operations: int = 10_000
    beside: tuple[int, int] = (3, 150)
    crash_peers: tuple[str, ...] | None = None
    crash_s: float = 150.0
    crash_beside: bool = False

    def scaled(self, scale: float) -> Plan:
        """Return a smaller or larger plan."""
        at_once, late = (max(200, round(scale * each)) for each in self.recipients)
        rate, times = (max(40, round(scale * each)) for each in self.logins)
        return replace(
            self,
            recipients=(at_once, late),
            sizes=tuple(max(200, round(scale * each)) for each in self.sizes),
            logins=(rate, times),
            quota_people=max(600, round(scale * self.quota_people)),
            operations=max(200, round(scale * self.operations)),
            beside=(self.beside[0], max(40, round(scale * self.beside[1]))),
        )


HALF: Final = Plan(rounds=3).scaled(0.5)
SMOKE: Final = Plan(
    rounds=1,
    recipients=(1_000, 400),
    sizes=(500,),
    logins=(100, 40),
    quota_people=0,
    operations=100,
    beside=(1, 40),
    crash_peers=("usual",),
    crash_s=10.0,
    crash_beside=True,
)
SMOKE_SCENARIOS: Final = ("http-at-once", "tls-50-ms")
SCENARIOS: Final = (
    ("http, answers at once", "http-at-once", False, False),
    ("http, answers after 50 ms", "http-50-ms", False, True),
    ("TLS, answers at once", "tls-at-once", True, False),
    ("TLS, answers after 50 ms", "tls-50-ms", True, True),
)


class Bench:
    """One run of the whole."""

    def __init__(self, plan: Plan, peers: Sequence[Peer], stubs: tuple[stub.Stub, stub.Stub]) -> None:
        self._plan = plan
        self._peers = peers
        self._stubs = stubs
        self.failed: list[str] = []

    def bulk(self, scenarios: Sequence[str]) -> list[dict[str, Any]]:
        """Run all contenders in all scenarios, in turns."""
        found = []
        for name, slug, tls, late in SCENARIOS:
            if slug not in scenarios:
                continue
            contenders = [
                GATEPOST,
                *([BEST] if late else []),
                *(p.name for p in self._peers if p.share[late]),
            ]
            runs: dict[str, list[dict[str, Any]]] = {each: [] for each in contenders}
            for number in range(self._plan.rounds):
                first = number % len(contenders)
                for each in contenders[first:] + contenders[:first]:
                    self._attempt(f"{name}: {each}", partial(self._bulk_once, each, tls=tls, late=late), runs[each])
            found.append({"name": name, "slug": slug, "runs": {each: done for each, done in runs.items() if done}})
        return found

    def _bulk_once(self, name: str, *, tls: bool, late: bool, count: int | None = None) -> dict[str, Any]:
        target = self._stubs[late]
        if name in (GATEPOST, BEST):
            options = (*ONLY_BULK, *(BEST_OPTIONS if name == BEST else ()))
            share, make = 1.0, partial(_gatepost, target, tls=tls, options=options)
        else:
            peer = next(peer for peer in self._peers if peer.name == name)
            share, make = peer.share[late], partial(_peer, peer, target, late=late, tls=tls)
        count = count or 2 * round(share * self._plan.recipients[late] / 2)
        run = asdict(bulk.measure(make, target, count))
        print(f"  {LABELS[name]:42}{run['rate']:10,.0f}/s{run['cpu_s_per_1000']:10.3f} CPU-s per 1,000", flush=True)
        return run

    def sizes(self) -> list[dict[str, Any]]:
        """Run campaigns of several sizes."""
        found: list[dict[str, Any]] = []
        for size in self._plan.sizes:
            once = partial(self._bulk_once, GATEPOST, tls=False, late=False, count=size)
            self._attempt(f"a campaign of {size:,}", once, found)
        return found

    def logins(self) -> dict[str, list[dict[str, Any]]]:
        """Measure logins through Gatepost and the usual way, in turns."""
        queues: dict[str, Callable[[str, Path], logins.Queue]] = {
            GATEPOST: partial(logins.GatepostLogins, self._stubs[0]),
            "usual": partial(logins.CeleryLogins, self._stubs[0]),
        }
        runs: dict[str, list[dict[str, Any]]] = {name: [] for name in queues}
        count, idle = self._plan.logins
        for _ in range(self._plan.rounds):
            for name, make in queues.items():
                once = partial(_logins_once, make, self._stubs[0], count, idle)
                self._attempt(f"logins: {name}", once, runs[name])
        return {name: done for name, done in runs.items() if done}

    def enqueueing(self) -> dict[str, list[dict[str, Any]]]:
        """Measure each way to enqueue, in turns."""
        runs: dict[str, list[dict[str, Any]]] = {name: [] for name in enqueueing.WAYS}
        for _ in range(self._plan.rounds):
            for name, done in runs.items():
                once = partial(enqueueing.measure, name, 5 * self._plan.logins[0])
                self._attempt(f"enqueueing: {name}", once, done)
        return {name: done for name, done in runs.items() if done}

    def producers(self) -> dict[str, list[dict[str, Any]]]:
        """Start applications that make a producer, in turns."""
        runs: dict[str, list[dict[str, Any]]] = {name: [] for name in producers.WAYS}
        for _ in range(self._plan.rounds):
            for name, done in runs.items():
                self._attempt(f"a producer: {name}", partial(producers.measure, name), done)
        return {name: done for name, done in runs.items() if done}

    def memory(self) -> dict[str, Any] | None:
        """Return the bytes of one operation in Redis."""
        found: list[dict[str, Any]] = []
        self._attempt("memory of sends", partial(memory.measure, self._stubs[0], self._plan.operations), found)
        return found[0] if found else None

    def beside(self) -> dict[str, Any] | None:
        """Return the times of logins alone and beside a campaign."""
        found: list[dict[str, Any]] = []
        self._attempt("logins beside a campaign", partial(login_latency.compare, *self._plan.beside), found)
        return found[0] if found else None

    def crashes(self) -> dict[str, Any]:
        """Kill the workers of each contender with a queue, and return what became of its messages."""
        print("crashes", flush=True)
        chosen = self._plan.crash_peers
        peers = [peer for peer in self._peers if peer.enqueue and (chosen is None or peer.name in chosen)]
        found, failed = crashes.measure(peers, self._plan.crash_s)
        for line in failed:
            print(f"  FAILED: {line}", flush=True)
        self.failed += failed
        return found

    def _attempt(self, what: str, measure: Callable[[], dict[str, Any]], runs: list[dict[str, Any]]) -> None:
        """Measure once. A contender that breaks is named at the end, and the others go on."""
        print(what, flush=True)
        try:
            runs.append(measure())
        except (SystemExit, subprocess.SubprocessError, TimeoutError, GatepostError) as error:
            self.failed.append(f"{what}: {error}")
            print(f"  FAILED: {error}", flush=True)


def _logins_once(make: Callable[[str, Path], logins.Queue], target: stub.Stub, count: int, idle: int) -> dict[str, Any]:
    return asdict(logins.measure(make, target, count, idle))


def _gatepost(
    target: stub.Stub, url: str, directory: Path, *, tls: bool, options: tuple[str, ...]
) -> runners.Contender:
    return runners.Gatepost(target, url, directory, tls=tls, options=options)


def _peer(peer: Peer, target: stub.Stub, url: str, directory: Path, *, late: bool, tls: bool) -> runners.Contender:
    return runners.PeerOfGatepost(peer, target, url, directory, calls=peer.calls[late], tls=tls)


def measure(plan: Plan, chosen: Sequence[str], scenarios: Sequence[str]) -> dict[str, Any]:
    """Run everything, and return the report."""
    begun, before, priority = datetime.now(UTC), os.getloadavg()[0], raise_priority()
    wanted = [peer for peer in PEERS if not chosen or peer.name in chosen]
    skipped = {peer.name: why for peer in wanted if (why := environments.missing_installer(peer))}
    for name, why in skipped.items():
        print(f"Skipped: {LABELS[name]}: {why}", flush=True)
    peers = [peer for peer in wanted if peer.name not in skipped]
    for peer in peers:
        environments.interpreter(peer)
    with scratch() as directory:
        directory.chmod(0o755)
        ports = free_ports(4)
        at_once = stub.running(directory / "at-once", http_port=ports[0], tls_port=ports[1], delay_s=0)
        late = stub.running(directory / "late", http_port=ports[2], tls_port=ports[3], delay_s=LATE_S)
        with at_once as first, late as second, ThreadPoolExecutor(1) as aside:
            bench = Bench(plan, peers, (first, second))
            crashed = aside.submit(bench.crashes) if plan.crash_beside else None
            report: dict[str, Any] = {
                "bulk": bench.bulk(scenarios),
                "logins": bench.logins() if "usual" in {peer.name for peer in peers} else {},
                "bare_ms": logins.bare_ms(first, plan.logins[1]),
                "enqueueing": bench.enqueueing(),
                "producers": bench.producers(),
                "memory": bench.memory(),
                "sizes": bench.sizes(),
            }
            report |= {"crashes": crashed.result() if crashed else bench.crashes(), "crash_s": plan.crash_s}
        report["beside"] = bench.beside()
    report["quota"] = asdict(quota.measure(plan.quota_people)) if plan.quota_people else None
    return report | {
        "begun": f"{begun:%Y-%m-%d %H:%M} UTC",
        "ended": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        "machine": machine(),
        "load_average": [round(before, 1), round(os.getloadavg()[0], 1)],
        "priority": priority,
        "rounds": plan.rounds,
        "best": BEST_OPTIONS,
        "versions": versions(),
        "skipped": skipped,
        "failed": bench.failed,
    }


def versions() -> dict[str, str]:
    """Return the versions of everything that runs."""
    found = {"Gatepost": version("gatepost"), "Python": platform.python_version()}
    for file in sorted(environments.PEERS_DIRECTORY.glob("*.txt")):
        pinned = dict(re.findall(r"^([\w-]+)==([\w.]+)", file.read_text(encoding="utf-8"), re.MULTILINE))
        found |= {name: pinned[name] for name in _SHOWN if name in pinned}
    package = json.loads((environments.PEERS_DIRECTORY / "bullmq" / "package.json").read_text(encoding="utf-8"))
    found |= package["dependencies"]
    commands = {
        "Redis": ("redis-server", "--version"),
        "nginx": (str(stub.NGINX), "-v"),
        "Node.js": ("node", "--version"),
    }
    for name, command in commands.items():
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=True)
        except FileNotFoundError:
            continue
        number = re.search(r"\d+\.\d+\.\d+", done.stdout + done.stderr)
        found[name] = number.group() if number else "unknown"
    return found


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--smoke", action="store_true", help="about a minute; writes into build/bench/smoke")
    parser.add_argument("--half", action="store_true", help="three rounds of half the sizes, in about twenty minutes")
    parser.add_argument("--rounds", type=int, help="rounds of each contender [default: 5]")
    parser.add_argument("--scale", type=float, default=1.0, help="multiplies all sizes [default: 1]")
    parser.add_argument("--peers", default="", help="comma-separated names; all by default")
    slugs = ",".join(slug for _, slug, _, _ in SCENARIOS)
    parser.add_argument("--scenarios", default=slugs, help=f"comma-separated [default: {slugs}]")
    parser.add_argument("--from-json", type=Path, help="write the page and the pictures from a report, without a run")
    return parser.parse_args()


def main() -> None:
    """Run the benchmark, and write the report."""
    given = arguments()
    if given.smoke:
        directory = CHECKOUT / "build" / "bench" / "smoke"
        figures_file, page_file, pictures = (
            directory / "report.json",
            directory / "benchmarks.md",
            directory / "benchmarks",
        )
        directory.mkdir(parents=True, exist_ok=True)
        plan, scenarios = SMOKE, SMOKE_SCENARIOS
    else:
        reference = CHECKOUT / "docs" / "reference"
        figures_file = CHECKOUT / "benchmarks" / "results" / "report.json"
        page_file, pictures = reference / "benchmarks.md", reference / "benchmarks"
        plan = (HALF if given.half else Plan()).scaled(given.scale)
        plan = replace(plan, rounds=given.rounds or plan.rounds)
        scenarios = given.scenarios.split(",")
    if given.from_json:
        report = json.loads(given.from_json.read_text(encoding="utf-8"))
    else:
        if lacking := stub.missing():
            sys.exit(lacking)
        report = measure(plan, list(filter(None, given.peers.split(","))), scenarios)
        figures_file.write_text(json.dumps(report) + "\n", encoding="utf-8")
    page.write(report, page_file, pictures)
    print(f"Written: {page_file.relative_to(CHECKOUT)}")
    if report["failed"]:
        sys.exit("\n".join(["These runs failed:", *report["failed"]]))


if __name__ == "__main__":
    main()
