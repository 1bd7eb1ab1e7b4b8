"""What goes into the ledger, and what it answers."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from gatepost_core.commands import OnUnknown
    from gatepost_core.kinds import Kind
    from gatepost_core.reasons import Reason
    from gatepost_core.states import State


@dataclass(frozen=True, slots=True)
class NewOperation:
    """What is recorded of a command before it is published.

    Attributes:
        application: the Auth0 application in its stored form; empty when the producer does not know it.
    """

    operation_id: str
    kind: Kind
    tenant: str
    sealed_command: str
    deadline: datetime
    on_unknown: OnUnknown
    payload_fingerprint: str = ""
    application: str = ""
    idempotency_fingerprint: str | None = None
    recipient_fingerprint: str | None = None
    seal_fingerprint: str | None = None


@dataclass(frozen=True, slots=True)
class Operation:
    """An open operation, as a worker needs it."""

    operation_id: str
    kind: Kind
    tenant: str
    sealed_command: str
    deadline: datetime
    on_unknown: OnUnknown
    application: str = ""


class Verdict(StrEnum):
    """What the ledger answers."""

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
    """The ledger's answer to ready, begin, settle, postpone, close or sweep.

    Attributes:
        verdict: what it comes to.
        attempts: how many there were, this one included.
        left_ms: until the deadline, by Redis's clock.
        doubt: why an earlier attempt may have been carried out.
        wait_ms: until it is worth asking again.
        state: of a finished operation.
        reason: why it is in that state.
        detail: Auth0's code.
        kind: of an operation to be published.
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
    """What `Ledger.forget` found.

    Attributes:
        state: the state before; None when the record had expired, `in_flight` when nothing was done because an attempt is under way.
        cancelled: whether the operation was open, and is cancelled now.
        result: whether a result waited to be redeemed.
    """

    state: State | None
    cancelled: bool = False
    result: bool = False
