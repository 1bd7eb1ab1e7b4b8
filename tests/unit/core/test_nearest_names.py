"""The nearest known name of a mistyped one."""

from __future__ import annotations

import pytest

from gatepost_core.nearest import did_you_mean, nearest
from gatepost_core.timezones import zone_named


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ("sprign", "spring"),
        ("SPRING", "spring"),
        (" spring ", "spring"),
        ("Somer", "Summer"),
        ("xyz", None),
        ("", None),
    ],
)
def test_the_nearest_name_is_found_whatever_its_case(given: str, found: str | None) -> None:
    """A name that is like no other gets no suggestion."""
    assert nearest(given, ["spring", "Summer"]) == found


def test_without_a_near_name_nothing_is_suggested() -> None:
    """An empty text fits behind any sentence."""
    assert did_you_mean("xyz", ["spring"]) == ""
    assert did_you_mean("sprin", ["spring"]) == " Did you mean spring?"
    assert did_you_mean("spring", ["spring"]) == "", "the typed name is no suggestion"


@pytest.mark.parametrize(("given", "hint"), [("Europe/Berln", "Europe/Berlin"), ("europe/berlin ", "Europe/Berlin")])
def test_a_mistyped_timezone_gets_the_nearest(given: str, hint: str) -> None:
    """In the error of every option that takes a timezone."""
    with pytest.raises(ValueError, match=f"Did you mean {hint}"):
        zone_named(given)
