"""A file without a usable row ends a command with exit code 6, and creates nothing."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from gatepost.campaigns.control import Campaigns

    Run = Callable[..., tuple[int, Any]]


@pytest.mark.parametrize("command", ["check", "plan", "send"])
def test_a_file_without_rows_has_no_recipients(command: str, run: Run, tmp_path: Path, campaigns: Campaigns) -> None:
    """A header row alone is no success."""
    Path(tmp_path / "empty.csv").write_text("email,name\n")
    options = {"plan": ["--offline"], "send": ["--no-watch"]}.get(command, [])

    code, shown = run("campaign", command, "empty.csv", *options)

    assert code == 6
    assert "has no recipients" in str(shown)
    assert campaigns.list() == []


def test_a_file_without_a_valid_row_creates_no_campaign(run: Run, people: Any, campaigns: Campaigns) -> None:
    """Also when invalid rows are skipped."""
    code, shown = run("campaign", "send", people(0, bad=2), "--no-watch", "--skip-invalid")

    assert code == 6
    assert "has no valid recipient" in str(shown)
    assert campaigns.list() == []


def test_nothing_is_added_from_a_file_without_rows(run: Run, tmp_path: Path) -> None:
    """To a campaign, or to the suppression list."""
    Path(tmp_path / "empty.csv").write_text("email,name\n")
    run("campaign", "create", "spring")

    added, _ = run("campaign", "add", "spring", "empty.csv", "--skip-invalid")
    suppressed, _ = run("suppression", "import", "empty.csv", "--skip-invalid")

    assert (added, suppressed) == (6, 6)
