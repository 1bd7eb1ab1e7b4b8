"""The reference page lists every metric, as the code declares it."""

from __future__ import annotations

from support.metrics_page import PAGE, renewed


def test_the_page_lists_every_metric() -> None:
    """Renew it with `python tests/support/metrics_page.py`."""
    text = PAGE.read_text(encoding="utf-8")

    assert renewed(text) == text
