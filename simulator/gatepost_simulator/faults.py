"""Scripted faults: which requests fail, how, and how often."""

from __future__ import annotations

import itertools
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from gatepost_simulator.exchange import Drop, Shape, error_answer

if TYPE_CHECKING:
    from gatepost_simulator.exchange import Answer, Request


class When(StrEnum):
    """When a fault strikes: instead of the effect (the send, the exchange), or after it."""

    BEFORE = "before"
    AFTER = "after"


class TokenFault(StrEnum):
    """A flaw in the id_token or in the token response of a login that otherwise succeeds."""

    NONE = "none"
    UNKNOWN_KID = "unknown-kid"
    BAD_SIGNATURE = "bad-signature"
    BAD_ISS = "bad-iss"
    BAD_AUD = "bad-aud"
    EXPIRED = "expired"
    NO_EXP = "no-exp"
    NO_IAT = "no-iat"
    FUTURE_IAT = "future-iat"
    FUTURE_NBF = "future-nbf"
    NO_SUB = "no-sub"
    NONCE = "nonce"
    NO_AZP = "no-azp"
    BAD_AZP = "bad-azp"
    BAD_ORG = "bad-org"
    NO_ORG = "no-org"
    OLD_AUTH_TIME = "old-auth-time"
    NO_AUTH_TIME = "no-auth-time"
    HS256 = "hs256"
    ALG_NONE = "alg-none"
    NOT_A_JWT = "not-a-jwt"
    NO_ID_TOKEN = "no-id-token"  # noqa: S105 - the name of a fault
    LOWER_CASE_TYPE = "lower-case-type"
    NOT_JSON = "not-json"
    EMPTY_OBJECT = "empty-object"
    EMPTY = "empty"


class Fault(BaseModel):
    """One scripted fault.

    It strikes requests that match `endpoint`, `recipient`, `client_id` (each optional), `count` times (0: until it is
    removed). With `when="before"` nothing is sent and no code is spent; with `when="after"` everything is, and only the
    answer is lost. Without a status, a drop or a token fault it only delays.
    """

    model_config = ConfigDict(extra="forbid")

    endpoint: str | None = None
    recipient: str | None = None
    client_id: str | None = None
    count: Annotated[int, Field(ge=0)] = 1
    when: When = When.BEFORE
    status: Annotated[int, Field(ge=200, le=599)] | None = None
    error: str = "server_error"
    description: str = "The simulator was told to fail"
    shape: Shape = Shape.A
    body: str | None = None
    members: dict[str, Any] = {}
    headers: dict[str, str] = {}
    delay_s: Annotated[float, Field(ge=0)] = 0.0
    drop: Drop = Drop.NO
    id_token: TokenFault = TokenFault.NONE

    @property
    def replaces(self) -> bool:
        """Whether the client gets something other than the real answer."""
        return self.status is not None or self.drop is not Drop.NO

    @property
    def strikes_first(self) -> bool:
        """Whether it strikes before the effect. A wrong id_token requires a login."""
        return self.when is When.BEFORE and self.id_token is TokenFault.NONE

    def replacement(self) -> Answer | None:
        """Return the answer that replaces the real one; None if this fault keeps it."""
        if self.status is None:
            return None
        headers = tuple((name.lower().encode(), value.encode()) for name, value in self.headers.items())
        answer = error_answer(
            self.shape, self.status, self.error, self.description, members=self.members, headers=headers
        )
        if self.body is not None:
            answer.body = self.body.encode()
        return answer


class ScriptedFault(Fault):
    """A fault in the queue, with its number and how often it struck."""

    id: int
    struck: int = 0


class Faults:
    """The queue of scripted faults: the first that matches strikes."""

    def __init__(self) -> None:
        self._queue: list[ScriptedFault] = []
        self._numbers = itertools.count(1)

    def script(self, fault: Fault) -> ScriptedFault:
        """Put a fault at the end of the queue."""
        scripted = ScriptedFault(id=next(self._numbers), **fault.model_dump())
        self._queue.append(scripted)
        return scripted

    def find(self, request: Request) -> ScriptedFault | None:
        """Return the fault that strikes this request, without using it up."""
        for fault in self._queue:
            if (
                fault.endpoint in (None, request.path)
                and (fault.recipient is None or fault.recipient.lower() == request.recipient.lower())
                and fault.client_id in (None, request.client_id)
            ):
                return fault
        return None

    def use(self, fault: ScriptedFault) -> None:
        """Count one strike; the fault leaves the queue with its last one."""
        fault.struck += 1
        if fault.count and fault.struck >= fault.count:
            self._queue = [other for other in self._queue if other is not fault]

    def remove(self, number: int) -> bool:
        """Take a fault out of the queue; return whether it was there."""
        before = len(self._queue)
        self._queue = [fault for fault in self._queue if fault.id != number]
        return len(self._queue) < before

    def clear(self) -> None:
        """Empty the queue."""
        self._queue = []

    def waiting(self) -> list[ScriptedFault]:
        """Return the queue."""
        return list(self._queue)

    def __bool__(self) -> bool:
        return bool(self._queue)
