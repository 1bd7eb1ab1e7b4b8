"""The table of refused responses in docs/reference/failures.md has the rules of the code, in their order."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from gatepost_core.kinds import Kind
from gatepost_worker.authentication.classify import RULES
from gatepost_worker.authentication.endpoints import Endpoint
from gatepost_worker.delivery.policy import Attempt, Dead, Deferred, RetryLimits, Unknown, decide
from support.checkout import CHECKOUT

if TYPE_CHECKING:
    from collections.abc import Container

    from gatepost_worker.authentication.classify import Rule
    from gatepost_worker.delivery.policy import Decision

PAGE = CHECKOUT / "docs" / "reference" / "failures.md"
HEAD = "| endpoint | status | error code | Auth0's text | ends as |\n|---|---|---|---|---|\n"
NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
FIRST = Attempt(kind=Kind.SEND_EMAIL, number=1, now=NOW, deadline=NOW + timedelta(minutes=10))


def statuses(chosen: Container[int] | None) -> str:
    if chosen is None:
        return "any"
    found = [status for status in range(300, 600) if status in chosen]
    hundreds = [first for first in (300, 400, 500) if set(range(first, first + 100)) <= set(found)]
    single = [str(status) for status in found if status // 100 * 100 not in hundreds]
    return ", ".join(sorted([*single, *(f"{first // 100}xx" for first in hundreds)]))


def codes(rule: Rule) -> str:
    if rule.codes is None:
        return "any" if rule.coded else "any or none"
    assert isinstance(rule.codes, set)
    return ", ".join(f"`{code}`" if code else "none" for code in sorted(rule.codes, key=lambda code: (not code, code)))


def text(pattern: str | None) -> str:
    return "" if pattern is None else f"`{pattern}`".replace("|", r"\|")


def result(decision: Decision) -> str:
    match decision:
        case Deferred():
            return "`deferred`"
        case Dead(state, reason):
            return f"`{state}` (`{reason}`)"
        case Unknown(reason):
            return f"`unknown` (`{reason}`)"
        case retry:
            return f"retried; then `exhausted` (`{retry.reason}`), or `expired` at the deadline"


def row(rule: Rule) -> str:
    endpoint = {Endpoint.START: "start", Endpoint.TOKEN: "token", None: "both"}[rule.endpoint]
    outcome = result(decide(rule.error(), FIRST, RetryLimits()))
    return f"| {endpoint} | {statuses(rule.statuses)} | {codes(rule)} | {text(rule.text)} | {outcome} |\n"


def test_the_page_has_the_table_of_the_rules() -> None:
    """Paste the expected table into the page after a change of the rules."""
    table = HEAD + "".join(row(rule) for rule in RULES)
    found = re.search(re.escape(HEAD) + r"(?:\|.*\n)+", PAGE.read_text(encoding="utf-8"))

    assert found is not None, table
    assert found[0] == table
