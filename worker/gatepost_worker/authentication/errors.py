"""Every exception the Authentication client raises.

    AuthenticationError
    ├── NotAttempted                     refused here, before any I/O
    │   ├── RequiredError (ValueError)        an argument is missing or empty; `.field` names it
    │   └── ConfigurationError (ValueError)   the client's set-up does not allow the call
    │       └── CredentialMissing                 … because a certificate is no credential for a start
    ├── MiddlewareFailed                 a hook raised
    ├── NotReached                       delivery `not_sent`: nothing can have happened
    │   ├── NameNotResolved · ConnectFailed · ConnectTimedOut · TlsFailed · ProxyFailed
    │   ├── RequestUnsendable · PoolExhausted
    │   └── NotSentInTime
    ├── AnswerLost                       delivery `maybe_sent`: it may have been carried out
    │   ├── AnswerTimedOut · ConnectionLost · AnswerTruncated
    │   └── DeadlineExceeded
    ├── AnswerUnreadable                 answered, but not in HTTP that can be read
    │   └── StartResponseUnreadable           a start was answered with a success that is not Auth0's
    ├── Refusal                          answered with anything but a success: see `refusals`
    └── LoginUnusable                    answered with a success to a login: the code is spent
        ├── TokenResponseUnreadable           not JSON, or without an access token: it may be spent
        ├── IdTokenInvalid                    the id_token failed a check; `.claim` names it
        └── IdTokenNotVerified                the signing keys could not be fetched; `.token_response` is kept
    Unforeseen                           a fault in the client; names the error's class and place, never its text

A class's docstring is its message: what happened, and what an operator does about it. No message, `repr` or `str` holds an address, a
code, a token, a URL or a body; no error keeps the lower exception, because requests' exceptions hold the request, nor the frames that it came through (see `boundary`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from gatepost_worker.authentication.causes import Cause, Delivery, Remedy

if TYPE_CHECKING:
    from gatepost_worker.authentication.masked import Masked
    from gatepost_worker.authentication.rate_limits import RateLimits
    from gatepost_worker.authentication.responses import TokenResponse


class AuthenticationError(Exception):
    """The call failed.

    Attributes:
        cause: why, as one member of a closed set; of the class.
        remedy: what may be done, as the contract says; of the class.
        delivery: how far the request got.
        status: the HTTP status, if a status line came.
        code: Auth0's error code, if the body gave one.
        description: Auth0's text, masked: it can hold the address.
        rate_limits: what the answer's headers say of the quota; None without an answer.
        retry_after_s: seconds the server asks to wait; for a 429 the longer of `Retry-After` and the time to the refill. It may be absurd.
        origin: the lower exception's class name, where one was translated.
    """

    cause: ClassVar[Cause] = Cause.REFUSED
    remedy: ClassVar[Remedy] = Remedy.AMBIGUOUS
    delivery: Delivery = Delivery.MAYBE_SENT

    def __init__(
        self,
        message: str | None = None,
        *,
        delivery: Delivery | None = None,
        status: int | None = None,
        code: str | None = None,
        description: Masked | None = None,
        rate_limits: RateLimits | None = None,
        retry_after_s: float | None = None,
        origin: str | None = None,
    ) -> None:
        super().__init__(message or _first_paragraph(type(self).__doc__))
        if delivery is not None:
            self.delivery = delivery
        self.status = status
        self.code = code
        self.description = description
        self.rate_limits = rate_limits
        self.retry_after_s = retry_after_s
        self.origin = origin

    @property
    def detail(self) -> str | None:
        """What an outcome shows beside the reason: Auth0's error code, if the body gave one."""
        return self.code

    @property
    def may_have_taken_effect(self) -> bool:
        """Whether a message may have gone out, or a code may be spent, although the call failed."""
        return self.delivery is Delivery.MAYBE_SENT or self.remedy is Remedy.AMBIGUOUS

    def __str__(self) -> str:
        known = [f"HTTP {self.status}" if self.status else None, self.code, self.origin]
        facts = ", ".join(fact for fact in known if fact)
        return f"{self.args[0]} ({facts})" if facts else str(self.args[0])


def _first_paragraph(docstring: str | None) -> str:
    return " ".join((docstring or "").partition("\n\n")[0].split())


class Unforeseen(Exception):
    """The client failed unexpectedly; the request may have been carried out.

    Attributes:
        account: the class of the error and the places it came through.
    """

    def __init__(self, account: str) -> None:
        super().__init__(account)
        self.account = account

    def __str__(self) -> str:
        return (
            f"The client failed unexpectedly ({self.account}). Please report it. The request may have been carried out."
        )


class NotAttempted(AuthenticationError):
    """The call was refused here; nothing was sent."""

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
    """A middleware hook raised; mend or remove the hook."""

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
    """The proxy refused or was not reached; check its address, its credentials and what it allows."""

    cause = Cause.PROXY_FAILED


class RequestUnsendable(NotReached):
    """The request could not be put on the wire: a bad URL, scheme or header; check the base URL, the proxy's URL and extra headers."""

    cause = Cause.REQUEST_UNSENDABLE
    remedy = Remedy.AFTER_FIX


class PoolExhausted(NotReached):
    """No pooled connection became free, or the client was closed; raise the pool's size or lower the concurrency."""

    cause = Cause.POOL_EXHAUSTED


class NotSentInTime(NotReached):
    """The total deadline passed before the request could be written; check the network, or allow more time."""

    cause = Cause.NOT_SENT_IN_TIME


class AnswerLost(AuthenticationError):
    """The request was written and no whole answer came; it may have been carried out."""

    cause = Cause.CONNECTION_LOST
    remedy = Remedy.AMBIGUOUS
    delivery = Delivery.MAYBE_SENT


class AnswerTimedOut(AnswerLost):
    """No answer within the read timeout; it may have been carried out. A message provider may take 30 s: allow SMS more than that."""

    cause = Cause.ANSWER_TIMED_OUT


class ConnectionLost(AnswerLost):
    """The connection broke after the write began; it may have been carried out. Check proxies and idle timeouts on the way."""

    cause = Cause.CONNECTION_LOST


class AnswerTruncated(AnswerLost):
    """The answer broke off in the middle; what was asked may have been carried out."""

    cause = Cause.ANSWER_TRUNCATED


class DeadlineExceeded(AnswerLost):
    """The total deadline passed before the whole answer was here; it may have been carried out."""

    cause = Cause.DEADLINE_EXCEEDED


class AnswerUnreadable(AuthenticationError):
    """The answer cannot be read (encoding, size or form); it may have been carried out. Check that domain and proxy lead to Auth0."""

    cause = Cause.ANSWER_UNREADABLE
    remedy = Remedy.AMBIGUOUS
    delivery = Delivery.ANSWERED


class StartResponseUnreadable(AnswerUnreadable):
    """The answer to a start does not come from Auth0; a message may have been sent. Check the domain and any proxy."""

    cause = Cause.START_RESPONSE_UNREADABLE


class Refusal(AuthenticationError):
    """The request was refused with an error code that this client does not know; look it up in Auth0's docs and the tenant's log."""

    cause = Cause.REFUSED
    remedy = Remedy.NEVER
    delivery = Delivery.ANSWERED


class LoginUnusable(AuthenticationError):
    """Auth0 answered the login with success and the answer cannot be used; the code is spent."""

    cause = Cause.TOKEN_RESPONSE_UNREADABLE
    remedy = Remedy.NEVER
    delivery = Delivery.ANSWERED


class TokenResponseUnreadable(LoginUnusable):
    """The token endpoint's answer is not a token response; the code may be spent. Check that domain and proxy lead to Auth0."""

    cause = Cause.TOKEN_RESPONSE_UNREADABLE
    remedy = Remedy.AMBIGUOUS


class IdTokenInvalid(LoginUnusable):
    """The id_token failed a check; the code is spent.

    Attributes:
        claim: the claim or header member that failed; never its value.
        problem: what is wrong with it.
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
        token_response: what the token call gave, unverified; its tokens are masked when printed.
    """

    cause = Cause.ID_TOKEN_NOT_VERIFIED

    def __init__(self, message: str | None = None, *, origin: str | None = None) -> None:
        super().__init__(message, origin=origin)
        self.token_response: TokenResponse | None = None
