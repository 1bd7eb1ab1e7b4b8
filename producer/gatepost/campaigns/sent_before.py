"""Find earlier sends: recipients that other campaigns of the last days accepted, and files that they got.

Nothing is stored about recipients for this. Their fingerprints in each campaign are computed, and looked up in its records.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from gatepost.chunks import in_chunks
from gatepost_core.campaigns.model import Status
from gatepost_core.error_boundary import boundary
from gatepost_core.errors import CampaignNotFound
from gatepost_core.states import State

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from gatepost_core.campaigns.model import Campaign
    from gatepost_core.campaigns.row import Row
    from gatepost_core.campaigns.store import CampaignStore
    from gatepost_core.sealing.fingerprints import Fingerprints
    from gatepost_core.settings import Settings

RECENT: Final = timedelta(days=7)
"""How far back other campaigns count, by default."""
MOST_CAMPAIGNS: Final = 20
"""The most campaigns that are looked at. Each of them costs one fingerprint and one look-up a recipient."""
_LOOKED_THROUGH: Final = 1000
CHUNK: Final = 1000
"""Recipients in one call. The call blocks Redis for a few milliseconds."""


@dataclass(frozen=True, slots=True)
class RecentCampaigns:
    """The other campaigns of the last days.

    Attributes:
        within: how far back they were active.
        looked_at: the newest of them that have accepted recipients, or may still do so.
        not_looked_at: the older ones, which are too many.
    """

    within: timedelta
    looked_at: tuple[Campaign, ...] = ()
    not_looked_at: tuple[Campaign, ...] = ()


def recent_campaigns(
    campaigns: Iterable[Campaign],
    now: datetime,
    within: timedelta,
    *,
    tenant: str,
    besides: str | None = None,
) -> RecentCampaigns:
    """Choose the campaigns in which recipients are looked up.

    Args:
        campaigns: all campaigns, the newest first.
        now: the current time.
        within: a campaign counts if it runs, or if its last change was not longer ago. The time of a single acceptance is not stored.
        tenant: only campaigns of this tenant count: a code of another tenant is for another application.
        besides: the id of the campaign that the recipients are for.
    """
    chosen = [one for one in campaigns if one.campaign_id != besides and _counts(one, now - within, tenant)]
    return RecentCampaigns(within, tuple(chosen[:MOST_CAMPAIGNS]), tuple(chosen[MOST_CAMPAIGNS:]))


def _counts(campaign: Campaign, since: datetime, tenant: str) -> bool:
    if campaign.options.tenant != tenant:
        return False
    sent = campaign.counts[State.ACCEPTED] + campaign.counts[State.UNKNOWN] > 0
    return campaign.status is Status.RUNNING or (sent and campaign.updated_at >= since)


def _sends(campaign: Campaign) -> bool:
    sent = campaign.counts[State.ACCEPTED] + campaign.counts[State.UNKNOWN]
    return sent > 0 or campaign.status in {Status.RUNNING, Status.PAUSED}


@boundary
class SentBefore:
    """Looks up which recipients the campaigns of one Redis have sent to. Deleted campaigns are forgotten."""

    def __init__(
        self,
        settings: Settings,
        store: CampaignStore,
        fingerprints: Fingerprints,
        read: Callable[[Iterable[str]], tuple[Campaign, ...]],
    ) -> None:
        """Prepare the look-ups.

        Args:
            settings: the configuration.
            store: the campaigns.
            fingerprints: identifies recipients and files.
            read: returns the campaigns with these ids that still exist.
        """
        self._settings = settings
        self._store = store
        self._fingerprints = fingerprints
        self._read = read

    def recent(
        self, within: timedelta = RECENT, *, tenant: str | None = None, besides: str | None = None
    ) -> RecentSends:
        """Look recipients up in the other campaigns of the last days.

        Args:
            within: how far back a campaign counts.
            tenant: the tenant whose campaigns count [default: the first].
            besides: the id of a campaign that does not count.

        Raises:
            ConfigurationError: the tenant is not configured.
        """
        newest = self._read(self._store.campaign_ids(0, _LOOKED_THROUGH))
        name = self._settings.tenant_name(tenant)
        found = recent_campaigns(newest, datetime.now(UTC), within, tenant=name, besides=besides)
        return RecentSends(found, self._store, self._fingerprints)

    def with_file(self, digest: str, *, tenant: str | None = None) -> tuple[Campaign, ...]:
        """Return the campaigns of a tenant that got the rows of this file and have sent to some, or may still do so, the newest first.

        Drafts and rehearsals do not count.

        Args:
            digest: the SHA-256 of the file, as hexadecimal digits.
            tenant: the tenant [default: the first].
        """
        found = self._read(self._store.ids_with_file(self._fingerprints.file(digest)))
        name = self._settings.tenant_name(tenant)
        return tuple(one for one in found if one.options.guests is None and one.options.tenant == name and _sends(one))

    def note_file(self, campaign_id: str, digest: str) -> None:
        """Note that the rows of a file go into a campaign. Only a keyed fingerprint of the digest is stored."""
        self._store.note_file(campaign_id, self._fingerprints.file(digest))


@boundary
class RecentSends:
    """Looks recipients up in other campaigns, and counts them.

    Attributes:
        campaigns: the campaigns that are looked at.
        counts: by campaign id, the recipients found in each state.
    """

    def __init__(self, campaigns: RecentCampaigns, store: CampaignStore, fingerprints: Fingerprints) -> None:
        self.campaigns = campaigns
        self.counts: dict[str, Counter[State]] = {one.campaign_id: Counter() for one in campaigns.looked_at}
        self._store = store
        self._fingerprints = fingerprints

    def look(self, recipients: Sequence[str]) -> list[bool]:
        """Return for each recipient whether one of the campaigns has accepted it, and count the states.

        A campaign that is deleted meanwhile is left out.

        Args:
            recipients: normalised addresses and numbers, at most `CHUNK`.

        Raises:
            Unavailable: Redis did not answer.
        """
        accepted = [False] * len(recipients)
        for campaign in self.campaigns.looked_at:
            states = self._states(campaign.campaign_id, recipients)
            self.counts[campaign.campaign_id].update(filter(None, states))
            accepted = [known or state is State.ACCEPTED for known, state in zip(accepted, states, strict=True)]
        return accepted

    def without_accepted(self, rows: Iterable[Row]) -> Iterator[Row]:
        """Yield the rows whose recipients none of the campaigns has accepted."""
        for chunk in in_chunks(rows, CHUNK):
            accepted = self.look([row.recipient for row in chunk])
            yield from (row for row, known in zip(chunk, accepted, strict=True) if not known)

    def _states(self, campaign_id: str, recipients: Sequence[str]) -> list[State | None]:
        marks = self._fingerprints.in_campaign(campaign_id, recipients)
        try:
            return self._store.states_of(campaign_id, marks)
        except CampaignNotFound:
            return [None] * len(recipients)
