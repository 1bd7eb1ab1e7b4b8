"""A reading of the quota from a start that is refused on purpose, so that nobody is sent anything."""

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

# No connection can have this name (Auth0 allows letters, digits and hyphens), and the request names no recipient.
PROBE_CONNECTION: Final = "gatepost.probe:no-such-connection"

# Auth0 looks at the client before it looks at the connection and the recipient: these refusals come after the credential has passed.
_PASSED: Final = (ConnectionMisconfigured, RecipientRejected, RequestRejected, SendRejected, SignupDisabled)
_REJECTED: Final = (TenantRejected, ClientIdRejected, ClientRejected, ClientAuthenticationRequired, ClientNotAuthorized)


class CredentialCheck(StrEnum):
    """What a refused start says of the client's credential."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class StartProbe:
    """What a start that was refused on purpose tells.

    Attributes:
        credentials: whether Auth0 got past the client's credential to what is wrong on purpose.
        rate_limits: what the headers say of the quota of starts.
        status: the HTTP status.
        code: Auth0's error code.
    """

    credentials: CredentialCheck
    rate_limits: RateLimits | None
    status: int | None
    code: str | None


def probe_of(answer: AuthenticationError | StartResponse) -> StartProbe:
    """Return what the answer to a probe tells."""
    return StartProbe(
        credentials=_check(answer),
        rate_limits=answer.rate_limits,
        status=answer.status,
        code=getattr(answer, "code", None),
    )


def _check(answer: AuthenticationError | StartResponse) -> CredentialCheck:
    if isinstance(answer, (StartResponse, *_PASSED)):
        return CredentialCheck.ACCEPTED
    return CredentialCheck.REJECTED if isinstance(answer, _REJECTED) else CredentialCheck.UNKNOWN
