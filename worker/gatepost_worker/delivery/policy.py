"""What follows from a failed attempt: a pure decision, for every failure the Authentication client can raise.

The one owner of retries. Source: the failure classes in `docs/reference/failures.md`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final, Self

from tenacity import RetryCallState, Retrying, stop_after_attempt, wait_random_exponential

from gatepost_core.commands import Kind, OnUnknown
from gatepost_core.doubt import end_after
from gatepost_core.reasons import Reason
from gatepost_core.states import State
from gatepost_worker.authentication import AuthenticationError, Cause, NotReached, RateLimited
from gatepost_worker.authentication.rate_limits import LONGEST_HINT_S, plausible

if TYPE_CHECKING:
    from tenacity.stop import StopBaseT
    from tenacity.wait import WaitBaseT

    from gatepost_core.settings import Settings

# A wait up to this sleeps in the worker's slot; a longer one goes back to the queue.
SLEEP_IN_SLOT: Final = timedelta(seconds=2)
# A message held longer nears the broker's visibility timeout, so longer waits are made of hops.
LONGEST_HOP: Final = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class RetryAt:
    """Try again after the wait; the attempt counts."""

    wait: timedelta
    reason: Reason


@dataclass(frozen=True, slots=True)
class Deferred:
    """Ask again after the wait; no attempt is spent."""

    wait: timedelta


@dataclass(frozen=True, slots=True)
class Dead:
    """The operation ends: Auth0 said no, or nothing more can be tried."""

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


@dataclass(frozen=True, slots=True)
class RetryLimits:
    """How often and how long to try. Waits are tenacity's: exponential with full jitter.

    Attributes:
        max_attempts: attempts an operation may take.
        longest_hint_s: a server's hint to wait longer than this, in seconds, is not obeyed.
        backoff: the wait after an attempt that surely failed.
        deferral: the wait after a 429 without a plausible hint.
    """

    max_attempts: int = 5
    longest_hint_s: float = LONGEST_HINT_S
    backoff: WaitBaseT = field(default_factory=lambda: wait_random_exponential(multiplier=0.5, max=30))
    deferral: WaitBaseT = field(default_factory=lambda: wait_random_exponential(multiplier=1, min=1, max=60))

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Return what the configuration says."""
        return cls(max_attempts=settings.max_attempts, longest_hint_s=settings.longest_hint)

    @property
    def stop(self) -> StopBaseT:
        """When attempts are used up."""
        return stop_after_attempt(self.max_attempts)


@dataclass(frozen=True, slots=True)
class Attempt:
    """What the decision needs to know of the attempt that failed.

    Attributes:
        kind: of the operation.
        number: which attempt it was, from one on.
        now: the time, by Redis's clock.
        deadline: after which nothing is attempted.
        on_unknown: what the caller chose.
        doubt: why an earlier attempt may have been carried out.
    """

    kind: Kind
    number: int
    now: datetime
    deadline: datetime
    on_unknown: OnUnknown = OnUnknown.HOLD
    doubt: Reason | None = None


def decide(failure: AuthenticationError, attempt: Attempt, limits: RetryLimits) -> Decision:
    """Return what follows from a failed attempt.

    - surely not carried out, by our doing or the network's: again, with backoff, within attempts and deadline;
    - 429 `too_many_requests`: a deferral for the server's hint, at most a hop, no attempt spent; the limiter holds the whole block;
    - may have been carried out: `unknown`, except for a send whose caller chose to resend;
    - everything else that Auth0 answered: the end, for its cause; after an attempt that may have been carried out, `unknown` for that one's.
    """
    decision = _decide(failure, attempt, limits)
    if not isinstance(decision, Dead):
        return decision
    state, reason = end_after(attempt.doubt, decision.state, decision.reason)
    return Unknown(reason) if state is State.UNKNOWN else decision


def _decide(failure: AuthenticationError, attempt: Attempt, limits: RetryLimits) -> Decision:
    reason = REASONS[failure.cause]
    if isinstance(failure, RateLimited):
        hint = plausible(failure.retry_after_s, limits.longest_hint_s)
        wait = timedelta(seconds=limits.deferral(_state(attempt.number)) if hint is None else hint)
        decision = _within_deadline(Deferred(wait), attempt)
        # `quota clear` can lift the block, so an operation looks again before its end.
        return Deferred(min(wait, LONGEST_HOP)) if isinstance(decision, Deferred) else decision
    if failure.may_have_taken_effect:
        if attempt.kind.is_login or attempt.on_unknown is OnUnknown.HOLD or _used_up(attempt, limits):
            return Unknown(reason)
        return _again(attempt, limits, reason)
    if not isinstance(failure, NotReached) or reason is not Reason.NOT_REACHED:
        return Dead(State.REJECTED, reason)
    if _used_up(attempt, limits):
        return Dead(State.EXHAUSTED, reason)
    return _again(attempt, limits, reason)


def _again(attempt: Attempt, limits: RetryLimits, reason: Reason) -> Decision:
    wait = timedelta(seconds=limits.backoff(_state(attempt.number)))
    return _within_deadline(RetryAt(wait, reason), attempt)


def _within_deadline(decision: RetryAt | Deferred, attempt: Attempt) -> Decision:
    if attempt.now + decision.wait < attempt.deadline:
        return decision
    # A resend that comes too late leaves the first message's fate as open as it was.
    if isinstance(decision, RetryAt) and decision.reason.doubt:
        return Unknown(decision.reason)
    return Dead(State.EXPIRED, Reason.DEADLINE_PASSED)


def _used_up(attempt: Attempt, limits: RetryLimits) -> bool:
    return limits.stop(_state(attempt.number))


def _state(attempt_number: int) -> RetryCallState:
    state = RetryCallState(retry_object=Retrying(), fn=None, args=(), kwargs={})
    state.attempt_number = attempt_number
    return state
