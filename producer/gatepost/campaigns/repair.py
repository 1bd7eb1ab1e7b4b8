"""Repairs campaigns: counts that do not add up, and campaigns of a restored backup."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from gatepost_core.campaigns.scripts import library, part
from gatepost_core.campaigns.store import ROWS_PAGE
from gatepost_core.errors import CampaignConflict
from gatepost_core.redis.keys import ending
from gatepost_core.states import State

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from gatepost_core.campaigns.store import CampaignStore

_TRIES: Final = 3
_BUSY: Final = "A worker still holds a batch of the campaign; try again in a minute. Nothing was changed."
_CHANGED: Final = "The campaign changed during the count; try again. Nothing was changed."


@dataclass(frozen=True, slots=True)
class Recounted:
    """The counts from a campaign's batches.

    Attributes:
        total: the number of recipients.
        counts: the number of recipients in each state.
        gone: the missing batches. Their recipients are not counted.
        unreadable: recipients with an unreadable state. With any, the counts do not add up.
    """

    total: int
    counts: Mapping[State, int]
    gone: tuple[int, ...]
    unreadable: int

    def as_json(self) -> dict[str, Any]:
        """Return the counts as JSON values."""
        return {
            "total": self.total,
            "counts": {state.value: number for state, number in self.counts.items()},
            "gone": list(self.gone),
            "unreadable": self.unreadable,
        }


class CampaignRepair:
    """Repairs campaigns. Methods raise `CampaignNotFound`, and `Unavailable` when Redis does not answer."""

    def __init__(self, store: CampaignStore) -> None:
        self._store = store
        self._script = store.redis.register_script(ending(library(store.keys) + part("repair")))

    def recover(self, campaign_id: str, *, keep: bool) -> int:
        """Pause a campaign of a restored backup, and end its open rows as `unknown`. Return their number.

        Args:
            campaign_id: the campaign.
            keep: only pause it, because the operator knows that its open rows were not sent.
        """
        ended, start, batches = 0, 0, 1
        while start < batches:
            reply = self._call("recover", campaign_id, start, ROWS_PAGE, int(keep))
            ended, start, batches = ended + reply[1], reply[2], reply[3]
        return ended

    def recount(self, campaign_id: str, *, on_progress: Callable[[int], None] = lambda _: None) -> Recounted:
        """Count a campaign's rows batch by batch, then replace all its counts at once.

        Args:
            campaign_id: the campaign.
            on_progress: called with the number of batches counted.

        Raises:
            CampaignConflict: the campaign is running or being deleted, or a worker holds a batch. Nothing was changed.
        """
        for _ in range(_TRIES):
            before = self._call("recount_begin", campaign_id)[1]
            sums, gone, batches = self._sums(campaign_id, on_progress)
            counted = (batches, json.dumps(sums), json.dumps(gone))
            if self._call("recount_end", campaign_id, before, *counted)[0] == b"done":
                counts = {state: sums[state.value] for state in State}
                return Recounted(sums["total"], counts, tuple(gone), sums["unreadable"])
        raise CampaignConflict(_CHANGED)

    def _sums(self, campaign_id: str, on_progress: Callable[[int], None]) -> tuple[Counter[str], list[int], int]:
        sums: Counter[str] = Counter()
        gone: list[int] = []
        start, more = 0, 1
        while more:
            reply = self._call("recount_page", campaign_id, start, ROWS_PAGE)
            if reply[0] == b"busy":
                raise CampaignConflict(_BUSY)
            _, more, start, found, missing = reply
            sums.update(json.loads(found))
            # An empty Lua table is an empty JSON object.
            gone += list(json.loads(missing) or [])
            on_progress(start)
        return sums, gone, start

    def _call(self, call: str, campaign_id: str, *arguments: Any) -> list[Any]:
        return self._store.call(self._script, call, campaign_id, *arguments)
