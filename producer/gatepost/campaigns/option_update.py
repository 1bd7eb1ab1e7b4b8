"""Changes a campaign's options without losing another change at the same time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gatepost_core.campaigns.model import Options, read_options
from gatepost_core.errors import TooManyChanges

if TYPE_CHECKING:
    from collections.abc import Callable

    from gatepost_core.campaigns.store import CampaignStore

# Each failed try means that another change succeeded, so only many writers at once can use these up.
_TRIES: Final = 20


def change_options(store: CampaignStore, campaign_id: str, alter: Callable[[Options], Options | None]) -> bool:
    """Change options. If they change meanwhile, read them again and repeat.

    Args:
        store: the campaigns.
        campaign_id: the campaign.
        alter: returns the new options, or None to change nothing. It may be called several times.

    Returns:
        Whether the options were changed.

    Raises:
        CampaignNotFound: the campaign does not exist.
        CampaignConflict: the campaign is being deleted.
        TooManyChanges: the options kept changing.
        Unavailable: Redis did not answer.
    """
    for _ in range(_TRIES):
        before = store.record(campaign_id)["options"]
        altered = alter(read_options(before))
        if altered is None:
            return False
        if store.change(campaign_id, before, altered.stored(), altered.for_scripts()):
            return True
    raise TooManyChanges
