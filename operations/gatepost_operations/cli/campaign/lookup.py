"""Find the campaign that an argument names."""

from __future__ import annotations

import uuid
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Final

import typer

from gatepost_core.errors import CampaignNotFound, FieldError, InvalidCommand
from gatepost_operations.cli.connection import open_campaigns

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gatepost.campaigns.control import Campaigns
    from gatepost_core.campaigns.model import Campaign

CampaignArgument = Annotated[
    str, typer.Argument(metavar="CAMPAIGN", help="The campaign's id, the beginning of it, or its name.")
]
_LOOKED_THROUGH: Final = 1000
_SHORTEST_PREFIX: Final = 4


@contextmanager
def open_campaign(given: str) -> Iterator[tuple[Campaigns, Campaign]]:
    """Give the campaigns, and the one that an argument names. Errors are those of `open_producer` and `find_campaign`."""
    with open_campaigns() as campaigns:
        yield campaigns, find_campaign(campaigns, given)


def find_campaign(campaigns: Campaigns, given: str) -> Campaign:
    """Return the campaign that an argument names: by its id, the id's beginning, or its name.

    Raises:
        CampaignNotFound: there is none.
        InvalidCommand: there are several.
    """
    try:
        return campaigns.status(str(uuid.UUID(given)))
    except ValueError:
        pass
    known = campaigns.list(_LOOKED_THROUGH)
    found = [one for one in known if one.name == given]
    if not found and len(given) >= _SHORTEST_PREFIX:
        found = [one for one in known if one.campaign_id.startswith(given.lower())]
    if not found:
        raise CampaignNotFound
    if len(found) > 1:
        ids = ", ".join(one.campaign_id for one in found[:5])
        raise InvalidCommand([FieldError("campaign", f"is the name of several campaigns; give an id: {ids}")])
    return found[0]
