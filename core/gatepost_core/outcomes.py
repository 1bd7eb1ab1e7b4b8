"""The results of operations: outcomes, and the token sets of logins."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime  # noqa: TC003 - pydantic and dataclass users resolve it at run time
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, PlainSerializer, SecretStr, TypeAdapter, ValidationError, field_validator

from gatepost_core.blocks import ACCEPT_OPERATIONS, Block
from gatepost_core.error_boundary import boundary, model_boundary
from gatepost_core.errors import OperationFailed, SealError, failure_of
from gatepost_core.identifiers import REVEAL, reveal_in_context
from gatepost_core.kinds import Kind  # noqa: TC001 - as above
from gatepost_core.reasons import Reason  # noqa: TC001 - as above
from gatepost_core.states import State  # noqa: TC001 - as above


@dataclass(frozen=True, slots=True)
class Outcome:
    """The state of an operation, without personal data."""

    operation_id: str
    kind: Kind
    state: State
    reason: Reason | None = None
    detail: str | None = field(
        default=None,
        metadata={"doc": "Auth0's error code, if it gave one; for `token_invalid`, the claim that failed"},
    )
    http_status: int | None = None
    attempts: int = 0
    created_at: datetime | None = None
    updated_at: datetime | None = None
    deadline: datetime | None = None
    blocked: Block | None = field(default=None, metadata={"doc": "Why the last worker could not run it"})

    def as_json(self) -> dict[str, Any]:
        """Return the outcome as JSON values. Times are ISO 8601 in UTC."""
        return {
            "operation_id": self.operation_id,
            "kind": self.kind.value,
            "state": self.state.value,
            "reason": self.reason and self.reason.value,
            "advice": self.reason and self.reason.advice,
            "detail": self.detail,
            "http_status": self.http_status,
            "attempts": self.attempts,
            "created_at": self.created_at and self.created_at.isoformat(),
            "updated_at": self.updated_at and self.updated_at.isoformat(),
            "deadline": self.deadline and self.deadline.isoformat(),
            "blocked": self.blocked and self.blocked.as_json(ACCEPT_OPERATIONS),
        }

    def failure(self) -> OperationFailed | None:
        """Return the typed error of a final state; None if the operation is accepted or not finished."""
        if not self.state.is_terminal or self.reason is None:
            return None
        return failure_of(self.operation_id, self.reason, self.detail, self.state)

    def raise_for_state(self) -> None:
        """Raise the typed error of a final state, unless it is `accepted`.

        Raises:
            OperationFailed: the operation failed. The subclass names the cause.
        """
        failure = self.failure()
        if failure is not None:
            raise failure


SecretText = Annotated[SecretStr, PlainSerializer(reveal_in_context, when_used="json")]


@model_boundary
class _Sealable(BaseModel):
    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    def revealed(self) -> dict[str, Any]:
        """Return every field in clear, as JSON values. Do not log them."""
        return self.model_dump(mode="json", context=REVEAL, exclude_none=True)


class TokenSet(_Sealable):
    """The tokens of a login. They are masked when printed; `get_secret_value()` returns them.

    Source: https://auth0.com/docs/api/authentication (Authenticate User, passwordless OTP grant).
    """

    type: Literal["token_set"] = "token_set"
    access_token: SecretText
    token_type: str = "Bearer"  # noqa: S105 - a scheme, not a credential
    expires_in: int | None = None
    id_token: SecretText | None = None
    refresh_token: SecretText | None = None
    scope: str | None = None


class MfaChallenge(_Sealable):
    """The result of a login for which Auth0 asks for a second factor."""

    type: Literal["mfa_challenge"] = "mfa_challenge"
    mfa_token: SecretText | None = None
    mfa_requirements: dict[str, Any] | None = None

    @field_validator("mfa_requirements")
    @classmethod
    def _finite(cls, value: dict[str, Any] | None) -> dict[str, Any] | None:
        # pydantic reads NaN and 1e999, and writes null.
        json.dumps(value, allow_nan=False)
        return value


class Denial(_Sealable):
    """Auth0's message for a refused login, such as the text of an Action."""

    type: Literal["denial"] = "denial"
    description: SecretText


Redeemable = TokenSet | MfaChallenge | Denial
_REDEEMABLE: Final[TypeAdapter[Redeemable]] = TypeAdapter(Redeemable)


def dump_redeemable(result: Redeemable) -> bytes:
    """Return the result of a login as JSON, in clear. Only for sealing."""
    return result.model_dump_json(context=REVEAL, exclude_none=True).encode()


@boundary
def load_redeemable(document: bytes) -> Redeemable:
    """Read what `dump_redeemable` wrote.

    Raises:
        SealError: another version wrote it, in an unknown form.
    """
    try:
        return _REDEEMABLE.validate_json(document)
    except ValidationError:
        # Its text quotes the tokens.
        raise SealError("A sealed result has a form that this version does not know.") from None
