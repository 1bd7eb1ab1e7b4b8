"""A guest list and a list of suppressions read numbers and addresses like the campaign's file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gatepost.errors import InvalidCommand
from gatepost_core.number_rules import Numbers
from gatepost_operations.cli.campaign.delivery_options import DeliveryOptions
from gatepost_operations.cli.campaign.recipient_file import FileOptions

if TYPE_CHECKING:
    from pathlib import Path


def test_a_guest_list_has_the_region_and_the_rules_of_the_file(tmp_path: Path) -> None:
    """A guest is then the same number in both."""
    guests = tmp_path / "guests.csv"
    guests.write_text("phone\n0171 3920006\n+44 20 7946 0991\n+1 999 555 0123\n")
    reading = FileOptions(region="DE", numbers=Numbers.LENGTH, allow_landlines=True)

    assert DeliveryOptions(guest_list=guests).guests(reading) == ["+491713920006", "+442079460991", "+19995550123"]


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ("15123456789", "has two readings"),
        ("0171 3920006 mobil", "contains letters or words"),
        ("o\u2019neil@example.com", "right single quotation mark"),
        ("+44 20 7946 0991", "cannot receive SMS"),
    ],
)
def test_a_guest_who_is_not_clear_is_refused(tmp_path: Path, row: str, problem: str) -> None:
    """Otherwise that guest would get no message in the rehearsal."""
    guests = tmp_path / "guests.csv"
    guests.write_text(f"recipient\n{row}\n", encoding="utf-8")

    with pytest.raises(InvalidCommand, match=problem):
        DeliveryOptions(guest_list=guests).guests(FileOptions(region="DE"))
