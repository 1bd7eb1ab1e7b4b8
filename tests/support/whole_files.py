"""Spreads the tests over the processes of pytest-xdist: whole files at a time, and the slow ones first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xdist.scheduler import LoadScopeScheduling

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pytest

# Files that share a stack of the session run in one process, so that the stack starts once. Each line is one group of paths, by their beginnings.
TOGETHER = (
    ("tests/chaos/test_rabbitmq",),
    ("tests/chaos/test_killed_workers", "tests/chaos/test_struck_workers", "tests/chaos/test_messages"),
    (
        "tests/acceptance/operations/test_outcomes",
        "tests/acceptance/operations/test_submission",
        "tests/acceptance/trust/test_replay",
    ),
)
# The quick tiers come last: no file of theirs keeps one process busy when the others have ended.
_LAST = ("integration", "unit")


class WholeFiles(LoadScopeScheduling):
    """Gives each process a file, or a group of files, when it has almost done the last one; in the order of collection."""

    def __init__(self, config: pytest.Config, log: object = None) -> None:
        super().__init__(config, log)
        config.option.loadscopereorder = False

    def _split_scope(self, nodeid: str) -> str:
        path = nodeid.partition("::")[0]
        return next((group[0] for group in TOGETHER if path.startswith(group)), path)


def slow_first(items: Iterable[pytest.Item]) -> list[pytest.Item]:
    """Return the tests with those of slow files first, then tier by tier; the tests of a file stay together."""
    items = list(items)
    slow = {item.path for item in items if item.get_closest_marker("slow")}

    def rank(item: pytest.Item) -> tuple[bool, int]:
        tier = item.nodeid.split("/")[1]
        return item.path not in slow, _LAST.index(tier) + 1 if tier in _LAST else 0

    return sorted(items, key=rank)
