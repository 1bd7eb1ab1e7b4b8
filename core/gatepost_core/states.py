"""The closed set of states and reasons in which an operation or a recipient can be."""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class State(StrEnum):
    """Where an operation or a recipient stands. Every one ends in exactly one terminal state."""

    QUEUED = "queued"
    IN_FLIGHT = "in_flight"
    DEFERRED = "deferred"
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    EXHAUSTED = "exhausted"
    EXPIRED = "expired"
    SUPPRESSED = "suppressed"
    CANCELLED = "cancelled"
    UNKNOWN = "unknown"

    @property
    def is_terminal(self) -> bool:
        """Whether nothing more will happen."""
        return self not in _OPEN


_OPEN: Final = frozenset({State.QUEUED, State.IN_FLIGHT, State.DEFERRED})


class Reason(StrEnum):
    """Why an operation ended as it did; `advice` tells an operator what to do."""

    # rejected: Auth0 answered no
    RECIPIENT_REJECTED = "recipient_rejected"
    SIGNUP_DISABLED = "signup_disabled"
    PROVIDER_REJECTED_RECIPIENT = "provider_rejected_recipient"
    REQUEST_REJECTED = "request_rejected"
    CONNECTION_MISCONFIGURED = "connection_misconfigured"
    PROVIDER_MISCONFIGURED = "provider_misconfigured"
    TENANT_MISCONFIGURED = "tenant_misconfigured"
    CLIENT_REJECTED = "client_rejected"
    CLIENT_NOT_AUTHORIZED = "client_not_authorized"
    CAPTCHA_REQUIRED = "captcha_required"
    CODE_REJECTED = "code_rejected"
    CODE_EXPIRED = "code_expired"
    CODE_ATTEMPTS_EXHAUSTED = "code_attempts_exhausted"
    MFA_REQUIRED = "mfa_required"
    ACCESS_DENIED = "access_denied"
    TOO_MANY_ATTEMPTS = "too_many_attempts"
    DPOP_REQUIRED = "dpop_required"
    ENDPOINT_DISABLED = "endpoint_disabled"
    CREDENTIAL_MISSING = "credential_missing"
    REFUSED_BY_AUTH0 = "refused_by_auth0"
    ANSWER_NOT_UNDERSTOOD = "answer_not_understood"  # unknown where the answer was not an error
    TOKEN_INVALID = "token_invalid"  # noqa: S105 - a reason, not a credential
    TOKEN_NOT_VERIFIED = "token_not_verified"  # noqa: S105 - as above
    # exhausted: every attempt failed before it reached Auth0
    NOT_REACHED = "not_reached"
    # expired: the deadline came first
    DEADLINE_PASSED = "deadline_passed"
    # unknown: the request may have arrived
    ANSWER_LOST = "answer_lost"
    SERVER_FAILED = "server_failed"
    PROVIDER_SILENT = "provider_silent"
    WORKER_LOST = "worker_lost"
    BACKUP_RESTORED = "backup_restored"
    # decided on our side
    CANCELLED_BY_CALLER = "cancelled_by_caller"
    ON_SUPPRESSION_LIST = "on_suppression_list"
    NOT_ON_GUEST_LIST = "not_on_guest_list"

    @property
    def advice(self) -> str:
        """One sentence: what happened, and what to do about it."""
        return _ADVICE[self]


_ADVICE: Final[dict[Reason, str]] = {
    Reason.RECIPIENT_REJECTED: "Auth0 refused the address or number; correct it at its source.",
    Reason.SIGNUP_DISABLED: "The connection is closed for sign-ups and Auth0 has no such user; open it, or create the user first.",
    Reason.PROVIDER_REJECTED_RECIPIENT: (
        "The message provider refused the number (invalid, or its region is not enabled); correct it or enable it there."
    ),
    Reason.REQUEST_REJECTED: "Auth0 refused a field of the request; check send, auth_params, scope, audience and extra.",
    Reason.CONNECTION_MISCONFIGURED: (
        "The connection is missing, disabled, closed for sign-ups or not passwordless; check it in the Auth0 dashboard."
    ),
    Reason.PROVIDER_MISCONFIGURED: "Auth0 could not sign in at the message provider; renew its credentials in Auth0.",
    Reason.TENANT_MISCONFIGURED: (
        "Auth0 does not know the tenant or the client, or no request can be built from the tenant's settings; check domain, client id and base URL."
    ),
    Reason.CLIENT_REJECTED: "Auth0 refused the client's credential; check the client secret, or the signing key and its algorithm.",
    Reason.CLIENT_NOT_AUTHORIZED: (
        "The application may not do this; enable the Passwordless OTP grant and client authentication for it."
    ),
    Reason.CAPTCHA_REQUIRED: (
        "Bot detection asks for a captcha, which a worker cannot solve; set it to Never for passwordless, or allow this IP."
    ),
    Reason.CODE_REJECTED: "The code is wrong, already used or replaced by a newer one; ask for the code again or send a new one.",
    Reason.CODE_EXPIRED: "The code is too old; send a new one.",
    Reason.CODE_ATTEMPTS_EXHAUSTED: "The code was tried too often; send a new one.",
    Reason.MFA_REQUIRED: "Auth0 asks for a second factor; continue in your application with the MFA token that redeem() gives.",
    Reason.ACCESS_DENIED: "An Action, a Rule or a block on the user denied the login; see the tenant's log.",
    Reason.TOO_MANY_ATTEMPTS: "Attack protection blocks this person or IP address; unblock it in Auth0, then send a new code.",
    Reason.DPOP_REQUIRED: "The API demands DPoP, which Gatepost does not speak; use an API without sender constraining.",
    Reason.ENDPOINT_DISABLED: "The tenant has this endpoint or grant switched off.",
    Reason.CREDENTIAL_MISSING: (
        "The tenant's only credential is a client certificate, but Auth0 accepts mutual TLS only for logins; add a client secret or a "
        "signing key to send."
    ),
    Reason.REFUSED_BY_AUTH0: (
        "Auth0 refused the request with an error code that Gatepost does not know; look it up in Auth0's documentation and the tenant's log."
    ),
    Reason.ANSWER_NOT_UNDERSTOOD: "The answer does not come from Auth0; check the domain and any proxy. Not repeated.",
    Reason.TOKEN_INVALID: "The id_token failed a check; the code is spent. Check issuer, audience, organization and signing algorithm.",
    Reason.TOKEN_NOT_VERIFIED: "The signing keys could not be fetched, so the id_token was not checked; the code is spent.",
    Reason.NOT_REACHED: "No attempt reached Auth0; check DNS, the network, TLS and any proxy, then ask again.",
    Reason.DEADLINE_PASSED: "The deadline came before an attempt could be made; ask again, with more workers or more quota.",
    Reason.ANSWER_LOST: "The request was written and no answer came; it may have been carried out. Not repeated.",
    Reason.SERVER_FAILED: "Auth0 answered with a server error; it may have carried the request out. Not repeated.",
    Reason.PROVIDER_SILENT: "The message provider did not answer Auth0 in a way that tells whether it sent. Not repeated.",
    Reason.WORKER_LOST: "A worker ended in the middle of the attempt; it may have been carried out. Not repeated.",
    Reason.BACKUP_RESTORED: (
        "Redis was restored from a backup in which this was open; it may have been carried out after the backup. Not repeated."
    ),
    Reason.CANCELLED_BY_CALLER: "Cancelled before it was sent.",
    Reason.ON_SUPPRESSION_LIST: "The recipient is on the suppression list; nothing was sent.",
    Reason.NOT_ON_GUEST_LIST: "A guest list is set and the recipient is not on it; nothing was sent.",
}
