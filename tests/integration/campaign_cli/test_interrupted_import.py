"""An interrupted import: added rows stay, and the same command adds the others, each person once."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from gatepost_core.campaigns.batch import BATCH_ROWS
from gatepost_operations.cli.entry import main

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from gatepost.campaigns.control import Campaigns

ROWS = 20_000


ADDRESSES = [f"person{number}@example.com\n" for number in range(ROWS)]


@pytest.fixture
def importing(campaigns: Campaigns, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that adds the rows of a file to `spring`; some have been added, and many have not."""
    campaign_id = campaigns.create("spring")
    file = tmp_path / "people.csv"
    file.write_text("".join(["email\n", *ADDRESSES]), encoding="utf-8")
    command = [
        sys.executable,
        "-m",
        "gatepost_operations.cli",
        "campaign",
        "add",
        "spring",
        str(file),
        "--skip-invalid",
    ]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    give_up = time.monotonic() + 60
    while campaigns.status(campaign_id).total < BATCH_ROWS and time.monotonic() < give_up:
        time.sleep(0.01)
    yield process
    process.kill()
    process.communicate()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGKILL, -signal.SIGKILL)])
def test_what_broke_off_is_gone_on_with(
    importing: subprocess.Popen[str],
    campaigns: Campaigns,
    tmp_path: Path,
    number: signal.Signals,
    code: int,
) -> None:
    """After Ctrl-C, the output has the next command; after a crash the id is known too. The same file again adds the missing people."""
    importing.send_signal(number)
    _, said = importing.communicate(timeout=120)
    partial = campaigns.list()[0]
    whole = tmp_path / "whole.csv"
    whole.write_text("".join(["email\n", *ADDRESSES]), encoding="utf-8")

    assert importing.returncode == code
    assert 0 < partial.total < ROWS
    if number is signal.SIGINT:
        assert "gatepost campaign add spring" in said
    assert main(["campaign", "add", partial.campaign_id, str(whole)]) == 0
    recipients = [one.row.recipient for one in campaigns.export(partial.campaign_id)]
    assert len(recipients) == len(set(recipients)) == ROWS
