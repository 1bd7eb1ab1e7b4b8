"""The ledger's parameters and answers, and new operations in the form that its script takes."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from redis.exceptions import ResponseError

from gatepost_core.commands import OnUnknown
from gatepost_core.errors import (
    CorruptRecord,
    FieldError,
    GatepostError,
    IdempotencyConflict,
    InvalidCommand,
    RecordGone,
)
from gatepost_core.kinds import Kind
from gatepost_core.points_in_time import PAST
from gatepost_core.reasons import Reason
from gatepost_core.redis.errors import translate
from gatepost_core.redis.keys import as_text, milliseconds, moment, recipient_entry
from gatepost_core.states import State

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from gatepost_core.redis.keys import RedisKeys

UNREADABLE: Final = (ValueError, LookupError, OverflowError, OSError)
"""Raised by stored values that are not a number, a known name, text or a time."""


class NewOperation(NamedTuple):
    """A command to record before it is published.

    Attributes:
        kid: the id of the key that sealed the command.
        application: the Auth0 application in its stored form; empty when the producer does not know it.
        redeem_digest: the SHA-256 of a login's redeem token; empty for a send.
        queue: the key of the list that takes the message; empty if another broker takes it.
        message: the message for the list.
        owner: the id of the API key that asked; empty for a producer and a submission.
        refused_late: whether it is refused if its deadline has passed by Redis's clock. Otherwise it is recorded and expires.
    """

    operation_id: str
    kind: Kind
    tenant: str
    sealed_command: str
    deadline: datetime
    on_unknown: OnUnknown
    kid: str = ""
    payload_fingerprint: str = ""
    application: str = ""
    idempotency_fingerprint: str = ""
    recipient_fingerprint: str = ""
    seal_fingerprint: str = ""
    redeem_digest: str = ""
    queue: str = ""
    message: str = ""
    owner: str = ""
    refused_late: bool = False


@dataclass(frozen=True, slots=True)
class Operation:
    """An open operation for a worker to run."""

    operation_id: str
    kind: Kind
    tenant: str
    sealed_command: str
    deadline: datetime
    on_unknown: OnUnknown
    application: str = ""


class Verdict(StrEnum):
    """The ledger's verdicts."""

    BEGUN = "begun"
    FINISHED = "finished"
    BUSY = "busy"
    EARLY = "early"
    MISSING = "missing"
    SETTLED = "settled"
    POSTPONED = "postponed"
    PUBLISH = "publish"
    CORRUPT = "corrupt"
    ADOPTED = "adopted"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Answer:
    """The ledger's answer to a call.

    Attributes:
        verdict: the verdict.
        attempts: the number of attempts, including this one.
        left_ms: milliseconds until the deadline, by Redis's clock.
        doubt: why an earlier attempt may have been carried out.
        wait_ms: milliseconds until the next call is useful.
        state: the state of a finished operation.
        reason: the reason of that state.
        detail: Auth0's error code.
        kind: the kind of an operation to publish.
    """

    verdict: Verdict
    attempts: int = 0
    left_ms: int = 0
    doubt: Reason | None = None
    wait_ms: int = 0
    state: State | None = None
    reason: Reason | None = None
    detail: str | None = None
    kind: Kind | None = None


@dataclass(frozen=True, slots=True)
class Forgotten:
    """The result of `Ledger.forget`.

    Attributes:
        state: the state before the call; None if the record had expired. With `in_flight`, an attempt is under way and nothing changed.
        cancelled: whether the call cancelled an open operation.
        result: whether the call deleted a result that was not redeemed.
    """

    state: State | None
    cancelled: bool = False
    result: bool = False


def operation_of(operation_id: str, described: Sequence[str]) -> Operation:
    """Read an open operation.

    Args:
        operation_id: the operation.
        described: its kind, tenant, sealed command, deadline, `on_unknown` and application, from the script.

    Raises:
        CorruptRecord: the record is damaged or of another version.
    """
    try:
        kind, tenant, command, deadline, on_unknown, application = described
        return Operation(
            operation_id=operation_id,
            kind=Kind(kind),
            tenant=tenant,
            sealed_command=command,
            deadline=moment(deadline),
            on_unknown=OnUnknown(on_unknown),
            application=application,
        )
    except UNREADABLE:
        raise CorruptRecord("The operation's record is damaged or of another version.") from None


def answer_of(reply: Sequence[str]) -> Answer:
    """Read the script's reply.

    Raises:
        CorruptRecord: the record behind it is damaged or of another version.
    """
    try:
        return _read_answer(reply)
    except UNREADABLE:
        raise CorruptRecord("The operation's record is damaged or of another version.") from None


def swept(reply: Sequence[Any]) -> Answer:
    """Return the sweep's answer for one operation: `CORRUPT` for a record that cannot be read."""
    try:
        return answer_of([as_text(part) for part in reply])
    except CorruptRecord:
        return Answer(Verdict.CORRUPT)


def _read_answer(reply: Sequence[str]) -> Answer:
    match reply:
        case ["begun", attempts, left, doubt]:
            why = Reason(doubt) if doubt else None
            return Answer(Verdict.BEGUN, attempts=int(attempts), left_ms=int(left), doubt=why)
        case ["finished", state, reason, detail]:
            why = Reason(reason) if reason else None
            return Answer(Verdict.FINISHED, state=State(state), reason=why, detail=detail or None)
        case [("busy" | "early") as verdict, wait]:
            return Answer(Verdict(verdict), wait_ms=int(wait))
        case ["publish", kind]:
            return Answer(Verdict.PUBLISH, kind=Kind(kind))
        case [verdict]:
            return Answer(Verdict(verdict))
        case _:
            raise CorruptRecord("The ledger's script answered in an unknown form.")


@dataclass(frozen=True, slots=True)
class Recorded:
    """The result of `Ledger.record_many`.

    Attributes:
        operations: for each operation, its id, the id of the earlier operation that its idempotency key or seal names, or the error.
        unpublished: the error of the queue by the id of the operation, for messages that the script could not push.
    """

    operations: list[str | GatepostError]
    unpublished: dict[str, str] = field(default_factory=dict)


def dump_new(operations: Sequence[NewOperation], keys: RedisKeys) -> str:
    """Return new operations as JSON for the script."""
    return json.dumps(
        [
            {
                "id": new.operation_id,
                "kind": new.kind,
                "tenant": new.tenant,
                "command": new.sealed_command,
                "kid": new.kid,
                "deadline": milliseconds(new.deadline),
                "on_unknown": new.on_unknown,
                "application": new.application,
                "index": new.recipient_fingerprint and keys.recipients(new.recipient_fingerprint),
                "entry": recipient_entry(new.recipient_fingerprint, new.operation_id),
                "key": new.idempotency_fingerprint,
                "fingerprint": new.payload_fingerprint,
                "seal": new.seal_fingerprint,
                "redeem": new.redeem_digest,
                "queue": new.queue,
                "owner": new.owner,
                "refused_late": new.refused_late,
            }
            for new in operations
        ],
        separators=(",", ":"),
    )


def read_recorded(operations: Sequence[NewOperation], reply: Sequence[Any]) -> Recorded:
    """Read the script's answer about new operations."""
    exceptions, refused = reply
    found: list[str | GatepostError] = [new.operation_id for new in operations]
    for number, *answer in exceptions:
        found[int(number) - 1] = _answer([as_text(part) for part in answer])
    unpublished = {as_text(one): as_text(error) for error, *ids in refused for one in ids}
    return Recorded(found, unpublished)


def past_deadline() -> InvalidCommand:
    """Return the error of a new command whose deadline has passed."""
    return InvalidCommand([FieldError("deadline", PAST)])


def _answer(answer: Sequence[str]) -> str | GatepostError:
    match answer:
        case ["conflict", _]:
            return IdempotencyConflict()
        case ["gone", _]:
            return RecordGone()
        case ["past"]:
            return past_deadline()
        case ["error", text]:
            # As Redis ends the text of an error in a script.
            return translate(ResponseError(f"{text} script: recording.lua, on @user_script."))
        case [_, operation_id]:
            return operation_id
        case _:
            raise ValueError
