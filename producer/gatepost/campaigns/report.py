"""Reads a campaign's record as a `Campaign`, and the outcomes of its recipients."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from gatepost_core.campaigns.batch import BATCH_ROWS, open_rows
from gatepost_core.campaigns.model import Campaign, Pause, PauseReason, Status, read_options
from gatepost_core.campaigns.row import MESSAGE_FIELDS
from gatepost_core.campaigns.wire_format import STATES, unpack_records
from gatepost_core.error_boundary import boundary
from gatepost_core.errors import NewerForm
from gatepost_core.kinds import Identifier
from gatepost_core.reasons import BY_CODE, IMPLIED, Reason
from gatepost_core.redis.errors import translated_errors
from gatepost_core.redis.keys import moment
from gatepost_core.settings.tenants import Application
from gatepost_core.states import State

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from redis import Redis

    from gatepost_core.blocks import Block
    from gatepost_core.campaigns.row import Row
    from gatepost_core.campaigns.wire_format import Record
    from gatepost_core.redis.keys import RedisKeys
    from gatepost_core.sealing import Keyring

_AHEAD: Final = 32
# Batches that one page looks at, at most: about 130,000 recipients.
_MOST_LOOKED_AT: Final = 512
_REASON_FIELD: Final = "reason:"
_NUMBER: Final = re.compile(r"-?[0-9]{1,18}")


@dataclass(frozen=True, slots=True)
class RecipientReport:
    """The outcome of one recipient.

    Attributes:
        row: the recipient. The line in the file is not kept.
        at: the time of the state; None for a recipient who was accepted at the first attempt.
    """

    row: Row
    state: State
    reason: Reason | None = None
    http_status: int | None = None
    attempts: int = 0
    at: datetime | None = None

    def outcome(self) -> dict[str, Any]:
        """Return the outcome as JSON values, without the recipient."""
        return {name: _as_json(getattr(self, name)) for name in _OUTCOME}

    def as_json(self) -> dict[str, Any]:
        """Return the outcome as JSON values, with the recipient in clear. `read_rows` accepts the object."""
        columns = {
            str(self.row.kind.identifier): self.row.recipient,
            **self.row.message_fields(),
            **self.outcome(),
        }
        return {column: value for column, value in columns.items() if value is not None}


@dataclass(frozen=True, slots=True)
class NumberedReport:
    """A recipient of a page.

    Attributes:
        number: its number in the campaign.
        report: its outcome; its own `row` is not set.
        row: the recipient; None unless the page was opened.
    """

    number: int
    report: RecipientReport
    row: Row | None = None


@dataclass(frozen=True, slots=True)
class Only:
    """A choice of recipients by state and reason; None takes all."""

    states: frozenset[State] | None = None
    reasons: frozenset[Reason] | None = None

    def fits(self, report: RecipientReport) -> bool:
        """Whether the choice has a recipient."""
        by_state = self.states is None or report.state in self.states
        return by_state and (self.reasons is None or report.reason in self.reasons)


_OUTCOME: Final = tuple(field.name for field in dataclasses.fields(RecipientReport) if field.name != "row")

COLUMNS: Final = (*map(str, Identifier), *MESSAGE_FIELDS, *_OUTCOME)
"""The columns of an export, in order: every name that `as_json` may give."""


def _as_json(value: State | Reason | datetime | int | None) -> str | int | None:
    match value:
        case State() | Reason():
            return value.value
        case datetime():
            return value.isoformat()
        case _:
            return value


def campaign_of(campaign_id: str, record: Mapping[str, str], blocks: Iterable[Block] = ()) -> Campaign:
    """Read a campaign's record and its blocks. Its `auth_params` stay sealed.

    Raises:
        NewerForm: a newer version wrote it.
    """
    if "form" in record:
        raise NewerForm
    numbers, readable = _numbers(record)
    reasons, known = _reasons(record, numbers)
    return Campaign(
        campaign_id=campaign_id,
        name=record["name"],
        options=read_options(record["options"]),
        status=Status(record["status"]),
        pause=_pause(record),
        total=numbers["total"],
        counts={state: numbers[state.value] for state in State},
        reasons=reasons,
        batches=numbers["batches"],
        created_at=moment(record["created"]),
        updated_at=moment(record["updated"]),
        started_at=_moment(record, "started"),
        ended_at=_moment(record, "ended"),
        rests_until=_moment(record, "rests_until"),
        rate=float(record.get("rate", 0)),
        in_flight_limit=int(record["in_flight_limit"]),
        erased=int(record.get("erased", 0)),
        application=Application.read(record.get("application", "")),
        blocks=tuple(blocks),
        readable=readable and known,
        has_auth_params=bool(record.get("auth_params")),
        owner=record.get("owner", ""),
    )


def _pause(record: Mapping[str, str]) -> Pause | None:
    if "pause_reason" not in record:
        return None
    return Pause(PauseReason(record["pause_reason"]), BY_CODE.get(int(record["pause_cause"])))


def _numbers(record: Mapping[str, str]) -> tuple[dict[str, int], bool]:
    """Return the counts of a record, and whether all are numbers."""
    names = ["total", "batches", *(state.value for state in State)]
    found = {name: _number(record.get(name)) for name in names}
    return {name: number or 0 for name, number in found.items()}, None not in found.values()


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and _NUMBER.fullmatch(text) else None


def _reasons(record: Mapping[str, str], numbers: Mapping[str, int]) -> tuple[dict[tuple[State, Reason], int], bool]:
    """Return the counts by state and reason, and whether all are known."""
    found: dict[tuple[State, Reason], int] = {}
    readable = True
    for field, text in record.items():
        if not field.startswith(_REASON_FIELD):
            continue
        state, _, code = field.removeprefix(_REASON_FIELD).partition(":")
        number, reason = _number(text), BY_CODE.get(_number(code) or 0)
        if number and reason and state in set(State):
            found[State(state), reason] = number
        elif number != 0:
            readable = False
    for state, reason in IMPLIED.items():
        plain = numbers[state.value] - sum(number for (named, _), number in found.items() if named is state)
        if plain > 0:
            found[state, reason] = found.get((state, reason), 0) + plain
    return found, readable


def _moment(record: Mapping[str, str], field: str) -> datetime | None:
    return moment(record[field]) if record.get(field) else None


@boundary
class Reports:
    """Reads the outcomes of recipients, batch by batch."""

    def __init__(self, client: Redis, keys: RedisKeys, keyring: Keyring) -> None:
        self._redis = client
        self._keys = keys
        self._keyring = keyring

    @boundary
    def all_of(
        self, campaign_id: str, batches: int, states: Collection[State] | None = None
    ) -> Iterator[RecipientReport]:
        """Yield the recipients in these states, or all, in the order in which they were added. Erased recipients are left out.

        Raises:
            SealError: a batch cannot be opened. Its key may no longer be in the ring.
            Unavailable: Redis did not answer.
        """
        wanted = None if states is None else frozenset(states)
        for first in range(0, batches, _AHEAD):
            for batch, fields in self._batches(campaign_id, range(first, min(first + _AHEAD, batches)), wanted):
                yield from self._reports(campaign_id, batch, fields, wanted)

    def page(
        self, campaign_id: str, batches: int, *, start: int, limit: int, only: Only | None = None, opened: bool = True
    ) -> tuple[list[NumberedReport], int | None]:
        """Return a page of recipients, and the number at which the next one begins; None at the end.

        A page ends early after many batches, so that no call takes long: it can be empty before the end.

        Args:
            campaign_id: the campaign.
            batches: the number of its batches.
            start: the number of the first recipient.
            limit: most recipients of the page.
            only: the wanted states and reasons; all when absent.
            opened: whether to open the rows. Without it, reports have no row.

        Raises:
            SealError: a batch cannot be opened. Its key may no longer be in the ring.
            Unavailable: Redis did not answer.
        """
        only, found = only or Only(), list[NumberedReport]()
        last = min(batches, start // BATCH_ROWS + _MOST_LOOKED_AT)
        for first in range(start // BATCH_ROWS, last, _AHEAD):
            wanted = range(first, min(first + _AHEAD, last))
            for batch, fields in self._batches(campaign_id, wanted, only.states):
                for one in self._numbered(campaign_id, batch, fields, only, opened=opened):
                    if one.number >= start:
                        found.append(one)
                    if len(found) == limit:
                        return found, one.number + 1
        return found, None if last >= batches else last * BATCH_ROWS

    def _numbered(
        self, campaign_id: str, batch: int, fields: list[bytes | None], only: Only, *, opened: bool
    ) -> Iterator[NumberedReport]:
        states, sealed, details = fields
        if states is None or sealed is None:  # deleted meanwhile
            return
        records, rows = unpack_records(details or b""), None
        for number, char in enumerate(states):
            report = _report(None, STATES[char], records.get(number))
            if not only.fits(report):
                continue
            if opened and rows is None:
                rows = open_rows(sealed.decode(), self._keyring, campaign_id, batch)
            row = None if rows is None else rows[number]
            if row is None or not row.erased:
                yield NumberedReport(batch * BATCH_ROWS + number, report, row)

    def one(self, campaign_id: str, number: int) -> RecipientReport:
        """Return the outcome of the recipient with this number."""
        batch, row = divmod(number, BATCH_ROWS)
        with translated_errors():
            fields: Any = self._redis.hmget(self._keys.batch(campaign_id, batch), "states", "rows", "details")
        rows = open_rows(fields[1].decode(), self._keyring, campaign_id, batch)
        return _report(rows[row], STATES[fields[0][row]], unpack_records(fields[2] or b"").get(row))

    def _batches(
        self, campaign_id: str, batches: range, wanted: frozenset[State] | None
    ) -> list[tuple[int, list[bytes | None]]]:
        with translated_errors():
            numbers = list(batches)
            if wanted is not None:
                numbers = self._with_states(campaign_id, numbers, wanted)
            with self._redis.pipeline(transaction=False) as pipeline:
                for batch in numbers:
                    pipeline.hmget(self._keys.batch(campaign_id, batch), "states", "rows", "details")
                return list(zip(numbers, pipeline.execute(), strict=True))

    def _with_states(self, campaign_id: str, batches: list[int], wanted: frozenset[State]) -> list[int]:
        # States are small: batches without any of the wanted states are not fetched.
        with self._redis.pipeline(transaction=False) as pipeline:
            for batch in batches:
                pipeline.hget(self._keys.batch(campaign_id, batch), "states")
            found = pipeline.execute()
        return [
            batch
            for batch, states in zip(batches, found, strict=True)
            if any(STATES[char] in wanted for char in set(states or b""))
        ]

    def _reports(
        self, campaign_id: str, batch: int, fields: list[bytes | None], wanted: frozenset[State] | None
    ) -> Iterator[RecipientReport]:
        states, sealed, details = fields
        if states is None or sealed is None:  # deleted meanwhile
            return
        rows = open_rows(sealed.decode(), self._keyring, campaign_id, batch)
        records = unpack_records(details or b"")
        for number, (row, char) in enumerate(zip(rows, states, strict=True)):
            state = STATES[char]
            if not row.erased and (wanted is None or state in wanted):
                yield _report(row, state, records.get(number))


def _report(row: Any, state: State, record: Record | None) -> RecipientReport:
    if record is None:
        return RecipientReport(row, state, IMPLIED.get(state), attempts=int(state is State.ACCEPTED))
    return RecipientReport(
        row, state, record.reason or IMPLIED.get(state), record.http_status, record.attempts, record.at
    )
