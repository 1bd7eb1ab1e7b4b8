"""Find the campaign that an argument names."""

from __future__ import annotations

import uuid
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Final

import typer

from gatepost_core.errors import CampaignNotFound, FieldError, InvalidCommand
from gatepost_core.nearest import did_you_mean
from gatepost_operations.cli.connection import open_campaigns

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gatepost.campaigns.control import Campaigns
    from gatepost_core.campaigns.model import Campaign

CampaignArgument = Annotated[
    str, typer.Argument(metavar="CAMPAIGN", help="Name or id of the campaign, or the beginning of the id.")
]
_SHORTEST_PREFIX: Final = 4
_MOST_IDS: Final = 5


@contextmanager
def open_campaign(given: str) -> Iterator[tuple[Campaigns, Campaign]]:
    """Give the campaigns, and the one that an argument names. Errors are those of `open_producer` and `find_campaign`."""
    with open_campaigns() as campaigns:
        yield campaigns, find_campaign(campaigns, given)


def find_campaign(campaigns: Campaigns, given: str) -> Campaign:
    """Return the campaign that an argument names: by its id, its name, or the beginning of its id.

    Raises:
        CampaignNotFound: there is none. The message gives the nearest name.
        InvalidCommand: there are several.
    """
    names = campaigns.names()
    ids = _ids_of(given, names)
    if not ids:
        raise CampaignNotFound(
            f"There is no such campaign.{did_you_mean(given, names.values())} See: gatepost campaign list"
        )
    if len(ids) > 1:
        several = ", ".join(ids[:_MOST_IDS])
        raise InvalidCommand([FieldError("campaign", f"matches {len(ids):,} campaigns; give an id: {several}")])
    return campaigns.status(ids[0])


def _ids_of(given: str, names: dict[str, str]) -> list[str]:
    try:
        return [campaign_id] if (campaign_id := str(uuid.UUID(given))) in names else []
    except ValueError:
        pass
    named = [one for one, name in names.items() if name == given]
    if named or len(given) < _SHORTEST_PREFIX:
        return named
    return [one for one in names if one.startswith(given.lower())]
