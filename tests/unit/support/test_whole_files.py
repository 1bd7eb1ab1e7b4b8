"""Which tests run in one process, and in which order."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from support.checkout import CHECKOUT
from support.whole_files import TOGETHER, slow_first


@pytest.mark.parametrize("beginning", [beginning for group in TOGETHER for beginning in group])
def test_each_file_of_a_group_exists(beginning: str) -> None:
    """A renamed file would start a second stack and say nothing."""
    place = CHECKOUT / beginning

    assert list(place.parent.glob(f"{place.name}*.py"))


def item(nodeid: str, *, slow: bool = False) -> Any:
    path = Path(nodeid.partition("::")[0])
    return SimpleNamespace(nodeid=nodeid, path=path, get_closest_marker=lambda _: slow or None)


def test_slow_files_begin_and_unit_tests_end() -> None:
    """One slow test makes its file a slow one, whose tests stay in order."""
    items = [
        item("tests/unit/a/test_a.py::test_a"),
        item("tests/integration/b/test_b.py::test_quick"),
        item("tests/integration/b/test_b.py::test_slow", slow=True),
        item("tests/integration/c/test_c.py::test_c"),
        item("tests/docs/test_d.py::test_d"),
    ]

    assert [one.nodeid.rpartition("/")[2] for one in slow_first(items)] == [
        "test_b.py::test_quick",
        "test_b.py::test_slow",
        "test_d.py::test_d",
        "test_c.py::test_c",
        "test_a.py::test_a",
    ]
