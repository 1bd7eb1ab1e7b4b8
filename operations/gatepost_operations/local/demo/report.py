"""The demo's report: counts by kind and state, the simulator's counts, and whether they agree."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from rich.table import Table
from rich.text import Text

from gatepost_core.kinds import Kind
from gatepost_core.states import State
from gatepost_operations.cli.progress import Row
from gatepost_operations.cli.terminal import console

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from gatepost_operations.local.demo.comparison import Facts, Finding


CAMPAIGN: Final = "campaign"
_LABELS: Final[dict[str, str]] = {**{kind: kind.label for kind in Kind}, CAMPAIGN: "campaign"}


def progress_rows(states: Mapping[str, Counter[State]]) -> list[Row]:
    """Return the progress of each kind of operation that has started."""
    return [
        Row(_LABELS[kind], _ended(counts), counts.total(), _ends_of(counts))
        for kind, counts in states.items()
        if counts
    ]


def _ended(counts: Counter[State]) -> int:
    return sum(count for state, count in counts.items() if state.is_terminal)


def _ends_of(counts: Counter[State]) -> str:
    return " · ".join(f"{counts[state]:,} {state}" for state in State if state.is_terminal and counts[state])


@dataclass(frozen=True, slots=True)
class Report:
    """The contents of the report."""

    rows: int
    malformed: int
    duplicates: int
    states: Mapping[str, Counter[State]]
    facts: Facts
    findings: Sequence[Finding]
    logs: Path
    seconds: float

    @property
    def agrees(self) -> bool:
        """Whether all rules hold."""
        return all(finding.holds for finding in self.findings)

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "rows": self.rows,
            "malformed": self.malformed,
            "duplicates": self.duplicates,
            "operations": {
                str(kind): {state.value: counts[state] for state in State if counts[state]}
                for kind, counts in self.states.items()
            },
            "simulator": {**_messages_by_channel(self.facts), "token_sets": self.facts.tokens_issued},
            "reasons": {
                state.value: dict(_reason_counts(self.facts, state)) for state in (State.REJECTED, State.UNKNOWN)
            },
            "findings": [{"rule": one.rule, "holds": one.holds, "seen": one.seen} for one in self.findings],
            "agrees": self.agrees,
            "logs": str(self.logs),
            "seconds": round(self.seconds, 1),
        }


def show(report: Report) -> None:
    """Print the report on stdout."""
    terminal = console()
    people = report.rows - report.malformed - report.duplicates
    terminal.line()
    terminal.print(
        f"{report.rows:,} rows: {report.malformed:,} malformed, {report.duplicates:,} duplicates, {people:,} recipients"
    )
    terminal.line()
    terminal.print(_table(report))
    by_channel = _messages_by_channel(report.facts)
    terminal.line()
    terminal.print(
        f"The simulator itself counted {by_channel['email']:,} e-mails, {by_channel['sms']:,} SMS and "
        f"{report.facts.tokens_issued:,} token sets."
    )
    terminal.line()
    terminal.print(f"Rejected: {_reasons(report.facts, State.REJECTED)}.", soft_wrap=True)
    terminal.print(f"Unknown: {_reasons(report.facts, State.UNKNOWN)}.", soft_wrap=True)
    terminal.line()
    terminal.print(_findings(report))
    verdict = "Both sides agree." if report.agrees else "The two sides DISAGREE."
    terminal.line()
    terminal.print(Text(verdict, style="bold green" if report.agrees else "bold red"))
    terminal.print(f"{report.seconds:.1f} s. Logs of the workers: {report.logs}", soft_wrap=True)


def _table(report: Report) -> Table:
    present = [state for state in State if any(counts[state] for counts in report.states.values())]
    table = Table()
    table.add_column("")
    for name in [*present, "sum"]:
        table.add_column(str(name), justify="right")
    total: Counter[State] = Counter()
    for kind, counts in report.states.items():
        table.add_row(_LABELS[kind], *(str(counts[state]) for state in present), str(counts.total()))
        total.update(counts)
    table.add_section()
    table.add_row("sum", *(str(total[state]) for state in present), str(total.total()))
    return table


def _findings(report: Report) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    for finding in report.findings:
        mark = Text("✓", style="green") if finding.holds else Text("✗", style="bold red")
        table.add_row(mark, finding.rule, finding.seen)
    return table


def _reasons(facts: Facts, state: State) -> str:
    counted = _reason_counts(facts, state).most_common()
    return ", ".join(f"{count:,} {reason}" for reason, count in counted) or "none"


def _reason_counts(facts: Facts, state: State) -> Counter[str]:
    singly = Counter(str(one.outcome.reason) for one in facts.operations if one.outcome.state is state)
    in_bulk = {str(reason): count for (ended, reason), count in facts.campaign_reasons.items() if ended is state}
    return singly + Counter(in_bulk)


def _messages_by_channel(facts: Facts) -> dict[str, int]:
    counted = Counter(channel for channel, _ in facts.outbox)
    return {"email": counted["email"], "sms": counted["sms"]}
