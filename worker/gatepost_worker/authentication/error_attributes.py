"""The attributes that describe a failed call: how far the request got, why it failed, and whether it may be repeated."""

from __future__ import annotations

from enum import StrEnum


class Delivery(StrEnum):
    """How far the request got."""

    NOT_SENT = "not_sent"
    """No byte of the request left: nothing was carried out."""
    MAYBE_SENT = "maybe_sent"
    """The write began and no complete response came: the request may have been carried out."""
    ANSWERED = "answered"
    """A response came."""


class Remedy(StrEnum):
    """Whether the request may be repeated."""

    NEVER = "never"
    """Never: the same request fails again."""
    AFTER_WAIT = "after_wait"
    """After the wait that the server asks for, or a backoff: the request was not carried out."""
    AFTER_FIX = "after_fix"
    """After a correction of the configuration: the request was not carried out."""
    AMBIGUOUS = "ambiguous"
    """The request may have been carried out: a second send voids the first code, and a second login spends the code."""


class Cause(StrEnum):
    """Why a call failed. Each member has an error class."""

    # refused by the client, before any I/O
    ARGUMENT_MISSING = "argument_missing"
    CONFIGURATION_UNUSABLE = "configuration_unusable"
    CREDENTIAL_MISSING = "credential_missing"
    MIDDLEWARE_FAILED = "middleware_failed"
    # not reached
    NAME_NOT_RESOLVED = "name_not_resolved"
    CONNECT_FAILED = "connect_failed"
    CONNECT_TIMED_OUT = "connect_timed_out"
    TLS_FAILED = "tls_failed"
    PROXY_FAILED = "proxy_failed"
    REQUEST_UNSENDABLE = "request_unsendable"
    POOL_EXHAUSTED = "pool_exhausted"
    NOT_SENT_IN_TIME = "not_sent_in_time"
    # lost after the write began
    ANSWER_TIMED_OUT = "answer_timed_out"
    CONNECTION_LOST = "connection_lost"
    ANSWER_TRUNCATED = "answer_truncated"
    DEADLINE_EXCEEDED = "deadline_exceeded"
    # answered: the request or the recipient
    RECIPIENT_REJECTED = "recipient_rejected"
    REQUEST_REJECTED = "request_rejected"
    AUTH_PARAMS_REJECTED = "auth_params_rejected"
    SEND_REJECTED = "send_rejected"
    SCOPE_REJECTED = "scope_rejected"
    SIGNUP_DISABLED = "signup_disabled"
    CAPTCHA_REQUIRED = "captcha_required"
    # answered: tenant, client, connection
    TENANT_REJECTED = "tenant_rejected"
    CLIENT_ID_REJECTED = "client_id_rejected"
    CLIENT_REJECTED = "client_rejected"
    CLIENT_AUTHENTICATION_REQUIRED = "client_authentication_required"
    CLIENT_NOT_AUTHORIZED = "client_not_authorized"
    CONNECTION_MISCONFIGURED = "connection_misconfigured"
    GRANT_TYPE_UNSUPPORTED = "grant_type_unsupported"
    RESPONSE_TYPE_UNSUPPORTED = "response_type_unsupported"
    ENDPOINT_DISABLED = "endpoint_disabled"
    DPOP_REQUIRED = "dpop_required"
    REDIRECTED = "redirected"
    # answered: the message provider behind Auth0
    PROVIDER_REJECTED_RECIPIENT = "provider_rejected_recipient"
    PROVIDER_MISCONFIGURED = "provider_misconfigured"
    PROVIDER_FAILED = "provider_failed"
    PROVIDER_TIMED_OUT = "provider_timed_out"
    # answered: the login
    CODE_REJECTED = "code_rejected"
    CODE_EXPIRED = "code_expired"
    CODE_ATTEMPTS_EXHAUSTED = "code_attempts_exhausted"
    MFA_REQUIRED = "mfa_required"
    ACCESS_DENIED = "access_denied"
    # answered: limits and failures of the server
    RATE_LIMITED = "rate_limited"
    TOO_MANY_ATTEMPTS = "too_many_attempts"
    TOO_MANY_LOGINS = "too_many_logins"
    SERVER_FAILED = "server_failed"
    TEMPORARILY_UNAVAILABLE = "temporarily_unavailable"
    REFUSED = "refused"
    NOT_OF_AUTH0 = "not_of_auth0"
    ANSWER_UNREADABLE = "answer_unreadable"
    # answered with a success that cannot be used
    START_RESPONSE_UNREADABLE = "start_response_unreadable"
    TOKEN_RESPONSE_UNREADABLE = "token_response_unreadable"  # noqa: S105 - a cause, not a credential
    ID_TOKEN_INVALID = "id_token_invalid"  # noqa: S105 - as above
    ID_TOKEN_NOT_VERIFIED = "id_token_not_verified"  # noqa: S105 - as above
