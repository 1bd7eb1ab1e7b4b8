"""The example for cron."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

from gatepost.errors import CampaignConflict
from support.checkout import CHECKOUT

if TYPE_CHECKING:
    from pathlib import Path

    from gatepost_testing.world import World

SCRIPT = CHECKOUT / "examples" / "batch" / "invite.py"


def run(world: World, people: Path) -> tuple[int, str]:
    environment = {**os.environ, **world.environment}
    command = [sys.executable, str(SCRIPT), str(people)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout + done.stderr


def test_a_second_run_on_a_day_adds_only_new_people(gatepost_world: World, tmp_path: Path) -> None:
    """Invalid rows are counted and left out; each person is in one campaign once."""
    people = tmp_path / "people.csv"
    people.write_text("email\nana@example.com\nben@example.com\n")

    assert run(gatepost_world, people) == (0, "2 added, 0 known, 0 invalid\n")
    people.write_text("email\nana@example.com\nben@example.com\nnobody\ncid@example.com\n")
    assert run(gatepost_world, people) == (6, "1 added, 2 known, 1 invalid\n")
    [campaign] = [each for each in gatepost_world.producer.campaigns.list() if each.name.startswith("invitations ")]
    # The sending hours of the example keep it open at night, and later tests share this world. By day it may have ended.
    with suppress(CampaignConflict):
        gatepost_world.producer.campaigns.cancel(campaign.campaign_id)

    assert campaign.total == 3
