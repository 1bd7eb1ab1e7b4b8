"""Reads campaigns without keys: their records, counts and names."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final

from gatepost.campaigns.blocks import with_own_block
from gatepost.campaigns.report import campaign_of
from gatepost_core.blocks import read_blocks
from gatepost_core.campaigns.store import CampaignStore
from gatepost_core.errors import GatepostError
from gatepost_core.redis.errors import translated_errors
from gatepost_core.redis.keys import as_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from redis import Redis

    from gatepost_core.blocks import Block
    from gatepost_core.campaigns.model import Campaign, Status
    from gatepost_core.redis.keys import RedisKeys
    from gatepost_core.settings import Settings

_UNREADABLE: Final = (GatepostError, KeyError, ValueError)


class CampaignReader:
    """Reads campaigns. Every method raises `Unavailable` when Redis does not answer."""

    def __init__(self, settings: Settings, client: Redis, keys: RedisKeys) -> None:
        self._settings = settings
        self._redis = client
        self._keys = keys
        self.store = CampaignStore(client, keys, republish_after_s=settings.republish_after)

    def status(self, campaign_id: str) -> Campaign:
        """Return a campaign.

        Raises:
            CampaignNotFound: there is none.
            NewerForm: a newer version wrote it.
        """
        return self._campaign(campaign_id, self.store.record(campaign_id), self.store.blocks(campaign_id))

    def active_ids(self) -> list[str]:
        """Return the ids of the campaigns that were started and have not ended."""
        return self.store.active_ids()

    def find(self, words: str, status: Status | None) -> list[str]:
        """Return the ids of campaigns, the newest first.

        Args:
            words: part of a name in any case, or the beginning of an id; empty for all.
            status: the status; None for all.
        """
        wanted = words.strip().casefold()
        return [
            campaign_id
            for campaign_id, (name, now) in self.store.with_fields("name", "status")
            if name is not None
            and (status is None or now == status)
            and (not wanted or wanted in name.casefold() or campaign_id.startswith(wanted))
        ]

    def live(self, campaign_ids: Sequence[str]) -> dict[str, Campaign]:
        """Return campaigns with their blocks, in one round trip. Those that cannot be read are left out."""
        with translated_errors(), self._redis.pipeline(transaction=False) as pipeline:
            for campaign_id in campaign_ids:
                pipeline.hgetall(self._keys.campaign(campaign_id))
                pipeline.hgetall(self._keys.blocked(campaign_id))
            found = pipeline.execute()
        readable = {}
        for campaign_id, record, blocks in zip(campaign_ids, found[::2], found[1::2], strict=True):
            # Deleted, damaged, or written by a newer version.
            with suppress(*_UNREADABLE):
                readable[campaign_id] = self._campaign(campaign_id, _text(record), read_blocks(_text(blocks)))
        return readable

    def _campaign(self, campaign_id: str, record: Mapping[str, str], blocks: Iterable[Block]) -> Campaign:
        return with_own_block(campaign_of(campaign_id, record, blocks), self._settings)

    def names(self, campaign_ids: Sequence[str]) -> dict[str, str]:
        """Return the names of campaigns by id. Deleted ones are left out."""
        with translated_errors(), self._redis.pipeline(transaction=False) as pipeline:
            for campaign_id in campaign_ids:
                pipeline.hget(self._keys.campaign(campaign_id), "name")
            found = pipeline.execute()
        return {one: as_text(name) for one, name in zip(campaign_ids, found, strict=True) if name is not None}


def _text(reply: Mapping[bytes, bytes]) -> dict[str, str]:
    return {as_text(name): as_text(value) for name, value in reply.items()}
