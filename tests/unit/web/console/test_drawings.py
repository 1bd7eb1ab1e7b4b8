"""Bars and charts as numbers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from gatepost_operations.web.console.chart import HEIGHT, WIDTH, chart_of
from gatepost_operations.web.console.drawing import bar_parts, bar_text
from gatepost_operations.web.console.history import Sample
from support.campaign_views import NOW, campaign_with


def _local(at: datetime) -> datetime:
    return at.astimezone(UTC)


def test_the_parts_of_a_bar_fill_it_and_even_a_single_failure_is_visible() -> None:
    """One of a million recipients would be narrower than a pixel."""
    parts = list(bar_parts(campaign_with(accepted=999_999, rejected=1)))

    assert [name for name, _, _ in parts] == ["accepted", "refused"]
    assert sum(width for _, _, width in parts) == pytest.approx(1000, abs=0.2)
    assert parts[1][2] > 3


def test_a_bar_is_read_out_with_its_numbers() -> None:
    """Screen readers get the same information."""
    assert bar_text(campaign_with(accepted=1200, queued=3)) == "accepted 1,200, waiting 3"
    assert bar_text(campaign_with()) == "no recipients"


def test_a_chart_begins_at_the_left_ends_at_the_right_and_has_gaps() -> None:
    """A missing value interrupts the line."""
    rates = [0.0, 10.0, None, 10.0]
    samples = [Sample(NOW + timedelta(seconds=10 * number), 0, rate) for number, rate in enumerate(rates)]
    chart = chart_of(samples, _local)

    assert chart is not None
    assert chart.lines[0].path == f"M0.0 {HEIGHT}.0 L213.3 6.0 M{WIDTH}.0 6.0"
    assert (chart.first, chart.last) == ("09:00:00", "09:00:30")
    assert "rate 10.0/s" in chart.summary


def test_a_chart_needs_two_samples() -> None:
    """One sample is no line."""
    assert chart_of([Sample(NOW, 0, 1.0)], _local) is None
