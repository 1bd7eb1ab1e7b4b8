"""Changes a campaign's options: over what was read, or not at all, so that no change of somebody else is lost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from gatepost_core.campaigns.model import Options
from gatepost_core.errors import TooManyChanges

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

# Whoever is too late has seen another's change succeed, so only a crowd can use these up.
_TRIES: Final = 20


class OptionsStore(Protocol):
    """Where options are kept, as text."""

    def record(self, campaign_id: str) -> Mapping[str, str]:
        """Return a campaign's record, the options under `options`."""

    def change(self, campaign_id: str, before: str, after: str, fields: Mapping[str, str | int | float]) -> bool:
        """Put other options in the place of those that were read; False when they are no longer what was read."""


def change_options(
    store: OptionsStore,
    campaign_id: str,
    alter: Callable[[Options], Options | None],
    fields: Mapping[str, str | int | float],
) -> bool:
    """Change options, beginning anew with what is there whenever somebody else was faster.

    Args:
        store: where they are.
        campaign_id: whose.
        alter: gives the other options, or None when nothing is to be changed; it may be called several times.
        fields: what of the record mirrors the change.

    Returns:
        Whether anything was changed.

    Raises:
        CampaignNotFound: there is no such campaign.
        CampaignConflict: it is being deleted.
        TooManyChanges: somebody else was faster every time.
        Unavailable: Redis did not answer.
    """
    for _ in range(_TRIES):
        before = store.record(campaign_id)["options"]
        altered = alter(Options.model_validate_json(before))
        if altered is None:
            return False
        if store.change(campaign_id, before, altered.stored(), fields):
            return True
    raise TooManyChanges
