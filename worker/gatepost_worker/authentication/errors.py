"""Every exception the Authentication client raises.

    AuthenticationError
    ├── NotAttempted                     refused by the client, before any I/O
    │   ├── RequiredError (ValueError)        an argument is missing or empty; `.field` names it
    │   └── ConfigurationError (ValueError)   the configuration does not allow the call
    │       └── CredentialMissing                 … because a certificate is no credential for a start
    ├── MiddlewareFailed                 a hook raised an error
    ├── NotReached                       delivery `not_sent`: nothing was carried out
    │   ├── NameNotResolved · ConnectFailed · ConnectTimedOut · TlsFailed · ProxyFailed
    │   ├── RequestUnsendable · PoolExhausted
    │   └── NotSentInTime
    ├── AnswerLost                       delivery `maybe_sent`: the request may have been carried out
    │   ├── AnswerTimedOut · ConnectionLost · AnswerTruncated
    │   └── DeadlineExceeded
    ├── AnswerUnreadable                 the response is not readable HTTP
    │   └── StartResponseUnreadable           the response to a start is a success that is not Auth0's
    ├── Refusal                          the response is not a success: see `refusals`
    └── LoginUnusable                    the response to a login is a success that cannot be used: the code is spent
        ├── TokenResponseUnreadable           not JSON, or without an access token: the code may be spent
        ├── IdTokenInvalid                    the id_token failed a check; `.claim` names the claim
        └── IdTokenNotVerified                the signing keys could not be fetched; `.token_response` holds the tokens
    Unforeseen                           a fault in the client; names the error's class and place, never its text

A class's docstring is its message: the problem and its solution. No message, `repr` or `str` contains an address, a code, a token, a URL or
a body. No error refers to the lower exception, which may hold the request, or to the frames that it passed (see `boundary`).

These are the errors of one HTTP call. `gatepost.errors` has the errors of a whole operation, for applications. Two names exist in both, here
for the client and there for Gatepost: ConfigurationError and Unforeseen.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from gatepost_worker.authentication.error_attributes import Cause, Delivery, Remedy

if TYPE_CHECKING:
    from pydantic import SecretStr

    from gatepost_worker.authentication.rate_limits import RateLimits
    from gatepost_worker.authentication.responses import TokenResponse

__all__ = [
    "AnswerLost", "AnswerTimedOut", "AnswerTruncated", "AnswerUnreadable", "AuthenticationError",
    "ConfigurationError", "ConnectFailed", "ConnectTimedOut", "ConnectionLost", "CredentialMissing",
    "DeadlineExceeded", "IdTokenInvalid", "IdTokenNotVerified", "LoginUnusable", "MiddlewareFailed",
    "NameNotResolved", "NotAttempted", "NotReached", "NotSentInTime", "PoolExhausted", "ProxyFailed", "Refusal",
    "RequestUnsendable", "RequiredError", "StartResponseUnreadable", "TlsFailed", "TokenResponseUnreadable",
    "Unforeseen",
]  # fmt: skip


class AuthenticationError(Exception):
    """The call failed.

    Attributes:
        cause: why the call failed; set for each class.
        remedy: whether the call may be repeated; set for each class. If nothing was sent, it is never `ambiguous`.
        delivery: how far the request got.
        status: the HTTP status, if a status line came.
        code: Auth0's error code, if the body has one.
        description: Auth0's text. It can contain the address.
        rate_limits: the quota that the response's headers state; None without a response.
        retry_after_s: the seconds that the server asks to wait; for a 429 the longer of `Retry-After` and the time to the refill. The value
            is not checked and may be implausible.
        origin: the class name of the lower exception, if there was one.
    """

    cause: ClassVar[Cause] = Cause.REFUSED
    remedy: Remedy = Remedy.AMBIGUOUS
    delivery: Delivery = Delivery.MAYBE_SENT

    def __init__(
        self,
        message: str | None = None,
        *,
        delivery: Delivery | None = None,
        status: int | None = None,
        code: str | None = None,
        description: SecretStr | None = None,
        rate_limits: RateLimits | None = None,
        retry_after_s: float | None = None,
        origin: str | None = None,
    ) -> None:
        super().__init__(message or _first_paragraph(type(self).__doc__))
        if delivery is not None:
            self.delivery = delivery
        if self.delivery is Delivery.NOT_SENT and self.remedy is Remedy.AMBIGUOUS:
            self.remedy = Remedy.AFTER_FIX
        self.status = status
        self.code = code
        self.description = description
        self.rate_limits = rate_limits
        self.retry_after_s = retry_after_s
        self.origin = origin

    @property
    def detail(self) -> str | None:
        """The detail that an outcome shows beside its reason: Auth0's error code, if the body has one."""
        return self.code

    @property
    def may_have_taken_effect(self) -> bool:
        """Whether a message may have been sent, or a code spent, although the call failed."""
        return self.delivery is Delivery.MAYBE_SENT or self.remedy is Remedy.AMBIGUOUS

    def __str__(self) -> str:
        facts = ", ".join(filter(None, [f"HTTP {self.status}" if self.status else None, self.code, self.origin]))
        return f"{self.args[0]} ({facts})" if facts else str(self.args[0])


def _first_paragraph(docstring: str | None) -> str:
    return " ".join((docstring or "").partition("\n\n")[0].split())


class Unforeseen(Exception):
    """The client failed unexpectedly; the request may have been carried out.

    Attributes:
        account: the error's class and the places that it passed.
    """

    def __init__(self, account: str) -> None:
        super().__init__(account)
        self.account = account

    def __str__(self) -> str:
        return (
            f"The client failed unexpectedly ({self.account}). Please report it. The request may have been carried out."
        )


class NotAttempted(AuthenticationError):
    """The client refused the call; nothing was sent."""

    remedy = Remedy.AFTER_FIX
    delivery = Delivery.NOT_SENT


class RequiredError(NotAttempted, ValueError):
    """An argument is missing or empty.

    Attributes:
        field: the argument's name.
    """

    cause = Cause.ARGUMENT_MISSING
    remedy = Remedy.NEVER

    def __init__(self, field: str = "") -> None:
        super().__init__(f"{field} is required and must not be empty")
        self.field = field

    def __reduce__(self) -> tuple[type[RequiredError], tuple[str], dict[str, Any]]:
        return type(self), (self.field,), self.__dict__


class ConfigurationError(NotAttempted, ValueError):
    """The client's configuration does not allow this call."""

    cause = Cause.CONFIGURATION_UNUSABLE


class CredentialMissing(ConfigurationError):
    """Mutual TLS is the only credential, but Auth0 accepts it only on token calls; add a client_secret or a signing key to send."""

    cause = Cause.CREDENTIAL_MISSING


class MiddlewareFailed(AuthenticationError):
    """A middleware hook raised an error; fix or remove the hook."""

    cause = Cause.MIDDLEWARE_FAILED


class NotReached(AuthenticationError):
    """Auth0 was not reached; nothing was sent. Check DNS, the network, TLS and any proxy."""

    cause = Cause.CONNECT_FAILED
    remedy = Remedy.AFTER_WAIT
    delivery = Delivery.NOT_SENT


class NameNotResolved(NotReached):
    """The domain's name did not resolve; check the domain and the resolver."""

    cause = Cause.NAME_NOT_RESOLVED


class ConnectFailed(NotReached):
    """No connection could be made (refused or unreachable); check the network, the firewall and the port."""

    cause = Cause.CONNECT_FAILED


class ConnectTimedOut(NotReached):
    """Connecting took longer than the connect timeout; check the network and the firewall."""

    cause = Cause.CONNECT_TIMED_OUT


class TlsFailed(NotReached):
    """The TLS handshake failed; check the CA bundle, the host's name, the clock and any client certificate."""

    cause = Cause.TLS_FAILED


class ProxyFailed(NotReached):
    """The proxy refused or was not reached; check its address, its credentials and its rules."""

    cause = Cause.PROXY_FAILED


class RequestUnsendable(NotReached):
    """The request could not be sent because of its URL, scheme or a header; check the base URL, the proxy's URL and extra headers."""

    cause = Cause.REQUEST_UNSENDABLE
    remedy = Remedy.AFTER_FIX


class PoolExhausted(NotReached):
    """No pooled connection became free, or the client was closed; raise the pool's size or lower the concurrency."""

    cause = Cause.POOL_EXHAUSTED


class NotSentInTime(NotReached):
    """The total deadline passed before the request could be written; check the network, or allow more time."""

    cause = Cause.NOT_SENT_IN_TIME


class AnswerLost(AuthenticationError):
    """The request was written and no complete response came; it may have been carried out."""

    cause = Cause.CONNECTION_LOST
    remedy = Remedy.AMBIGUOUS
    delivery = Delivery.MAYBE_SENT


class AnswerTimedOut(AnswerLost):
    """No response came within the read timeout; the request may have been carried out. A message provider may take 30 s: allow SMS more."""

    cause = Cause.ANSWER_TIMED_OUT


class ConnectionLost(AnswerLost):
    """The connection broke after the write began; the request may have been carried out. Check proxies and their idle timeouts."""

    cause = Cause.CONNECTION_LOST


class AnswerTruncated(AnswerLost):
    """The response ended too early; the request may have been carried out."""

    cause = Cause.ANSWER_TRUNCATED


class DeadlineExceeded(AnswerLost):
    """The total deadline passed before the response was complete; the request may have been carried out."""

    cause = Cause.DEADLINE_EXCEEDED


class AnswerUnreadable(AuthenticationError):
    """The response's encoding, size or form is wrong; the request may have been carried out. Check that domain and proxy lead to Auth0."""

    cause = Cause.ANSWER_UNREADABLE
    remedy = Remedy.AMBIGUOUS
    delivery = Delivery.ANSWERED


class StartResponseUnreadable(AnswerUnreadable):
    """The response to a start does not come from Auth0; a message may have been sent. Check the domain and any proxy."""

    cause = Cause.START_RESPONSE_UNREADABLE


class Refusal(AuthenticationError):
    """Auth0 refused the request with an error code unknown to this client; look it up in Auth0's docs and the tenant's log."""

    cause = Cause.REFUSED
    remedy = Remedy.NEVER
    delivery = Delivery.ANSWERED


class LoginUnusable(AuthenticationError):
    """Auth0 accepted the login, but the response cannot be used; the code is spent."""

    cause = Cause.TOKEN_RESPONSE_UNREADABLE
    remedy = Remedy.NEVER
    delivery = Delivery.ANSWERED

    @property
    def may_have_taken_effect(self) -> bool:
        """True: Auth0 has used the code."""
        return True


class TokenResponseUnreadable(LoginUnusable):
    """The token endpoint's response has no tokens; the code may be spent. Check that domain and proxy lead to Auth0."""

    cause = Cause.TOKEN_RESPONSE_UNREADABLE
    remedy = Remedy.AMBIGUOUS


class IdTokenInvalid(LoginUnusable):
    """The id_token failed a check; the code is spent.

    Attributes:
        claim: the name of the claim or header member that failed, never its value.
        problem: why it failed.
    """

    cause = Cause.ID_TOKEN_INVALID

    def __init__(self, claim: str = "", problem: str = "is not as expected") -> None:
        super().__init__(
            f"The id_token's {claim} {problem}; the code is spent. Check issuer, audience, organization, clock and signing algorithm."
        )
        self.claim = claim
        self.problem = problem

    @property
    def detail(self) -> str | None:
        """The claim or header member that failed."""
        return self.claim

    def __reduce__(self) -> tuple[type[IdTokenInvalid], tuple[str, str], dict[str, Any]]:
        return type(self), (self.claim, self.problem), self.__dict__


class IdTokenNotVerified(LoginUnusable):
    """The signing keys could not be fetched, so the id_token was not checked; the code is spent. `verify()` can check it later.

    Attributes:
        token_response: the unverified token response. Its representation shows no token.
    """

    cause = Cause.ID_TOKEN_NOT_VERIFIED

    def __init__(self, message: str | None = None, *, origin: str | None = None) -> None:
        super().__init__(message, origin=origin)
        self.token_response: TokenResponse | None = None
