"""The parts of the report's page about single operations and crashes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from comparison.contenders import GATEPOST, GATEPOST_AFTER_A_CRASH, LABELS, PEERS
from comparison.crashes import ANSWER_S, CALLS
from comparison.tables import Column, cell, table

if TYPE_CHECKING:
    from collections.abc import Mapping


def crashes(report: Mapping[str, Any]) -> list[str]:
    """Return the table of what a crash loses and doubles."""
    found = report.get("crashes")
    if not found:
        return []
    why = {GATEPOST: GATEPOST_AFTER_A_CRASH, **{peer.name: peer.after_a_crash for peer in PEERS}}
    rows = [
        [
            LABELS[name],
            *(f"{run[figure]}" for figure in ("interrupted", "lost", "doubled")),
            "none" if run["unknown"] is None else f"{run['unknown']} `unknown`",
            why[name],
        ]
        for name, run in found.items()
    ]
    recipients = next(iter(found.values()))["recipients"]
    text = f"""## Losses and repetitions in a crash

{recipients} recipients, two processes with {CALLS} calls at once each, and a stub that answers after {ANSWER_S:g} s and counts the requests for each recipient. Amid the calls, `SIGKILL` ends both
processes. They start again at once, and the harness waits {report["crash_s"]:g} s for messages that come back later. Gatepost runs until every recipient has ended. *Interrupted* calls had no answer when both processes were dead. *Lost* recipients got no
request at all, and *doubled* ones more than one. Redis itself can lose the last second of its append-only file, for Gatepost as well.

{table(["", "calls interrupted", "lost", "doubled", "reported as perhaps sent", "why"], rows)}"""
    return [text]


def beside(report: Mapping[str, Any]) -> list[str]:
    """Return the section about logins beside a campaign."""
    found = report.get("beside")
    if not found:
        return []
    rows = [
        [label, f"{found[key]['p50']:.1f}", f"{found[key]['p99']:.1f}"]
        for label, key in (("alone", "alone_ms"), ("beside a campaign", "beside_a_campaign_ms"))
    ]
    text = f"""## Logins beside a campaign

A tenant of the simulator grants 100 requests a second and answers after 50 ms. One worker runs {found["logins"]:,} logins, twenty a second, first alone and then while another worker sends a campaign at
{found["campaign_rate"]:.0f} recipients a second. The p99 beside the campaign is {found["p99_ratio"]:.2f} times the p99 alone.

{table(["", "p50, ms", "p99, ms"], rows)}"""
    return [text]


def enqueueing(report: Mapping[str, Any]) -> list[str]:
    """Return the section about enqueueing single operations."""
    columns = (
        Column("operations/s", lambda run: run["rate"], ",.0f"),
        Column("CPU-s per 1,000, producer", lambda run: run["cpu_s_per_1000"], ".3f"),
        Column("CPU-s per 1,000, Redis", lambda run: run.get("redis_cpu_s_per_1000"), ".3f"),
    )
    return _runs("Enqueueing single operations, one process", "", columns, report["enqueueing"])


def producers(report: Mapping[str, Any]) -> list[str]:
    """Return the section about the cost of making a producer."""
    columns = (
        Column("made after, s", lambda run: run["construct_s"], ".2f"),
        Column("CPU, s", lambda run: run["construct_cpu_s"], ".2f"),
        Column("first call returned after, s", lambda run: run["first_call_s"], ".2f"),
        Column("MiB after the first call", lambda run: run["mib"], ".0f"),
    )
    text = "A new interpreter imports the library, makes the producer and enqueues one operation.\n\n"
    return _runs("An application that makes a producer", text, columns, report.get("producers", {}))


def memory(report: Mapping[str, Any]) -> list[str]:
    """Return the section about the memory of single operations."""
    found = report.get("memory")
    if not found:
        return []
    rows = [
        ["a send that waits, with its message", f"{found['queued']:,.0f}"],
        ["a send that was accepted, with its entry for erasures", f"{found['settled']:,.0f}"],
        ["its outcome in the form of Celery's results", f"{found['celery_result']:,.0f}"],
        ["an idempotency key of such a send", f"{found['idempotency_key']:,.0f}"],
    ]
    text = f"""## Gatepost: Redis bytes of one operation

By `used_memory`, from runs with a worker.

{table(["", "bytes"], rows)}"""
    return [text]


def _runs(title: str, text: str, columns: tuple[Column, ...], runs: Mapping[str, Any]) -> list[str]:
    rows = [[name, *(cell(each, column) for column in columns)] for name, each in runs.items()]
    return [f"## {title}\n\n{text}{table(['', *(column.title for column in columns)], rows)}"] if rows else []
