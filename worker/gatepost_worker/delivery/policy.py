"""Decides the next step after a failed attempt, for every error of the Authentication client. Pure.

This module alone decides whether an attempt that failed is repeated, and after which wait. Two questions are decided elsewhere: when any request may
leave after a 429 (`block()` in `limiter/observer.lua`), and whether an attempt whose worker died is repeated (`ledger.lua`, and `rows.lua` for campaigns).
Source: the failure classes in `docs/reference/failures.md`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final, Self

from tenacity import RetryCallState, Retrying, stop_after_attempt, wait_random_exponential

from gatepost_core.commands import OnUnknown
from gatepost_core.doubt import end_after
from gatepost_core.reasons import Reason
from gatepost_core.states import State
from gatepost_worker.authentication import AuthenticationError, Cause, NotReached, RateLimited, Remedy
from gatepost_worker.authentication.rate_limits import LONGEST_HINT_S, plausible

if TYPE_CHECKING:
    from tenacity.stop import StopBaseT
    from tenacity.wait import WaitBaseT

    from gatepost_core.kinds import Kind
    from gatepost_core.settings import Settings

# Up to this wait a thread sleeps; for a longer one the operation returns to the queue.
SLEEP_IN_SLOT: Final = timedelta(seconds=2)
# A message held longer nears the broker's visibility timeout, so a longer wait takes several hops.
LONGEST_HOP: Final = timedelta(seconds=60)
# After a 429 without a plausible hint. The limiter's block, which doubles with each 429, decides when requests leave again.
WAIT_WITHOUT_HINT: Final = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class RetryAt:
    """Try again after the wait; the attempt counts."""

    wait: timedelta
    reason: Reason


@dataclass(frozen=True, slots=True)
class Deferred:
    """Try again after the wait; the attempt does not count."""

    wait: timedelta


@dataclass(frozen=True, slots=True)
class Dead:
    """The operation ends: Auth0 refused, or nothing more may be tried."""

    state: State
    reason: Reason


@dataclass(frozen=True, slots=True)
class Unknown:
    """The operation ends: it may have been carried out."""

    reason: Reason


Decision = RetryAt | Deferred | Dead | Unknown

REASONS: Final[dict[Cause, Reason]] = {
    Cause.ARGUMENT_MISSING: Reason.REQUEST_REJECTED,
    Cause.CONFIGURATION_UNUSABLE: Reason.TENANT_MISCONFIGURED,
    Cause.CREDENTIAL_MISSING: Reason.CREDENTIAL_MISSING,
    Cause.MIDDLEWARE_FAILED: Reason.ANSWER_LOST,
    Cause.NAME_NOT_RESOLVED: Reason.NOT_REACHED,
    Cause.CONNECT_FAILED: Reason.NOT_REACHED,
    Cause.CONNECT_TIMED_OUT: Reason.NOT_REACHED,
    Cause.TLS_FAILED: Reason.NOT_REACHED,
    Cause.PROXY_FAILED: Reason.NOT_REACHED,
    Cause.POOL_EXHAUSTED: Reason.NOT_REACHED,
    Cause.NOT_SENT_IN_TIME: Reason.NOT_REACHED,
    Cause.REQUEST_UNSENDABLE: Reason.TENANT_MISCONFIGURED,
    Cause.ANSWER_TIMED_OUT: Reason.ANSWER_LOST,
    Cause.CONNECTION_LOST: Reason.ANSWER_LOST,
    Cause.ANSWER_TRUNCATED: Reason.ANSWER_LOST,
    Cause.DEADLINE_EXCEEDED: Reason.ANSWER_LOST,
    Cause.ANSWER_UNREADABLE: Reason.ANSWER_LOST,
    Cause.RECIPIENT_REJECTED: Reason.RECIPIENT_REJECTED,
    Cause.REQUEST_REJECTED: Reason.REQUEST_REJECTED,
    Cause.AUTH_PARAMS_REJECTED: Reason.REQUEST_REJECTED,
    Cause.SEND_REJECTED: Reason.REQUEST_REJECTED,
    Cause.SCOPE_REJECTED: Reason.REQUEST_REJECTED,
    Cause.SIGNUP_DISABLED: Reason.SIGNUP_DISABLED,
    Cause.CAPTCHA_REQUIRED: Reason.CAPTCHA_REQUIRED,
    Cause.TENANT_REJECTED: Reason.TENANT_MISCONFIGURED,
    Cause.CLIENT_ID_REJECTED: Reason.TENANT_MISCONFIGURED,
    Cause.CLIENT_REJECTED: Reason.CLIENT_REJECTED,
    Cause.CLIENT_AUTHENTICATION_REQUIRED: Reason.CLIENT_REJECTED,
    Cause.CLIENT_NOT_AUTHORIZED: Reason.CLIENT_NOT_AUTHORIZED,
    Cause.CONNECTION_MISCONFIGURED: Reason.CONNECTION_MISCONFIGURED,
    Cause.GRANT_TYPE_UNSUPPORTED: Reason.ENDPOINT_DISABLED,
    Cause.RESPONSE_TYPE_UNSUPPORTED: Reason.ENDPOINT_DISABLED,
    Cause.ENDPOINT_DISABLED: Reason.ENDPOINT_DISABLED,
    Cause.DPOP_REQUIRED: Reason.DPOP_REQUIRED,
    Cause.REDIRECTED: Reason.ANSWER_NOT_UNDERSTOOD,
    Cause.PROVIDER_REJECTED_RECIPIENT: Reason.PROVIDER_REJECTED_RECIPIENT,
    Cause.PROVIDER_MISCONFIGURED: Reason.PROVIDER_MISCONFIGURED,
    Cause.PROVIDER_FAILED: Reason.PROVIDER_SILENT,
    Cause.PROVIDER_TIMED_OUT: Reason.PROVIDER_SILENT,
    Cause.CODE_REJECTED: Reason.CODE_REJECTED,
    Cause.CODE_EXPIRED: Reason.CODE_EXPIRED,
    Cause.CODE_ATTEMPTS_EXHAUSTED: Reason.CODE_ATTEMPTS_EXHAUSTED,
    Cause.MFA_REQUIRED: Reason.MFA_REQUIRED,
    Cause.ACCESS_DENIED: Reason.ACCESS_DENIED,
    Cause.TOO_MANY_ATTEMPTS: Reason.TOO_MANY_ATTEMPTS,
    Cause.TOO_MANY_LOGINS: Reason.TOO_MANY_ATTEMPTS,
    Cause.RATE_LIMITED: Reason.DEADLINE_PASSED,
    Cause.SERVER_FAILED: Reason.SERVER_FAILED,
    Cause.TEMPORARILY_UNAVAILABLE: Reason.SERVER_FAILED,
    Cause.REFUSED: Reason.REFUSED_BY_AUTH0,
    Cause.NOT_OF_AUTH0: Reason.ANSWER_NOT_UNDERSTOOD,
    Cause.START_RESPONSE_UNREADABLE: Reason.ANSWER_NOT_UNDERSTOOD,
    Cause.TOKEN_RESPONSE_UNREADABLE: Reason.ANSWER_NOT_UNDERSTOOD,
    Cause.ID_TOKEN_INVALID: Reason.TOKEN_INVALID,
    Cause.ID_TOKEN_NOT_VERIFIED: Reason.TOKEN_NOT_VERIFIED,
}
"""The reason that each cause leaves in the ledger when nothing more is tried."""

REFUSED_CREDENTIAL: Final = frozenset({Cause.CLIENT_REJECTED, Cause.CLIENT_AUTHENTICATION_REQUIRED})
"""The causes that a new credential can remove."""


@dataclass(frozen=True, slots=True)
class RetryLimits:
    """How often to try, and how long to wait between attempts: exponential with full jitter, by tenacity.

    Attributes:
        max_attempts: the most attempts of an operation.
        longest_hint_s: the longest hint to obey, in seconds.
        backoff: the wait before the next attempt.
    """

    max_attempts: int = 5
    longest_hint_s: float = LONGEST_HINT_S
    backoff: WaitBaseT = field(default_factory=lambda: wait_random_exponential(multiplier=0.5, max=30))

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Return the limits that the settings give."""
        return cls(max_attempts=settings.max_attempts, longest_hint_s=settings.longest_hint)

    @property
    def stop(self) -> StopBaseT:
        """The condition that ends the attempts."""
        return stop_after_attempt(self.max_attempts)


@dataclass(frozen=True, slots=True)
class Attempt:
    """The attempt that failed.

    Attributes:
        kind: the operation's kind.
        number: the attempt's number, from 1.
        now: the time, by Redis's clock.
        deadline: the time after which nothing is attempted.
        on_unknown: the caller's choice for attempts that may have been carried out.
        doubt: why an earlier attempt may have been carried out, if it may have.
        new_credential_in: when to try again after Auth0 refused the credential, because there is another one or may soon be.
    """

    kind: Kind
    number: int
    now: datetime
    deadline: datetime
    on_unknown: OnUnknown = OnUnknown.HOLD
    doubt: Reason | None = None
    new_credential_in: timedelta | None = None


def decide(failure: AuthenticationError, attempt: Attempt, limits: RetryLimits) -> Decision:
    """Return the decision about a failed attempt.

    - The request was surely not carried out: retry with backoff, within the attempts and the deadline.
    - 429 `too_many_requests`: defer until the server's hint, one hop at most. The attempt does not count.
    - A refused credential that has been replaced, or may soon be: defer. The attempt does not count.
    - The request may have been carried out: `unknown`, except for a send whose caller chose to resend.
    - Any other answer: end with its reason. If an earlier attempt may have been carried out, end as `unknown` for that reason.
    """
    decision = _with_new_credential(failure, attempt) or _decide(failure, attempt, limits)
    if not isinstance(decision, Dead):
        return decision
    state, reason = end_after(attempt.doubt, decision.state, decision.reason)
    return Unknown(reason) if state is State.UNKNOWN else decision


def _decide(failure: AuthenticationError, attempt: Attempt, limits: RetryLimits) -> Decision:
    reason = REASONS[failure.cause]
    if isinstance(failure, RateLimited):
        hint = plausible(failure.retry_after_s, limits.longest_hint_s)
        wait = WAIT_WITHOUT_HINT if hint is None else timedelta(seconds=hint)
        decision = _within_deadline(Deferred(wait), attempt)
        # `quota clear` can end the block early, so the wait is one hop at most.
        return Deferred(min(wait, LONGEST_HOP)) if isinstance(decision, Deferred) else decision
    if failure.may_have_taken_effect and failure.remedy is not Remedy.NEVER:
        if attempt.kind.is_login or attempt.on_unknown is OnUnknown.HOLD or _used_up(attempt, limits):
            return Unknown(reason)
        return _again(attempt, limits, reason)
    if not isinstance(failure, NotReached) or reason is not Reason.NOT_REACHED:
        return Dead(State.REJECTED, reason)
    if _used_up(attempt, limits):
        return Dead(State.EXHAUSTED, reason)
    return _again(attempt, limits, reason)


def why_again(failure: AuthenticationError) -> str:
    """Return why an attempt is repeated: the reason with which it would have ended, or `rate_limited`."""
    return failure.cause.value if isinstance(failure, RateLimited) else REASONS[failure.cause].value


def _with_new_credential(failure: AuthenticationError, attempt: Attempt) -> Decision | None:
    if failure.cause not in REFUSED_CREDENTIAL or attempt.new_credential_in is None:
        return None
    return _within_deadline(Deferred(attempt.new_credential_in), attempt)


def _again(attempt: Attempt, limits: RetryLimits, reason: Reason) -> Decision:
    wait = timedelta(seconds=limits.backoff(_state(attempt.number)))
    return _within_deadline(RetryAt(wait, reason), attempt)


def _within_deadline(decision: RetryAt | Deferred, attempt: Attempt) -> Decision:
    if attempt.now + decision.wait < attempt.deadline:
        return decision
    # Too late to resend: the first message may still have been sent.
    if isinstance(decision, RetryAt) and decision.reason.doubt:
        return Unknown(decision.reason)
    return Dead(State.EXPIRED, Reason.DEADLINE_PASSED)


def _used_up(attempt: Attempt, limits: RetryLimits) -> bool:
    return limits.stop(_state(attempt.number))


def _state(attempt_number: int) -> RetryCallState:
    state = RetryCallState(retry_object=Retrying(), fn=None, args=(), kwargs={})
    state.attempt_number = attempt_number
    return state
