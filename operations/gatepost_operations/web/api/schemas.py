"""The shapes of answers, for the OpenAPI document. Answers may gain further members."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from gatepost_core.campaigns.model import PauseReason, Status
from gatepost_core.kinds import Kind
from gatepost_core.reasons import Reason
from gatepost_core.states import State


class _Shape(BaseModel):
    model_config = ConfigDict(extra="allow")


class FieldProblem(_Shape):
    """A wrong field: of the body by its JSON pointer, or a parameter by its name."""

    pointer: str | None = None
    parameter: str | None = None
    detail: str


class ProblemDocument(_Shape):
    """An error (RFC 9457). It repeats no value of the request."""

    type: str
    title: str
    status: int
    detail: str | None = None
    errors: list[FieldProblem] | None = None


class Accepted(_Shape):
    """An operation that was recorded. It is carried out in the background."""

    operation_id: str
    existing: bool = Field(description="Whether the idempotency key named an earlier operation, which this is.")
    redeem_token: str | None = Field(default=None, description="Opens the result of a login. Treat it as a password.")


class ItemResult(_Shape):
    """The result of one item: `operation_id` and `existing` with the status 202, otherwise `problem`."""

    status: int
    operation_id: str | None = None
    existing: bool | None = None
    redeem_token: str | None = None
    problem: ProblemDocument | None = None


class Results(_Shape):
    """The results of many items, in their order."""

    results: list[ItemResult]


class Operation(_Shape):
    """An operation's state. It names no person."""

    operation_id: str
    kind: Kind
    state: State
    reason: Reason | None
    advice: str | None
    detail: str | None
    http_status: int | None
    attempts: int
    created_at: datetime | None
    updated_at: datetime | None
    deadline: datetime | None
    blocked: dict[str, Any] | None


class Redeemed(_Shape):
    """The result of a login, given once: a token set, a challenge for a second factor, or the message of an Action."""

    type: Literal["token_set", "mfa_challenge", "denial"]
    access_token: str | None = None
    id_token: str | None = None
    refresh_token: str | None = None
    token_type: str | None = None
    expires_in: int | None = None
    scope: str | None = None
    mfa_token: str | None = None
    description: str | None = None


class Pause(_Shape):
    """Why a campaign is paused."""

    reason: PauseReason
    cause: Reason | None
    advice: str


class ReasonCount(_Shape):
    """How many recipients ended in a state for a reason."""

    state: State
    reason: Reason
    count: int
    advice: str


class CampaignState(_Shape):
    """A campaign at one time. The counts add up to the total."""

    campaign_id: str
    name: str
    status: Status
    pause: Pause | None
    total: int
    counts: dict[State, int]
    reasons: list[ReasonCount]
    rate: float
    finishes_at: datetime | None
    options: dict[str, Any]
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    rests_until: datetime | None


class CampaignPage(_Shape):
    """Campaigns, the newest first."""

    campaigns: list[CampaignState]
    next_cursor: str | None


class RowProblem(_Shape):
    """The error of one row, without its values."""

    line: int
    field: str
    problem: str


class AddedRows(_Shape):
    """What became of the rows of one part. Sent again, the same part adds the rows that are missing."""

    added: int
    duplicates: int
    invalid: int
    total: int = Field(description="Recipients of the campaign now.")
    problems: list[RowProblem]


class Recipient(_Shape):
    """The outcome of one recipient. `recipient` and `channel` are null without `reveal`."""

    number: int = Field(description="The recipient's number in the campaign, from 0.")
    recipient: str | None
    channel: str | None
    state: State
    reason: Reason | None
    http_status: int | None
    attempts: int
    at: datetime | None


class RecipientPage(_Shape):
    """Recipients in the order in which they were added."""

    recipients: list[Recipient]
    next_cursor: int | None


class Retried(_Shape):
    """The recipients that a retry queues again, or would."""

    campaign_id: str
    matched: int
    by_state: dict[State, int]
    skipped: int
    by_reason: list[dict[str, Any]]
    dry_run: bool


class DeadLetter(_Shape):
    """A message that no worker could accept, without its content."""

    id: str
    at: datetime
    queue: str
    reason: str
    size: int
    published_perhaps: bool = Field(description="Whether an interrupted replay may have published it already.")


class DeadLetterPage(_Shape):
    """Dead letters, the newest first."""

    letters: list[DeadLetter]


class Replayed(_Shape):
    """The result of a replay, or of its dry run. Letters that are refused or interrupted stay."""

    replayed: int
    refused: int = Field(description="Letters that workers still cannot accept. `flaws` counts them by reason.")
    interrupted: int = Field(description="Letters that an interrupted replay may have published already.")
    gone: int
    flaws: dict[str, int]


class ReplayedLetters(Replayed):
    """The result for many letters."""

    dry_run: bool
    letters: int = Field(description="The number of chosen letters, which `confirmed` must repeat.")


class Dropped(_Shape):
    """How many letters were deleted."""

    dropped: int


class DroppedLetters(Dropped):
    """The result for many letters."""

    dry_run: bool
    letters: int = Field(description="The number of chosen letters, which `confirmed` must repeat.")
    reasons: dict[str, int]


class Report(_Shape):
    """A check, a plan, a list of quotas: the same as the command line's `--json`."""


class Health(_Shape):
    """Whether the api can work."""

    healthy: bool


class Quotas(_Shape):
    """The quotas that the limiter has learned, by tenant and endpoint."""

    quotas: list[dict[str, Any]]


class LiftedBlocks(_Shape):
    """The seconds that were left of each block, by tenant and endpoint; 0 without a block."""

    cleared: list[dict[str, Any]]


class Count(_Shape):
    """A number of entries."""

    count: int


class Suppression(_Shape):
    """A person's entry of the suppression list."""

    suppressed: bool
    reason: str | None
    created_at: datetime | None
    expires_at: datetime | None


class NewSuppression(_Shape):
    """An entry that was added or changed."""

    new: bool
    reason: str
    expires_at: datetime | None


class Removed(_Shape):
    """Whether there was an entry."""

    removed: bool


class AuditEntry(_Shape):
    """One act. It names no recipient."""

    number: int
    at: datetime
    who: str
    action: str
    about: dict[str, Any]


class AuditPage(_Shape):
    """Entries of the audit log, the newest first."""

    entries: list[AuditEntry]
    next_before: int | None


class SuppressedRecipients(_Shape):
    """How many recipients were chosen, and how many of them are new on the list."""

    recipients: int
    new: int
