"""Pages of campaigns, the newest first, by status and owner. Only the record's two fields are read of the others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from gatepost_core.redis.errors import translated_errors

if TYPE_CHECKING:
    from collections.abc import Collection

    from gatepost_core.campaigns.model import Status
    from gatepost_core.campaigns.store import CampaignStore

_READ_AT_ONCE: Final = 500


def campaign_page(
    store: CampaignStore,
    *,
    limit: int,
    after: str | None = None,
    statuses: Collection[Status] = (),
    owner: str | None = None,
) -> tuple[list[str], str | None]:
    """Return the ids of a page, and the cursor of the next one; None at the end.

    Args:
        store: the campaigns.
        limit: most campaigns of the page.
        after: the cursor: the id of the last campaign that was looked at.
        statuses: only these; all when empty.
        owner: only those of this API key; all when None.

    Raises:
        Unavailable: Redis did not answer.
    """
    found: list[str] = []
    rest = store.with_fields("status", "owner", start=_after(store, after), at_once=_READ_AT_ONCE)
    for campaign_id, (status, owned_by) in rest:
        if (statuses and status not in statuses) or (owner is not None and owned_by != owner):
            continue
        found.append(campaign_id)
        if len(found) == limit:
            return found, campaign_id if next(rest, None) else None
    return found, None


def _after(store: CampaignStore, cursor: str | None) -> int:
    if cursor is None:
        return 0
    with translated_errors():
        rank: Any = store.redis.zrevrank(store.keys.campaigns, store.keys.campaign(cursor))
    # A campaign that was deleted meanwhile has no rank.
    return 0 if rank is None else int(rank) + 1
