"""Campaigns in Redis, for operators and imports. One script makes every change atomically and keeps the counts."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from gatepost_core.blocks import read_blocks
from gatepost_core.campaigns.model import Status
from gatepost_core.campaigns.scripts import FILE_FIELD, SILENT_MS, library, part
from gatepost_core.campaigns.wire_format import STATES
from gatepost_core.errors import CampaignConflict, CampaignNotFound
from gatepost_core.redis.errors import translated_errors
from gatepost_core.redis.keys import SERVER_CLOCK, as_text, ending, starting
from gatepost_core.sealing import kid_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from redis import Redis

    from gatepost_core.blocks import Block
    from gatepost_core.redis.keys import RedisKeys
    from gatepost_core.settings.tenants import Application
    from gatepost_core.states import State

ROWS_PAGE: Final = 5
"""Batches whose rows one call reads. If every row has a record, the call blocks Redis, and so logins, for up to ten milliseconds."""
SWEPT_PAGE: Final = 20
"""Batches that one call checks for lost rows. In the worst case, eight in each batch, this also takes ten milliseconds."""
# Batches that one call deletes without reading their rows.
_KEYS_PAGE: Final = 50
_PAGE: Final = 1000

_REFUSALS: Final = {
    Status.DRAFT: "The campaign has not been started; start it first.",
    Status.RUNNING: "The campaign is running; pause or cancel it first.",
    Status.PAUSED: "The campaign is paused; resume it first.",
    Status.CANCELLING: "The campaign is being cancelled; wait until it is cancelled.",
    Status.CANCELLED: "The campaign was cancelled; retry its cancelled recipients, or create another campaign.",
    Status.FINISHED: "The campaign is finished; retry or add recipients, or create another campaign.",
    Status.DELETING: "The campaign is being deleted.",
}


@dataclass(frozen=True, slots=True)
class Kept:
    """The stored options of a campaign that exists.

    Attributes:
        options: the options now.
        asked: a digest of the options at its creation.
        auth_params: sealed; empty for none.
    """

    options: str
    asked: str
    auth_params: str


class CampaignStore:
    """The records of all campaigns. Thread-safe."""

    def __init__(self, client: Redis, keys: RedisKeys, *, republish_after_s: float, clock: str = SERVER_CLOCK) -> None:
        """Prepare the scripts; nothing is sent to Redis yet.

        Args:
            client: the connection; answers come as bytes.
            keys: the names in this Redis.
            republish_after_s: how long a published batch may lie before its message counts as lost.
            clock: Lua text that defines `now_us`.
        """
        self.redis = client
        self.keys = keys
        text = library(keys, clock) + part("control")
        self._start = client.register_script(starting(text))
        self._end = client.register_script(ending(text))
        self.look_after_ms = int(republish_after_s * 1000)

    def create(self, campaign_id: str, fields: Mapping[str, str | int | float]) -> Kept | None:
        """Record a campaign as a draft. If the id exists, change nothing and return the options stored there."""
        flat = [part for pair in fields.items() for part in pair]
        kid = kid_of(str(fields.get("auth_params", ""))) or ""
        reply = self.call(self._start, "create", campaign_id, kid, *flat)
        return Kept(*map(as_text, reply[1:])) if reply[0] == b"exists" else None

    def record(self, campaign_id: str) -> dict[str, str]:
        """Return a campaign's record.

        Raises:
            CampaignNotFound: there is none.
            Unavailable: Redis did not answer.
        """
        with translated_errors():
            found = self.redis.hgetall(self.keys.campaign(campaign_id))
        if not found:
            raise CampaignNotFound
        return {as_text(name): as_text(value) for name, value in found.items()}

    def blocks(self, campaign_id: str) -> tuple[Block, ...]:
        """Return why workers cannot send some of a campaign's batches.

        Raises:
            Unavailable: Redis did not answer.
        """
        with translated_errors():
            found = self.redis.hgetall(self.keys.blocked(campaign_id))
        return read_blocks({as_text(batch): as_text(why) for batch, why in found.items()})

    def campaign_ids(self, start: int, limit: int) -> list[str]:
        """Return ids of campaigns, newest first."""
        with translated_errors():
            found: Any = self.redis.zrevrange(self.keys.campaigns, start, start + limit - 1)
        return [self.keys.campaign_id_of(as_text(key)) for key in found]

    def with_fields(self, *names: str, start: int = 0, at_once: int = _PAGE) -> Iterator[tuple[str, list[str | None]]]:
        """Yield the id and some fields of each campaign, newest first, in two calls for each page of `at_once`."""
        while page := self.campaign_ids(start, at_once):
            with translated_errors(), self.redis.pipeline(transaction=False) as pipeline:
                for campaign_id in page:
                    pipeline.hmget(self.keys.campaign(campaign_id), names)
                found = pipeline.execute()
            for campaign_id, values in zip(page, found, strict=True):
                yield campaign_id, [None if value is None else as_text(value) for value in values]
            start += len(page)

    def names(self) -> dict[str, str]:
        """Return the names of all campaigns by id, newest first."""
        return {campaign_id: name or "" for campaign_id, (name,) in self.with_fields("name")}

    def active_ids(self) -> list[str]:
        """Return the ids of the campaigns that the reconciler checks."""
        with translated_errors():
            return sorted(
                self.keys.campaign_id_of(as_text(key)) for key in self.redis.smembers(self.keys.active_campaigns)
            )

    def ids_with_silent_workers(self) -> list[str]:
        """Return the ids of the active campaigns of which silent workers hold batches.

        Raises:
            Unavailable: Redis did not answer.
        """
        active = self.active_ids()
        if not active:
            return []
        with translated_errors(), self.redis.pipeline(transaction=False) as pipeline:
            seconds, microseconds = self.redis.time()
            silent_before_ms = seconds * 1000 + microseconds // 1000 - SILENT_MS
            for campaign_id in active:
                pipeline.zcount(self.keys.held(campaign_id), "-inf", silent_before_ms)
            numbers = pipeline.execute()
        return [campaign_id for campaign_id, number in zip(active, numbers, strict=True) if number]

    def probe(self, campaign_id: str, fingerprints: Sequence[bytes]) -> list[bool]:
        """Return for each fingerprint whether the campaign has it."""
        known = self.call(self._start, "probe", campaign_id, b"".join(fingerprints))[1]
        return [mark == ord("1") for mark in known]

    def number_of(self, campaign_id: str, fingerprint: bytes) -> int | None:
        """Return the number of the recipient with this fingerprint, or None."""
        number = self.call(self._end, "find", campaign_id, fingerprint)[1]
        return None if number is None else int(number)

    def states_of(self, campaign_id: str, fingerprints: Sequence[bytes]) -> list[State | None]:
        """Return the state of each recipient in a campaign, by fingerprint; None for one that the campaign does not have."""
        letters: bytes = self.call(self._end, "states", campaign_id, b"".join(fingerprints))[1]
        return [STATES.get(letter) for letter in letters]

    def note_file(self, campaign_id: str, fingerprint: str) -> None:
        """Note that the rows of a file go into a campaign."""
        self.call(self._start, "note_file", campaign_id, fingerprint)

    def ids_with_file(self, fingerprint: str) -> list[str]:
        """Return the ids of the campaigns that got the rows of a file, newest first."""
        field = f"{FILE_FIELD}{fingerprint}"
        return [campaign_id for campaign_id, (value,) in self.with_fields(field) if value is not None]

    def append(self, campaign_id: str, batch: int, sealed_rows: str, fingerprints: Sequence[bytes]) -> str:
        """Add one batch completely, or not at all.

        Returns:
            `added`; `taken` if another import has used the number; `known` if another import has added one of the recipients.

        Raises:
            CampaignNotFound: the campaign does not exist.
            CampaignConflict: the campaign's status does not allow new recipients.
            Unavailable: Redis did not answer, or its memory is full.
        """
        marks, kid = b"".join(fingerprints), kid_of(sealed_rows) or ""
        return as_text(self.call(self._start, "append", campaign_id, batch, sealed_rows, marks, kid)[0])

    def now(self, campaign_id: str) -> datetime:
        """Return the time by Redis's clock, which decides for campaigns."""
        return datetime.fromtimestamp(self.call(self._end, "clock", campaign_id)[1] / 1000, UTC)

    def start(self, campaign_id: str, rests_until_ms: int | None) -> None:
        """Start a draft. A running campaign stays as it is."""
        self.call(self._start, "start", campaign_id, "" if rests_until_ms is None else rests_until_ms)

    def pause(self, campaign_id: str) -> None:
        """Pause a running campaign. Workers notice before their next recipient."""
        self.call(self._end, "pause", campaign_id)

    def resume(self, campaign_id: str, rests_until_ms: int | None, application: Application | None = None) -> None:
        """Resume a paused campaign. With an application, move the campaign to it."""
        rests_until = "" if rests_until_ms is None else rests_until_ms
        self.call(self._start, "resume", campaign_id, rests_until, application.stored if application else "")

    def cancel(self, campaign_id: str) -> None:
        """Cancel a campaign. `close` then ends its rows."""
        self.call(self._end, "cancel", campaign_id)

    def change(self, campaign_id: str, before: str, after: str, fields: Mapping[str, str | int | float]) -> bool:
        """Replace the options, and the fields that repeat them; return False if the options are no longer `before`."""
        flat = [part for pair in fields.items() for part in pair]
        return bool(self.call(self._end, "change", campaign_id, before, after, *flat)[0] == b"done")

    def close(self, campaign_id: str) -> int:
        """End the rows without an attempt if the campaign is cancelled or past its deadline. Return their number."""
        closed, start, batches = 0, 0, 1
        while start < batches:
            reply = self.call(self._end, "close", campaign_id, start, ROWS_PAGE)
            if reply[0] != b"closed":
                break
            closed += int(reply[1])
            start, batches = int(reply[2]), int(reply[3])
        return closed

    def retry(self, campaign_id: str, states: bytes, reasons: bytes, *, dry_run: bool) -> dict[int, int]:
        """Queue the rows in these states again, or only count them. Return the counts by state byte."""
        matched: dict[int, int] = {}
        start, batches = 0, 1
        while start < batches:
            reply = self.call(
                self._start, "retry", campaign_id, uuid.uuid4().hex, start, ROWS_PAGE, states, reasons, int(dry_run)
            )
            start, batches = reply[1], reply[2]
            for state, number in zip(reply[3::2], reply[4::2], strict=True):
                matched[state[0]] = matched.get(state[0], 0) + number
        return matched

    def sweep(self, campaign_id: str) -> tuple[str, int, int, bool]:
        """Check a page of due batches. Return the status, the batches checked, the rows lost, and whether `close` is needed."""
        status, looked_at, lost, closing = self.call(self._end, "sweep", campaign_id, SWEPT_PAGE)
        return as_text(status), looked_at, lost, bool(closing)

    def feed(self, campaign_id: str) -> list[tuple[int, float]]:
        """Take the batches to publish now, each with its delay in seconds."""
        return picks(self.call(self._end, "feed", campaign_id, self.look_after_ms)[1:])

    def forget(self, campaign_id: str, batch: int, row: int, *, fingerprint: bytes, before: str, after: str) -> str:
        """Replace a batch's sealed rows with the same rows without one person.

        Args:
            campaign_id: the campaign.
            batch: the batch's number.
            row: the number of the person's row.
            fingerprint: the person's fingerprint in this campaign.
            before: the sealed rows as they were read.
            after: the sealed rows without the person.

        Returns:
            `forgotten`, or `suppressed` if the row was open. Nothing changes with `in_flight` (an attempt is under way), `changed` (the rows
            differ from `before`) and `gone` (the campaign does not have the person).
        """
        arguments = (batch, row, fingerprint, before, after, kid_of(after) or "")
        return as_text(self.call(self._end, "forget", campaign_id, *arguments)[0])

    def delete(self, campaign_id: str) -> None:
        """Delete a campaign and everything stored about its recipients."""
        if self.call(self._end, "delete", campaign_id)[0] == b"busy":
            raise CampaignConflict("A worker still holds a batch of the campaign; try again in a moment.")
        start = 0
        while True:
            reply = self.call(self._end, "erase", campaign_id, start, _KEYS_PAGE)
            if reply[0] != b"more":
                return
            start = reply[1]

    def call(self, script: Any, call: str, campaign_id: str, *arguments: Any) -> list[Any]:
        """Run one call of a script on a campaign, and return its reply.

        Raises:
            CampaignNotFound: the campaign does not exist.
            CampaignConflict: the campaign's status does not allow the call. The message says how to continue.
            Unavailable: Redis did not answer, or its memory is full.
        """
        with translated_errors():
            reply: list[Any] = script(keys=[self.keys.campaign(campaign_id)], args=[call, *arguments])
        if reply[0] == b"missing":
            raise CampaignNotFound
        if reply[0] == b"conflict":
            raise CampaignConflict(_REFUSALS[Status(as_text(reply[1]))])
        return reply


def picks(flat: Sequence[int]) -> list[tuple[int, float]]:
    """Read the batches to publish from a script's reply."""
    return [(number, delay / 1000) for number, delay in zip(flat[::2], flat[1::2], strict=True)]
