"""The reference of log events, against every call in the sources that writes to a log."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path

from gatepost_core.probe_results import SUCCESS
from support.checkout import CHECKOUT
from support.log_calls import VARIED, calls_in, log_calls

PAGE = CHECKOUT / "docs" / "reference" / "log-events.md"
ROW = re.compile(r"^\| `([a-z_]+\.[a-z_]+)` \| ([^|]+) \| ([^|]+) \| [^|]+ \|$", re.MULTILINE)
SPREADS = {"publish.postponed"}
"""Events of which the page describes further fields."""


def words(cell: str) -> set[str]:
    return set(re.findall(r"`([^`]+)`", cell))


def test_every_event_is_on_the_page_with_its_levels_and_fields() -> None:
    """And no other event."""
    levels, fields = defaultdict(set), defaultdict(set)
    for call in log_calls():
        levels[call.event].add("debug" if call.level == VARIED else call.level)
        fields[call.event] |= call.fields
    page = {event: (words(level), words(named)) for event, level, named in ROW.findall(PAGE.read_text("utf-8"))}

    assert page == {event: (levels[event], fields[event]) for event in levels}


def test_the_page_names_the_reason_of_a_probe_that_succeeded() -> None:
    """It is the one that metrics, the command's JSON and Redis have."""
    row = next(line for line in PAGE.read_text("utf-8").splitlines() if line.startswith("| `probe.finished` |"))

    assert f"`reason` is `{SUCCESS}` after a success" in row


def test_every_event_is_written_out_in_a_fixed_form() -> None:
    """An event that is put together at run time, or named freely, could not be searched for."""
    calls = list(log_calls())
    wrong = [call.place for call in calls if call.event is None or not re.fullmatch(r"[a-z_]+\.[a-z_]+", call.event)]

    assert len(calls) > 50
    assert wrong == []
    assert {call.event for call in calls if call.spread} == SPREADS


def test_the_search_finds_every_kind_of_call() -> None:
    """A logger under any name, one without a name, and the call from a signal handler."""
    text = """
import structlog
mine = structlog.stdlib.get_logger("a")
mine.warning("a.b", one=1, **more)
mine.log(10, "a.c", two=2)
structlog.get_logger().error("a.d")
log_soon("a.e", three=3)
mine.info(f"a.{name}")
"""
    found = [(call.event, call.level, call.spread) for call in calls_in(text, Path(CHECKOUT / "a.py"))]

    assert sorted(found, key=str) == [
        ("a.b", "warning", True),
        ("a.c", VARIED, False),
        ("a.d", "error", False),
        ("a.e", "info", False),
        (None, "info", False),
    ]
