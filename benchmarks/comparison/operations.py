"""The parts of the report's page about single operations and crashes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from comparison.contenders import GATEPOST, GATEPOST_AFTER_A_CRASH, LABELS, PEERS
from comparison.crashes import ANSWER_S, BEFORE_THE_KILL, CALLS
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

This test kills all workers in the middle of a run, and counts messages that are lost or sent twice. Each program sends to {recipients} recipients with two processes. In *the usual
way*, a process has one call in flight. In all other programs, a process has {CALLS}. Gatepost puts these recipients into one [batch](glossary.md#batch), so only one of its two processes sends.

The stub of this test is a Python program that answers after {ANSWER_S:g} s. When it has received {BEFORE_THE_KILL} requests, the test kills both processes with `SIGKILL` and starts them again. Then
the test waits {report["crash_s"]:g} s for tasks that return to the queue. With Gatepost, the test already ends when every recipient has a final state.

| column | meaning |
|---|---|
| calls interrupted | calls that had no answer yet when the test killed the processes |
| lost | recipients for whom the stub got no request |
| sent twice | recipients for whom the stub got two or more requests |
| reported as perhaps sent | recipients for whom the program reports that it may have sent the message |

{table(["program", "calls interrupted", "lost", "sent twice", "reported as perhaps sent", "why"], rows)}"""
    return [text]


def beside(report: Mapping[str, Any]) -> list[str]:
    """Return the section about logins beside a campaign."""
    found = report.get("beside")
    if not found:
        return []
    rows = [
        [label, f"{found[key]['p50']:.1f}", f"{found[key]['p99']:.1f}"]
        for label, key in (("without a campaign", "alone_ms"), ("while a campaign runs", "beside_a_campaign_ms"))
    ]
    text = f"""## Logins while a campaign runs

This test uses Gatepost's [simulator](simulator.md) of Auth0, which allows 100 requests per second and answers after 50 ms. One worker runs twenty logins per second. It first runs {found["logins"]:,} logins without a campaign. Then it runs {found["logins"]:,} logins
while another worker sends a campaign, at {found["campaign_rate"]:.0f} recipients per second.

{table(["logins", "p50, ms", "p99, ms"], rows)}"""
    return [text]


def enqueueing(report: Mapping[str, Any]) -> list[str]:
    """Return the section about enqueueing single operations."""
    columns = (
        Column("sends/s", lambda run: run["rate"], ",.0f"),
        Column("CPU-s per 1,000, producer", lambda run: run["cpu_s_per_1000"], ".3f"),
        Column("CPU-s per 1,000, Redis", lambda run: run.get("redis_cpu_s_per_1000"), ".3f"),
    )
    return _runs("Putting single sends on the queue, one process", "", columns, report["enqueueing"])


def producers(report: Mapping[str, Any]) -> list[str]:
    """Return the section about the cost of making a producer."""
    columns = (
        Column("producer made, s", lambda run: run["construct_s"], ".2f"),
        Column("producer made, CPU-s", lambda run: run["construct_cpu_s"], ".2f"),
        Column("send on the queue, s", lambda run: run["first_call_s"], ".2f"),
        Column("memory at the end, MiB", lambda run: run["mib"], ".0f"),
    )
    text = "A new Python process imports the library, makes the *producer* (the object that puts sends on the queue), and puts one send on the queue. All times count from the import.\n\n"
    return _runs("How long an application takes to start", text, columns, report.get("producers", {}))


def memory(report: Mapping[str, Any]) -> list[str]:
    """Return the section about the memory of single operations."""
    found = report.get("memory")
    if not found:
        return []
    rows = [
        ["a send that waits, with its message on the queue", f"{found['queued']:,.0f}"],
        [
            "an accepted send, with its entry in the index that finds a person's sends",
            f"{found['settled']:,.0f}",
        ],
        ["the outcome of an accepted send as a Celery result", f"{found['celery_result']:,.0f}"],
        ["the [idempotency key](glossary.md#idempotency-key) of an accepted send", f"{found['idempotency_key']:,.0f}"],
    ]
    text = f"""## How many bytes one send takes in Redis

The table shows how much Redis's `used_memory` grows when Gatepost stores each value.

{table(["stored value", "bytes"], rows)}"""
    return [text]


def _runs(title: str, text: str, columns: tuple[Column, ...], runs: Mapping[str, Any]) -> list[str]:
    # An earlier report has no figures for some columns.
    shown = [
        column for column in columns if any(column.value(run) is not None for each in runs.values() for run in each)
    ]
    rows = [[name, *(cell(each, column) for column in shown)] for name, each in runs.items()]
    return [f"## {title}\n\n{text}{table(['way', *(column.title for column in shown)], rows)}"] if rows else []
