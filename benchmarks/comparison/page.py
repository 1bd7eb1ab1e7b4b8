"""Writes the report's page and its pictures from the figures in the JSON file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from comparison import charts, figures, operations, summary
from comparison.bulk import BIN_S
from comparison.contenders import BEST, GATEPOST, LABELS, PEERS
from comparison.tables import Column, cell, spread, table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from comparison.contenders import Peer

_NOT_MEASURED: Final = (
    "a real tenant, or a network: all traffic stays on one machine",
    "several machines: the workers, Redis and the stub share the cores of one machine",
    "a crash of Redis or of the machine",
    "brokers other than Redis",
)

_SENDING: Final = """## Sending to many

Each program sends with two processes. The stub has no rate limit. Slow programs get fewer recipients, so that all runs take about the same time.

Gatepost does more work per recipient than the other programs. It keeps a [record](glossary.md#ledger) of each recipient, asks a shared [rate limiter](glossary.md#limiter) before each
request, and [encrypts](glossary.md#sealed) personal data. Gatepost's figures include the cost of this work.

| column | meaning |
|---|---|
| recipients/s | how many recipients per second the program sends to, on average between the first and the last answer of the stub |
| CPU-s per 1,000 | CPU seconds that the workers and Redis together use for 1,000 recipients |
| ramp, s | seconds from the start until the rate reaches 80 % of the *plateau*, which is the median rate in the middle half of the run |
| tail, s | seconds at the end of the run in which the rate is below half of the plateau |
| workers, MiB | the highest memory use of all workers together |
| Redis bytes per recipient | the memory that each waiting recipient takes in Redis |
| noise | the difference between the fastest and the slowest round, divided by the median |
| share of Gatepost's rate | the rate of the program, divided by the rate of Gatepost with default settings |

Ramp and tail are measured in steps of 0.25 s."""

_BULK: Final = (
    Column("recipients/s", lambda run: run["rate"], ",.0f"),
    Column("CPU-s per 1,000", lambda run: run["cpu_s_per_1000"], ".3f"),
    Column("ramp, s", lambda run: run["ramp_s"], ".2f"),
    Column("tail, s", lambda run: run["tail_s"], ".2f"),
    Column("workers, MiB", lambda run: run["worker_mib"], ",.0f"),
    Column("Redis bytes per recipient", lambda run: run["redis_bytes"], ",.0f"),
)


def write(report: Mapping[str, Any], page: Path, pictures: Path) -> None:
    """Write the page and its pictures.

    Args:
        report: the content of the JSON file.
        page: the Markdown file.
        pictures: their directory, beside the page or below it.
    """
    pictures.mkdir(parents=True, exist_ok=True)
    drawn = draw(report)
    for name, text in drawn.items():
        (pictures / f"{name}.svg").write_text(text, encoding="utf-8")
    place = pictures.relative_to(page.parent)
    parts = [_head(report), *summary.section(report), *operations.crashes(report), *_bulk(report, place)]
    parts += [*_logins(report, place), *operations.beside(report), *operations.enqueueing(report)]
    parts += [*operations.producers(report), *operations.memory(report), *_sizes(report, place)]
    parts += [*_quota(report, place), _settings(report), _outside()]
    page.write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def draw(report: Mapping[str, Any]) -> dict[str, str]:
    """Return the pictures by name."""
    drawn = {}
    for scenario in report["bulk"]:
        rates = {
            LABELS[name].replace("`", ""): spread(runs, _BULK[0]).median for name, runs in scenario["runs"].items()
        }
        drawn[f"rate-{scenario['slug']}"] = charts.bars(f"Recipients a second: {scenario['name']}", rates, ",.0f")
        curves = {LABELS[name].replace("`", ""): _curve(_middle(runs)) for name, runs in scenario["runs"].items()}
        drawn[f"progress-{scenario['slug']}"] = charts.lines(
            f"Progress: {scenario['name']}", "recipients a second, over time", curves, "s"
        )
    if report["logins"]:
        times = {
            f"{LABELS[name]}, {load}": _distribution([each for run in runs for each in run[f"{key}_ms"]])
            for name, runs in report["logins"].items()
            for key, load in (("idle", "idle"), ("loaded", "70 % load"))
        }
        drawn["logins"] = charts.lines(
            "Logins: milliseconds from the call to the result", "by the share of logins, up to 95 %", times, "%"
        )
    if report["sizes"]:
        largest = report["sizes"][-1]
        name = f"A campaign of {largest['recipients']:,}"
        drawn["largest-rate"] = charts.lines(name, "recipients a second, over time", {"Gatepost": _curve(largest)}, "s")
        memory = {
            label: [(sample[0], sample[column]) for sample in largest["memory"]]
            for label, column in (("both workers", 1), ("Redis", 2))
        }
        drawn["largest-memory"] = charts.lines(name, "MiB, over time", memory, "s")
    if report["quota"]:
        ours, others = report["quota"]["ours"], report["quota"]["others"]
        total = [own + other for own, other in zip(ours, others, strict=True)]
        drawn["quota"] = charts.lines(
            "A quota of 100 a second",
            "granted requests a second",
            {
                name: list(enumerate(map(float, each)))
                for name, each in (("campaign", ours), ("other users", others), ("together", total))
            },
            "s",
        )
    return drawn


def _head(report: Mapping[str, Any]) -> str:
    machine = report["machine"]
    load = " and ".join(f"{each:g}" for each in report["load_average"])
    return f"""# Benchmarks

<!-- Generated by `make bench`. Change benchmarks/comparison/page.py instead. -->

This page compares how fast Gatepost and other programs send messages and log people in. `make bench` measured all figures in one run, from
{report["begun"]} to {report["ended"]}. Other machines and other runs give other figures, so compare the figures only with each other.

- Machine: {machine["cpus"]} cores, {machine["cpu"] or "unknown processor"}, {machine["system"]}
- Versions: {", ".join(f"{name} {version}" for name, version in report["versions"].items())}
- Priority of the measured processes: {report["priority"]}
- Load average before and after the run: {load} (a load above {machine["cpus"]} may slow the run down)
- Rounds: {report["rounds"]}
- Programs not run: {"; ".join(f"{LABELS[name]} ({why})" for name, why in report["skipped"].items()) or "none"}
- Failed runs: {"; ".join(report["failed"]) or "none"}

Terms on this page:

- *The usual way* is a Celery task that calls `auth0-python`. [Settings](#settings) describes this program and all others.
- The *stub* is a local nginx that answers like Auth0, either immediately (*at once*) or after 50 ms. The programs send their requests to the stub.
- In each *round*, each program runs once, with a new Redis that has an append-only file. A figure is the median of all rounds. `n/a` means that there is no figure.
- A *call* is one HTTP request to the stub. It is *in flight* until the answer arrives.
- A *campaign* sends one message to each of many recipients."""


def _bulk(report: Mapping[str, Any], place: Path) -> list[str]:
    parts = [_SENDING]
    for scenario in report["bulk"]:
        gatepost = scenario["runs"].get(GATEPOST)
        base = spread(gatepost, _BULK[0]).median if gatepost else None
        rows = []
        for name, runs in scenario["runs"].items():
            rate = spread(runs, _BULK[0])
            beside = f"{rate.median / base:.1%}" if base else ""
            cells = [cell(runs, column) for column in _BULK]
            rows.append([LABELS[name], f"{runs[0]['recipients']:,}", *cells, f"{rate.noise:.0%}", beside])
        titles = ["program", "recipients", *(column.title for column in _BULK), "noise", "share of Gatepost's rate"]
        parts.append(
            f"### {scenario['name']}\n\n![Rates]({place}/rate-{scenario['slug']}.svg)\n\n{table(titles, rows)}\n\n"
            f"![Progress]({place}/progress-{scenario['slug']}.svg)"
        )
    return parts


def _logins(report: Mapping[str, Any], place: Path) -> list[str]:
    if not report["logins"]:
        return []
    bare = figures.percentile(report["bare_ms"], 0.5)
    columns = (
        Column("logins/s", lambda run: run["rate"], ",.0f"),
        Column("CPU-s per 1,000", lambda run: run["cpu_s_per_1000"], ".2f"),
        Column("idle p50, ms", lambda run: figures.percentile(run["idle_ms"], 0.5), ".1f"),
        Column("idle p99, ms", lambda run: figures.percentile(run["idle_ms"], 0.99), ".1f"),
        Column("70 % load p50, ms", lambda run: figures.percentile(run["loaded_ms"], 0.5), ".1f"),
        Column("70 % load p99, ms", lambda run: figures.percentile(run["loaded_ms"], 0.99), ".1f"),
    )
    rows = [[LABELS[name], *(cell(runs, column) for column in columns)] for name, runs in report["logins"].items()]
    text = f"""## Logins with results, one process

The columns with *ms* show how long a login takes, from the moment when the application puts it on the queue until its result is stored. The request to the stub alone takes {bare:.1f} ms
(median). Unlike the usual way, Gatepost also verifies the id_token, and [encrypts](glossary.md#sealed) codes and tokens.

- *Idle*: the program runs one login after the other.
- *70 % load*: the program runs logins at 70 % of its highest rate, which is in the column *logins/s*.

{table(["program", *(column.title for column in columns)], rows)}

![Distribution]({place}/logins.svg)"""
    return [text]


def _sizes(report: Mapping[str, Any], place: Path) -> list[str]:
    if not report["sizes"]:
        return []
    columns = (_BULK[0], _BULK[1], _BULK[4], _BULK[5])
    rows = [[f"{run['recipients']:,}", *(cell([run], column) for column in columns)] for run in report["sizes"]]
    text = f"""## Gatepost by size

In these runs, Gatepost sends with default settings to a stub that answers at once over http.

{table(["recipients", *(column.title for column in columns)], rows)}

![Rate of the largest campaign]({place}/largest-rate.svg)

![Memory of the largest campaign]({place}/largest-memory.svg)"""
    return [text]


def _quota(report: Mapping[str, Any], place: Path) -> list[str]:
    quota = report["quota"]
    if not quota:
        return []
    text = f"""## Use of a quota over time

Another stub allows 100 requests per second. While a campaign runs, other users of this stub make 20 to 80 requests per second. The stub counted all requests:

- The other users left a part of the 100 requests per second unused. The campaign used {quota["share_used"]:.1%} of this part. This was measured from a few seconds after the start until 90% of the recipients had a result.
- {quota["share_429"]:.2%} of the campaign's requests got a 429.
- {quota["share_blamed"]:.2%} of the other users' requests got a 429 because of the campaign.

![Quota]({place}/quota.svg)"""
    return [text]


def _settings(report: Mapping[str, Any]) -> str:
    rows = [
        [
            "Gatepost",
            "two processes of `gatepost worker --queues bulk` with default settings, one of them with `--beat`",
        ],
        [LABELS[BEST], f"the same as Gatepost, with the option `{' '.join(report['best'])}`"],
        *([peer.label, f"{peer.settings}{_calls(peer)}"] for peer in PEERS),
    ]
    return f"## Settings\n\n{table(['program', 'setup'], rows)}"


def _calls(peer: Peer) -> str:
    at_once, late = peer.calls
    return "" if at_once == late else f". Each process has {at_once} calls in flight, or {late} if answers take 50 ms"


def _outside() -> str:
    return "## Not measured\n\n" + "\n".join(f"- {each}" for each in _NOT_MEASURED)


def _middle(runs: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    return sorted(runs, key=lambda run: float(run["rate"]))[len(runs) // 2]


def _curve(run: Mapping[str, Any]) -> list[tuple[float, float]]:
    # The last bin is rarely whole.
    return [(number * BIN_S, float(rate)) for number, rate in enumerate(run["bins"][:-1] or run["bins"])]


def _distribution(times: Sequence[float]) -> list[tuple[float, float]]:
    return [(share, figures.percentile(times, share / 100)) for share in range(1, 96)]
