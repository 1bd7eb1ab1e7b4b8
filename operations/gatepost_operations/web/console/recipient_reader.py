"""Reads the outcomes of a campaign's recipients without their addresses: states and details are not sealed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from gatepost_core.campaigns.batch import BATCH_ROWS
from gatepost_core.campaigns.wire_format import RECORD_BYTES, STATES, unpack_records
from gatepost_core.reasons import IMPLIED
from gatepost_core.redis.errors import translated_errors

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from redis import Redis

    from gatepost_core.campaigns.model import Campaign
    from gatepost_core.campaigns.wire_format import Record
    from gatepost_core.reasons import Reason
    from gatepost_core.redis.keys import RedisKeys
    from gatepost_core.states import State

# Batches whose states one round trip reads, and those whose details are read with them.
_STATES_AHEAD: Final = 512
_DETAILS_AHEAD: Final = 16
# Batches whose details one page reads at most. A rarer recipient is on the next page.
_MOST_DETAILS: Final = 800
# The place of the reason in a record.
_REASON: Final = slice(1, None, RECORD_BYTES)


@dataclass(frozen=True, slots=True)
class Filter:
    """Which recipients are meant; None for any state, or any reason."""

    state: State | None = None
    reason: Reason | None = None

    @property
    def query(self) -> dict[str, str]:
        """The filter as the query of a URL."""
        given = {"state": self.state, "reason": self.reason}
        return {name: value.value for name, value in given.items() if value is not None}


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of one recipient, who is known by the number of the row."""

    number: int
    state: State
    reason: Reason | None
    http_status: int | None
    attempts: int
    at: datetime | None


@dataclass(slots=True)
class Part:
    """Recipients in the order of their rows.

    Attributes:
        outcomes: the recipients.
        next: the number from which the next part begins; None at the end.
    """

    outcomes: list[Outcome] = field(default_factory=list)
    next: int | None = None


class RecipientReader:
    """Reads outcomes. Every method raises `Unavailable` when Redis does not answer."""

    def __init__(self, client: Redis, keys: RedisKeys) -> None:
        self._redis = client
        self._keys = keys

    def part(self, campaign_id: str, batches: int, wanted: Filter, *, first: int, most: int) -> Part:
        """Return the recipients that match a filter.

        Args:
            campaign_id: the campaign.
            batches: the number of its batches.
            wanted: the filter.
            first: the number of the row to begin with.
            most: most recipients.
        """
        part, read = Part(), 0
        batch, row = divmod(first, BATCH_ROWS)
        for group in self._batches_with(campaign_id, range(batch, batches), wanted):
            if read >= _MOST_DETAILS:
                part.next = group[0][0] * BATCH_ROWS
                return part
            read += len(group)
            for number, states, details in self._with_details(campaign_id, group, wanted):
                start = row if number == batch else 0
                for outcome in _matching(number, states, details, wanted, start):
                    if len(part.outcomes) == most:
                        part.next = outcome.number
                        return part
                    part.outcomes.append(outcome)
        return part

    def _batches_with(self, campaign_id: str, batches: range, wanted: Filter) -> Iterator[list[tuple[int, bytes]]]:
        """Give groups of batches that have the state, with their states."""
        letter = None if wanted.state is None else ord(wanted.state.char)
        for first in range(batches.start, batches.stop, _STATES_AHEAD):
            numbers = range(first, min(first + _STATES_AHEAD, batches.stop))
            with translated_errors(), self._redis.pipeline(transaction=False) as pipeline:
                for number in numbers:
                    pipeline.hget(self._keys.batch(campaign_id, number), "states")
                found: list[bytes | None] = pipeline.execute()
            pairs = zip(numbers, found, strict=True)
            fitting = [(number, states) for number, states in pairs if states and (letter is None or letter in states)]
            for start in range(0, len(fitting), _DETAILS_AHEAD):
                yield fitting[start : start + _DETAILS_AHEAD]

    def _with_details(
        self, campaign_id: str, group: list[tuple[int, bytes]], wanted: Filter
    ) -> Iterator[tuple[int, bytes, bytes]]:
        with translated_errors(), self._redis.pipeline(transaction=False) as pipeline:
            for number, _ in group:
                pipeline.hget(self._keys.batch(campaign_id, number), "details")
            found: list[Any] = pipeline.execute()
        code, implied = wanted.reason and wanted.reason.code, wanted.reason in set(IMPLIED.values())
        for (number, states), details in zip(group, found, strict=True):
            if code is None or implied or code in (details or b"")[_REASON]:
                yield number, states, details or b""


def _matching(batch: int, states: bytes, details: bytes, wanted: Filter, start: int) -> Iterator[Outcome]:
    records = unpack_records(details)
    letter = None if wanted.state is None else ord(wanted.state.char)
    for row in range(start, len(states)):
        if letter is not None and states[row] != letter:
            continue
        outcome = _outcome(batch * BATCH_ROWS + row, STATES[states[row]], records.get(row))
        if wanted.reason is None or outcome.reason is wanted.reason:
            yield outcome


def _outcome(number: int, state: State, record: Record | None) -> Outcome:
    if record is None:
        return Outcome(number, state, IMPLIED.get(state), None, int(state.value == "accepted"), None)
    reason = record.reason or IMPLIED.get(state)
    return Outcome(number, state, reason, record.http_status, record.attempts, record.at)


def matching_count(campaign: Campaign, wanted: Filter) -> int:
    """Return how many recipients match a filter, by the campaign's counts."""
    if wanted.reason is None:
        return sum(number for state, number in campaign.counts.items() if wanted.state in {None, state})
    return sum(
        number
        for (state, reason), number in campaign.reasons.items()
        if reason is wanted.reason and wanted.state in {None, state}
    )
