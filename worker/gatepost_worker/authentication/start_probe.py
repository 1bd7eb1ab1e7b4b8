"""Reads the quota from a start that Auth0 must refuse, so that no message is sent."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from gatepost_worker.authentication.refusals import (
    ClientAuthenticationRequired,
    ClientIdRejected,
    ClientNotAuthorized,
    ClientRejected,
    ConnectionMisconfigured,
    RecipientRejected,
    RequestRejected,
    SendRejected,
    SignupDisabled,
    TenantRejected,
)
from gatepost_worker.authentication.responses import StartResponse

if TYPE_CHECKING:
    from gatepost_worker.authentication.errors import AuthenticationError
    from gatepost_worker.authentication.rate_limits import RateLimits

# An impossible name for a connection (Auth0 allows letters, digits and hyphens). The request also names no recipient.
PROBE_CONNECTION: Final = "gatepost.probe:no-such-connection"

# Auth0 checks the client before the connection and the recipient, so these refusals show that it accepted the credential.
_ACCEPTED: Final = (ConnectionMisconfigured, RecipientRejected, RequestRejected, SendRejected, SignupDisabled)
_REJECTED: Final = (TenantRejected, ClientIdRejected, ClientRejected, ClientAuthenticationRequired, ClientNotAuthorized)


class CredentialCheck(StrEnum):
    """Whether Auth0 accepts the client's credential, by its refusal of a start."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class StartProbe:
    """The findings of a start that Auth0 must refuse.

    Attributes:
        credentials: whether Auth0 accepts the client's credential.
        rate_limits: the quota of starts that the headers state.
        status: the HTTP status.
        code: Auth0's error code.
    """

    credentials: CredentialCheck
    rate_limits: RateLimits | None
    status: int | None
    code: str | None


def probe_of(answer: AuthenticationError | StartResponse) -> StartProbe:
    """Return the findings of a probe's response."""
    return StartProbe(
        credentials=_check(answer),
        rate_limits=answer.rate_limits,
        status=answer.status,
        code=getattr(answer, "code", None),
    )


def _check(answer: AuthenticationError | StartResponse) -> CredentialCheck:
    if isinstance(answer, (StartResponse, *_ACCEPTED)):
        return CredentialCheck.ACCEPTED
    return CredentialCheck.REJECTED if isinstance(answer, _REJECTED) else CredentialCheck.UNKNOWN
