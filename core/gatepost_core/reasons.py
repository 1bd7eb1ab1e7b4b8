"""The reasons of final states, one entry each.

The errors of `gatepost.errors`, the records in Redis, the Lua scripts, the rule of doubt, the pauses of campaigns and the table in
docs/reference/failures.md come from these entries.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Self

from gatepost_core.states import State


class Retry(StrEnum):
    """Whether a second attempt with the same recipient and options can succeed."""

    CAN_SUCCEED = "can_succeed"
    NEEDS_CORRECTION = "needs_correction"
    """It can, after a correction in Auth0, at the message provider or in a list of this installation."""
    CANNOT_SUCCEED = "cannot_succeed"


@dataclass(frozen=True, slots=True)
class Entry:
    """One reason.

    Attributes:
        name: its name in Redis, JSON and logs.
        code: the byte that a campaign's records hold, from 1 to 255. Stored: a number is never given to another reason.
        states: the final states that have this reason.
        error: the class in `gatepost.errors`. In the state `unknown` it is `OutcomeUnknown`.
        advice: one sentence: what happened, and what to do about it.
        retry: whether a retry can succeed.
        doubt: whether the attempt may have been carried out. See `gatepost_core.doubt`.
        pauses: whether it pauses a campaign at once, because Auth0 would refuse every recipient. The recipient stays queued.
    """

    name: str
    code: int
    states: tuple[State, ...]
    error: str
    advice: str
    retry: Retry
    doubt: bool = False
    pauses: bool = False


_REJECTED: Final = (State.REJECTED,)


class Reason(StrEnum):
    """Why an operation ended as it did. The attributes are those of its entry."""

    code: int
    states: tuple[State, ...]
    error: str
    advice: str
    retry: Retry
    doubt: bool
    pauses: bool

    def __new__(cls, entry: Any) -> Self:
        """Make a member of its entry."""
        reason = str.__new__(cls, entry.name)
        reason._value_ = entry.name
        reason.code, reason.states, reason.error, reason.advice = entry.code, entry.states, entry.error, entry.advice
        reason.retry, reason.doubt, reason.pauses = entry.retry, entry.doubt, entry.pauses
        return reason

    # fmt: off
    # Auth0 refused
    RECIPIENT_REJECTED = Entry(
        "recipient_rejected", 1, _REJECTED, "RecipientRejected",
        "Auth0 refused the address or number; correct it, or leave it out.",
        Retry.CANNOT_SUCCEED,
    )
    SIGNUP_DISABLED = Entry(
        "signup_disabled", 2, _REJECTED, "RecipientRejected",
        "The connection is closed for sign-ups and Auth0 has no such user; open it, or create the user first.",
        Retry.NEEDS_CORRECTION,
    )
    PROVIDER_REJECTED_RECIPIENT = Entry(
        "provider_rejected_recipient", 3, _REJECTED, "RecipientRejected",
        "The message provider refused the number (invalid, or its region is not enabled); correct it or enable it there.",
        Retry.NEEDS_CORRECTION,
    )
    REQUEST_REJECTED = Entry(
        "request_rejected", 4, _REJECTED, "RequestRejected",
        "Auth0 refused a field of the request; check send, auth_params, scope, audience and extra.",
        Retry.NEEDS_CORRECTION,
    )
    CONNECTION_MISCONFIGURED = Entry(
        "connection_misconfigured", 5, _REJECTED, "ClientMisconfigured",
        "The connection is missing, disabled, closed for sign-ups or not passwordless; check it in the Auth0 dashboard.",
        Retry.NEEDS_CORRECTION, pauses=True,
    )
    PROVIDER_MISCONFIGURED = Entry(
        "provider_misconfigured", 6, _REJECTED, "ClientMisconfigured",
        "Auth0 could not sign in at the message provider; renew its credentials in Auth0.",
        Retry.NEEDS_CORRECTION, pauses=True,
    )
    TENANT_MISCONFIGURED = Entry(
        "tenant_misconfigured", 7, _REJECTED, "ClientMisconfigured",
        "Auth0 does not know the tenant or the client, or no request can be built from the tenant's settings; check domain, "
        "client id and base URL.",
        Retry.NEEDS_CORRECTION, pauses=True,
    )
    CLIENT_REJECTED = Entry(
        "client_rejected", 8, _REJECTED, "ClientMisconfigured",
        "Auth0 refused the client's credential; check the client secret, or the signing key and its algorithm.",
        Retry.NEEDS_CORRECTION, pauses=True,
    )
    CLIENT_NOT_AUTHORIZED = Entry(
        "client_not_authorized", 9, _REJECTED, "ClientMisconfigured",
        "The application may not do this; enable the Passwordless OTP grant and client authentication for it.",
        Retry.NEEDS_CORRECTION, pauses=True,
    )
    CAPTCHA_REQUIRED = Entry(
        "captcha_required", 10, _REJECTED, "CaptchaRequired",
        "Bot detection asks for a captcha, which a worker cannot solve; set it to Never for passwordless, or allow this IP.",
        Retry.NEEDS_CORRECTION, pauses=True,
    )
    CODE_REJECTED = Entry(
        "code_rejected", 11, _REJECTED, "CodeRejected",
        "The code is wrong, already used or replaced by a newer one; ask for the code again or send a new one.",
        Retry.CANNOT_SUCCEED,
    )
    CODE_EXPIRED = Entry(
        "code_expired", 12, _REJECTED, "CodeExpired",
        "The code is too old; send a new one.",
        Retry.CANNOT_SUCCEED,
    )
    CODE_ATTEMPTS_EXHAUSTED = Entry(
        "code_attempts_exhausted", 13, _REJECTED, "CodeAttemptsExhausted",
        "The code was tried too often; send a new one.",
        Retry.CANNOT_SUCCEED,
    )
    MFA_REQUIRED = Entry(
        "mfa_required", 14, _REJECTED, "MfaRequired",
        "Auth0 asks for a second factor; continue in your application with the MFA token that redeem() gives.",
        Retry.CANNOT_SUCCEED,
    )
    ACCESS_DENIED = Entry(
        "access_denied", 15, _REJECTED, "AccessDenied",
        "An Action, a Rule or a block on the user denied the login; see the tenant's log.",
        Retry.NEEDS_CORRECTION,
    )
    TOO_MANY_ATTEMPTS = Entry(
        "too_many_attempts", 16, _REJECTED, "TooManyAttempts",
        "Attack protection blocks this person or IP address; unblock it in Auth0, then send a new code.",
        Retry.NEEDS_CORRECTION,
    )
    DPOP_REQUIRED = Entry(
        "dpop_required", 17, _REJECTED, "ClientMisconfigured",
        "The API demands DPoP, which Gatepost does not speak; use an API without sender constraining.",
        Retry.NEEDS_CORRECTION, pauses=True,
    )
    ENDPOINT_DISABLED = Entry(
        "endpoint_disabled", 18, _REJECTED, "ClientMisconfigured",
        "The tenant has this endpoint or grant switched off.",
        Retry.NEEDS_CORRECTION, pauses=True,
    )
    CREDENTIAL_MISSING = Entry(
        "credential_missing", 22, _REJECTED, "ClientMisconfigured",
        "The tenant's only credential is a client certificate, but Auth0 accepts mutual TLS only for logins; add a client "
        "secret or a signing key to send.",
        Retry.NEEDS_CORRECTION, pauses=True,
    )
    REFUSED_BY_AUTH0 = Entry(
        "refused_by_auth0", 23, _REJECTED, "Rejected",
        "Auth0 refused the request with an error code that Gatepost does not know; look it up in Auth0's documentation and the "
        "tenant's log.",
        Retry.NEEDS_CORRECTION,
    )
    ANSWER_NOT_UNDERSTOOD = Entry(
        "answer_not_understood", 19, (State.REJECTED, State.UNKNOWN), "AnswerRejected",
        "The answer does not come from Auth0; check the domain and any proxy. Not repeated.",
        Retry.NEEDS_CORRECTION, doubt=True,
    )
    TOKEN_INVALID = Entry(
        "token_invalid", 20, _REJECTED, "AnswerRejected",
        "The id_token failed a check; the code is spent. Check issuer, audience, organization and signing algorithm.",
        Retry.CANNOT_SUCCEED,
    )
    TOKEN_NOT_VERIFIED = Entry(
        "token_not_verified", 21, _REJECTED, "AnswerRejected",
        "The signing keys could not be fetched, so the id_token was not checked; the code is spent.",
        Retry.CANNOT_SUCCEED,
    )
    # no attempt reached Auth0, or the deadline came first
    NOT_REACHED = Entry(
        "not_reached", 30, (State.EXHAUSTED,), "AttemptsExhausted",
        "No attempt reached Auth0; check DNS, the network, TLS and any proxy, then ask again.",
        Retry.CAN_SUCCEED,
    )
    DEADLINE_PASSED = Entry(
        "deadline_passed", 31, (State.EXPIRED,), "DeadlinePassed",
        "The deadline came before an attempt could be made; ask again, with more workers or more quota.",
        Retry.CAN_SUCCEED,
    )
    # the request may have been carried out
    ANSWER_LOST = Entry(
        "answer_lost", 40, (State.UNKNOWN,), "OutcomeUnknown",
        "The request was written and no answer came; it may have been carried out. Not repeated.",
        Retry.CAN_SUCCEED, doubt=True,
    )
    SERVER_FAILED = Entry(
        "server_failed", 41, (State.UNKNOWN,), "OutcomeUnknown",
        "Auth0 answered with a server error; it may have carried the request out. Not repeated.",
        Retry.CAN_SUCCEED, doubt=True,
    )
    PROVIDER_SILENT = Entry(
        "provider_silent", 42, (State.UNKNOWN,), "OutcomeUnknown",
        "The message provider did not answer Auth0 in a way that tells whether it sent. Not repeated.",
        Retry.CAN_SUCCEED, doubt=True,
    )
    WORKER_LOST = Entry(
        "worker_lost", 43, (State.UNKNOWN,), "OutcomeUnknown",
        "A worker ended in the middle of the attempt; it may have been carried out. Not repeated.",
        Retry.CAN_SUCCEED, doubt=True,
    )
    BACKUP_RESTORED = Entry(
        "backup_restored", 44, (State.UNKNOWN,), "OutcomeUnknown",
        "Redis was restored from a backup in which this was open; it may have been carried out after the backup. Not repeated.",
        Retry.CAN_SUCCEED, doubt=True,
    )
    # decided by a list, or by the caller
    CANCELLED_BY_CALLER = Entry(
        "cancelled_by_caller", 50, (State.CANCELLED,), "Cancelled",
        "Cancelled before it was sent.",
        Retry.CAN_SUCCEED,
    )
    ON_SUPPRESSION_LIST = Entry(
        "on_suppression_list", 51, (State.SUPPRESSED,), "Suppressed",
        "The recipient is on the suppression list; nothing was sent.",
        Retry.NEEDS_CORRECTION,
    )
    NOT_ON_GUEST_LIST = Entry(
        "not_on_guest_list", 52, (State.SUPPRESSED,), "Suppressed",
        "A guest list is set and the recipient is not on it; nothing was sent.",
        Retry.CANNOT_SUCCEED,
    )
    # fmt: on


BY_CODE: Final = {reason.code: reason for reason in Reason}
IMPLIED: Final[dict[State, Reason]] = {
    State.CANCELLED: Reason.CANCELLED_BY_CALLER,
    State.EXPIRED: Reason.DEADLINE_PASSED,
    State.UNKNOWN: Reason.BACKUP_RESTORED,
}
"""The reason of a recipient in this state that has no record, or a record without a reason."""
