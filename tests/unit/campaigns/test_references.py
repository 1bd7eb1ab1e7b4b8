"""How a printed command refers to a campaign."""

from __future__ import annotations

import shlex

import pytest

from gatepost_core.campaigns.model import SHORT_ID
from support.campaign_views import CAMPAIGN_ID, campaign_with


@pytest.mark.parametrize("name", ["spring", "Spring 2026", "Größe", "o'clock", "$(rm -rf)", "a;b", "50%"])
def test_a_name_is_one_word_of_the_shell(name: str) -> None:
    """A shell reads it back as the name."""
    assert shlex.split(f"gatepost campaign watch {campaign_with(name=name).reference}")[-1] == name


@pytest.mark.parametrize(
    "name", ["--yes", "-", CAMPAIGN_ID.upper(), CAMPAIGN_ID.replace("-", ""), "x" * 100, "a\u202eb"]
)
def test_a_name_that_cannot_be_typed_gives_way_to_a_short_id(name: str) -> None:
    """An option, the form of an id, a very long name, and invisible characters."""
    assert campaign_with(name=name).reference == CAMPAIGN_ID[:SHORT_ID]


def test_a_shared_name_gives_way_to_a_short_id() -> None:
    """The name would not say which campaign is meant."""
    assert campaign_with(shares_name=True).reference == CAMPAIGN_ID[:SHORT_ID]
