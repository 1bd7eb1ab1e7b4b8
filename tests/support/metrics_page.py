"""The tables of docs/reference/metrics.md, drawn from the code. To renew them: `python tests/support/metrics_page.py`."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).parents[1]))

from gatepost_operations.monitoring import names as fleet
from gatepost_worker.metrics import names as worker
from support.checkout import CHECKOUT

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gatepost_worker.metrics.names import Metric

PAGE = CHECKOUT / "docs" / "reference" / "metrics.md"


def table(metrics: Iterable[Metric]) -> str:
    """Return a table with a row for each metric."""
    rows = [
        f"| `{metric.name}` | {metric.type.value} | {', '.join(f'`{label}`' for label in metric.labels)} | {metric.meaning} |"
        for metric in metrics
    ]
    return "\n".join(["| name | type | labels | meaning |", "|---|---|---|---|", *rows])


def renewed(text: str) -> str:
    """Return the page with the tables of today's code."""
    for title, metrics in (("Workers", worker.METRICS), ("The fleet", fleet.METRICS)):
        pattern = re.compile(rf"(## {title}\n.*?\n\n)\| name \|.*?(?=\n\n|\Z)", re.DOTALL)
        rows = table(metrics).replace("\\", r"\\")
        text = pattern.sub(rf"\g<1>{rows}", text)
    return text.rstrip("\n") + "\n"


if __name__ == "__main__":
    PAGE.write_text(renewed(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
