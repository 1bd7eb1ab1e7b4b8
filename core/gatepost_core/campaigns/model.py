"""A campaign's options, status and counts."""

from __future__ import annotations

import re
import shlex
from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, Final

from pydantic import BeforeValidator, ConfigDict, Field, PlainSerializer, ValidationError

from gatepost_core.campaigns.hours import SendingHours
from gatepost_core.commands import OnUnknown
from gatepost_core.error_boundary import model_boundary
from gatepost_core.errors import FieldError, InvalidCommand, NewerForm
from gatepost_core.kinds import Channel
from gatepost_core.message_fields import Connection, IsNumber, MessageFields, Send
from gatepost_core.points_in_time import PAST, PointInTime, is_past
from gatepost_core.redis.keys import milliseconds
from gatepost_core.safe_text import require_shown, visible
from gatepost_core.states import OPEN_STATES, State

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gatepost_core.blocks import Block
    from gatepost_core.reasons import Reason
    from gatepost_core.settings.tenants import Application

_LONGEST_NAME: Final = 200
# Longer names make a command longer than a line of 80 columns.
_LONGEST_TYPED: Final = 40
# `uuid.UUID` accepts these forms of an id.
_LIKE_AN_ID: Final = re.compile(r"(?:urn:uuid:)?[{]?[0-9A-Fa-f-]{32,}[}]?")
SHORT_ID: Final = 8
"""Characters of an id that identify a campaign in practice."""
LOWEST_RATE: Final = 0.00001
"""The lowest maximum rate of a campaign, in recipients a second."""


class Status(StrEnum):
    """A campaign's status."""

    DRAFT = "draft"
    RUNNING = "running"
    PAUSED = "paused"
    CANCELLING = "cancelling"
    CANCELLED = "cancelled"
    FINISHED = "finished"
    DELETING = "deleting"


class PauseReason(StrEnum):
    """Why a campaign is paused."""

    BY_OPERATOR = "by_operator"
    REFUSED = "refused"
    FAILURES_IN_A_ROW = "failures_in_a_row"
    ERROR_SHARE = "error_share"
    BACKUP_RESTORED = "backup_restored"


_PAUSES: Final[dict[PauseReason, str]] = {
    PauseReason.BY_OPERATOR: "An operator paused it. Resume it to continue.",
    PauseReason.REFUSED: (
        "Auth0 refuses every request of this campaign, for any recipient. The recipients are still queued: correct the cause, then resume."
    ),
    PauseReason.FAILURES_IN_A_ROW: (
        "Several recipients in a row failed for the same reason. Find the cause, then resume, and retry the failed recipients."
    ),
    PauseReason.ERROR_SHARE: (
        "The share of failures is above the campaign's limit. Check the reasons, then resume or cancel it."
    ),
    PauseReason.BACKUP_RESTORED: (
        "Redis was restored from a backup, and the campaign may have continued after that backup. Recipients that were open are unknown. "
        "Retry recipients who got no message, or for whom a second message does no harm; then resume."
    ),
}


@dataclass(frozen=True, slots=True)
class Pause:
    """Why a campaign is paused, with the reason of the last failure, if any."""

    reason: PauseReason
    cause: Reason | None = None

    @property
    def advice(self) -> str:
        """The cause, and how to continue."""
        return _PAUSES[self.reason] + (f" {self.cause.advice}" if self.cause else "")


def check_name(name: str) -> None:
    """Check a campaign's name.

    Raises:
        InvalidCommand: the name is empty, too long or has a character that is not shown.
    """
    if not 0 < len(name.strip()) <= _LONGEST_NAME:
        raise InvalidCommand([FieldError("name", f"must have 1 to {_LONGEST_NAME} characters")])
    try:
        require_shown(name)
    except ValueError as problem:
        raise InvalidCommand([FieldError("name", str(problem))]) from None


def _hours(value: Any) -> Any:
    return SendingHours.from_text(value) if isinstance(value, str) else value


Hours = Annotated[SendingHours, BeforeValidator(_hours), PlainSerializer(str, return_type=str)]


@dataclass(frozen=True, slots=True)
class ForScripts:
    """Marks an option that the Lua scripts read from the campaign's record, where a field has the option's name.

    Attributes:
        none: the field's value if the option is None.
    """

    none: int | str = ""


def read_options(stored: str) -> Options:
    """Read the options of a campaign's record.

    Raises:
        NewerForm: a newer version wrote them.
    """
    try:
        return Options.model_validate_json(stored)
    except ValidationError:
        raise NewerForm from None


@model_boundary
class Options(MessageFields):
    """A campaign's options: what it sends, when, and how fast."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    channel: Channel = Channel.AUTO
    send: Send = "code"
    connection: Connection | None = Field(
        default=None, description="The connection; `email` or `sms` by the recipient's kind when absent."
    )
    tenant: str | None = Field(default=None, description="Name of a configured tenant; the first one when absent.")
    start_at: PointInTime | None = Field(default=None, description="The earliest time to send.")
    hours: Hours | None = Field(default=None, description="The hours of the day in which messages may leave.")
    rate: Annotated[float, Field(ge=LOWEST_RATE), IsNumber] | None = Field(
        default=None, description="Most recipients a second."
    )
    deadline: Annotated[PointInTime | None, ForScripts()] = Field(
        default=None, description="No attempt begins after this time."
    )
    on_unknown: Annotated[OnUnknown, ForScripts()] = OnUnknown.HOLD
    pause_after_errors: Annotated[Annotated[int, Field(ge=1), IsNumber] | None, ForScripts(none=0)] = Field(
        default=25, description="Pause after this many identical failures in a row."
    )
    pause_above_error_share: Annotated[Annotated[float, Field(gt=0, le=1), IsNumber] | None, ForScripts(none=0)] = (
        Field(
            default=0.25,
            description="Pause when the share of failures is larger, once a hundred recipients are settled.",
        )
    )
    max_in_flight: Annotated[int, Field(ge=1, le=1000), IsNumber, ForScripts()] = Field(
        default=256, description="Most batches in flight at once."
    )
    guests: frozenset[str] | None = Field(
        default=None, description="Fingerprints of the guest list: only these recipients get a message."
    )

    def stored(self) -> str:
        """Return the options as JSON in clear, without `auth_params`, which are sealed separately."""
        return self.model_dump_json(exclude={"auth_params"})

    def not_personal(self) -> dict[str, Any]:
        """Return the options that differ from their defaults as JSON values, without those that may contain personal data."""
        return self.model_dump(mode="json", exclude={"auth_params", "guests"}, exclude_defaults=True)

    def for_scripts(self) -> dict[str, int | float | str]:
        """Return the fields of the record that the scripts read. Times are milliseconds since the epoch."""
        marks = {
            name: mark
            for name, field in type(self).model_fields.items()
            for mark in field.metadata
            if isinstance(mark, ForScripts)
        }
        return {name: _for_script(getattr(self, name), mark.none) for name, mark in marks.items()}

    def require_ahead(self, now: datetime) -> None:
        """Check the times of a new campaign, or of a change.

        Raises:
            InvalidCommand: the start or the deadline is in the past.
        """
        times = {"start_at": self.start_at, "deadline": self.deadline}
        past = [FieldError(name, PAST) for name, moment in times.items() if moment and is_past(moment, now)]
        if past:
            raise InvalidCommand(past)

    def opens_at(self, now: datetime) -> datetime:
        """Return the earliest time to send, by start and hours: `now` if the campaign may send already."""
        opening = max(self.start_at or now, now)
        return opening if self.hours is None else self.hours.next_opening(opening)


def _for_script(value: datetime | StrEnum | float | None, none: int | str) -> int | float | str:
    match value:
        case None:
            return none
        case datetime():
            return milliseconds(value)
        case StrEnum():
            return value.value
        case _:
            return value


@dataclass(frozen=True, slots=True, kw_only=True)
class Campaign:
    """A campaign at one instant. The counts add up to the total.

    Attributes:
        rests_until: nothing is sent before this time, because of the start, the hours or the quota.
        rate: recipients settled a second, recently.
        in_flight_limit: the number of batches that may be in flight, adjusted to the permits.
        erased: the number of erased recipients. They still count in the total.
        application: the campaign's Auth0 application; None if the process that created it did not know.
        blocks: why workers cannot send it. With a block there is no finish time.
        readable: whether every count in the record is a number.
        has_auth_params: whether the campaign has `auth_params`. They are sealed and not in `options`; see `Campaigns.auth_params`.
        shares_name: whether another campaign is known to have the same name.
        owner: the id of the API key that made it; empty without one.
    """

    campaign_id: str
    name: str
    options: Options
    status: Status
    pause: Pause | None
    total: int
    counts: Mapping[State, int]
    reasons: Mapping[tuple[State, Reason], int]
    batches: int
    created_at: datetime
    updated_at: datetime
    started_at: datetime | None = None
    ended_at: datetime | None = None
    rests_until: datetime | None = None
    rate: float = 0.0
    in_flight_limit: int = 1
    erased: int = 0
    application: Application | None = None
    blocks: tuple[Block, ...] = ()
    readable: bool = True
    has_auth_params: bool = False
    shares_name: bool = False
    owner: str = ""

    @property
    def reference(self) -> str:
        """The campaign as one word of a shell command: its name, or the beginning of its id if the name is shared or hard to type."""
        name = shlex.quote(self.name)
        is_option_or_id = self.name.startswith("-") or _LIKE_AN_ID.fullmatch(self.name)
        if self.shares_name or is_option_or_id or len(name) > _LONGEST_TYPED or visible(self.name) != self.name:
            return self.campaign_id[:SHORT_ID]
        return name

    @property
    def adds_up(self) -> bool:
        """Whether the counts are consistent: none is negative, they sum to the total, and no state has more reasons than recipients."""
        explained: Counter[State] = Counter()
        for (state, _), number in self.reasons.items():
            explained[state] += number
        fine = all(0 <= explained[state] <= number for state, number in self.counts.items())
        negative = any(number < 0 for number in self.reasons.values())
        return self.readable and fine and not negative and sum(self.counts.values()) == self.total

    @property
    def open(self) -> int:
        """The number of recipients without a final state."""
        return sum(self.counts[state] for state in OPEN_STATES)

    @property
    def done(self) -> int:
        """The number of recipients with a final state."""
        return self.total - self.open

    @property
    def share_done(self) -> float:
        """The share of recipients with a final state, from 0 to 1."""
        return self.done / self.total if self.total else 0.0

    @property
    def eta_s(self) -> float | None:
        """Seconds until the end at the present rate; None if the campaign makes no progress."""
        if not self.adds_up:
            return None
        if self.open == 0:
            return 0.0
        moves = self.status is Status.RUNNING and self.rate > 0 and not self.blocks
        return self.open / self.rate if moves else None

    @property
    def accept_command(self) -> str:
        """The command that sends it through another Auth0 application."""
        return f"gatepost campaign resume {self.reference} --accept-tenant"

    def as_json(self) -> dict[str, Any]:
        """Return the campaign as JSON values, without recipients. Times are ISO 8601 in UTC."""
        reasons = sorted(self.reasons.items(), key=lambda item: -item[1])
        return {
            "campaign_id": self.campaign_id,
            "name": self.name,
            "status": self.status.value,
            "pause": self.pause
            and {
                "reason": self.pause.reason.value,
                "cause": self.pause.cause and self.pause.cause.value,
                "advice": self.pause.advice,
            },
            "total": self.total,
            "counts": {state.value: number for state, number in self.counts.items()},
            "adds_up": self.adds_up,
            "reasons": [
                {"state": state.value, "reason": reason.value, "count": number, "advice": reason.advice}
                for (state, reason), number in reasons
            ],
            "rate": round(self.rate, 3),
            "eta_s": self.eta_s and round(self.eta_s, 1),
            "in_flight_limit": self.in_flight_limit,
            "erased": self.erased,
            "application": self.application and self.application.as_json(),
            "blocks": [block.as_json(self.accept_command) for block in self.blocks],
            "batches": self.batches,
            "options": self.options.model_dump(mode="json", exclude={"guests"}, exclude_none=True)
            | {
                "guests": None if self.options.guests is None else len(self.options.guests),
                "auth_params": "sealed" if self.has_auth_params else None,
            },
            "created_at": self.created_at.isoformat(),
            "updated_at": self.updated_at.isoformat(),
            "started_at": self.started_at and self.started_at.isoformat(),
            "ended_at": self.ended_at and self.ended_at.isoformat(),
            "rests_until": self.rests_until and self.rests_until.isoformat(),
        }


FAR_AWAY: Final = timedelta(days=3650)
"""The deadline of a campaign that has none."""
