"""Runs single operations: permit, begin, call, decide, settle."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, assert_never

import structlog
from pydantic import SecretStr
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_exponential

from gatepost_core.blocks import block_of
from gatepost_core.commands import LoginCommand, load_command, recipient_of, require_redeem_token
from gatepost_core.content_key import ContentKey
from gatepost_core.doubt import doubt_in
from gatepost_core.error_boundary import boundary
from gatepost_core.errors import ConfigurationError, InvalidCommand, OperationNotFound, SealError, Unavailable
from gatepost_core.ledger.values import Answer, Operation, Verdict
from gatepost_core.outcomes import Denial, MfaChallenge, Redeemable, dump_redeemable
from gatepost_core.reasons import Reason
from gatepost_core.sealing import Purpose
from gatepost_core.states import State
from gatepost_worker.authentication import AuthenticationError, Cause, MfaRequired, RateLimited, TokenResponse
from gatepost_worker.delivery.attempts import Begun, PermitWait
from gatepost_worker.delivery.calls import carry_out, token_set_of
from gatepost_worker.delivery.policy import (
    LONGEST_HOP,
    REFUSED_CREDENTIAL,
    SLEEP_IN_SLOT,
    Attempt,
    Dead,
    Deferred,
    RetryAt,
    RetryLimits,
    Unknown,
    decide,
    why_again,
)
from gatepost_worker.limiter import LimiterKey, Reading
from gatepost_worker.metrics.counts import Attempt as CountedAttempt
from gatepost_worker.metrics.counts import WorkerMetrics
from gatepost_worker.metrics.names import BLOCKED, Work

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gatepost_core.commands import Command
    from gatepost_core.errors import GatepostError
    from gatepost_core.ledger import Ledger
    from gatepost_core.sealing import Keyring
    from gatepost_core.sealing.fingerprints import Fingerprints
    from gatepost_core.settings import Settings
    from gatepost_worker.authentication import Passwordless, StartResponse
    from gatepost_worker.delivery.attempts import Attempts
    from gatepost_worker.delivery.clients import Clients
    from gatepost_worker.delivery.ownership import Ownership

_log = structlog.stdlib.get_logger("gatepost.worker")

# How long an operation waits after a worker lacked its key or its tenant: another worker may have it.
_CONFIGURATION_WAIT: Final = timedelta(seconds=30)
_BLOCKING: Final = (SealError, InvalidCommand, ConfigurationError)


@dataclass(frozen=True, slots=True)
class Ended:
    """The operation is terminal."""

    state: State
    reason: Reason | None = None
    detail: str | None = None


@dataclass(frozen=True, slots=True)
class Later:
    """Run the operation again after the wait."""

    wait: timedelta


@dataclass(frozen=True, slots=True)
class NotOurs:
    """Nothing to do: another attempt is in progress, or there is no such operation."""

    verdict: Verdict


Progress = Ended | Later | NotOurs


@dataclass(frozen=True, slots=True)
class _End:
    state: State
    reason: Reason | None = None
    detail: str | None = None
    http_status: int | None = None
    sealed_result: str | None = None


@dataclass(frozen=True, slots=True)
class _Answered:
    response: StartResponse | TokenResponse | None
    failure: AuthenticationError | None
    readings: Sequence[Reading]


class _Slot:
    """How long this run may still sleep in its thread."""

    def __init__(self, sleep: Callable[[float], None]) -> None:
        self._sleep = sleep
        self.left = SLEEP_IN_SLOT

    def bridges(self, wait: timedelta) -> bool:
        """Sleep for the wait and return True, or return False at once if it is too long."""
        if wait > self.left:
            return False
        self.left -= wait
        self._sleep(wait.total_seconds())
        return True


@boundary
class Runner:
    """Carries out single operations. One runner serves a process and is shared by its threads."""

    def __init__(
        self,
        *,
        settings: Settings,
        ledger: Ledger,
        attempts: Attempts,
        keyring: Keyring,
        fingerprints: Fingerprints,
        clients: Clients,
        ownership: Ownership,
        limits: RetryLimits | None = None,
        sleep: Callable[[float], None] = time.sleep,
        metrics: WorkerMetrics | None = None,
    ) -> None:
        self._settings = settings
        self._ledger = ledger
        self._attempts = attempts
        self._keyring = keyring
        self._fingerprints = fingerprints
        self._clients = clients
        self._ownership = ownership
        self._limits = limits or RetryLimits.of(settings)
        self._sleep = sleep
        self._metrics = metrics or WorkerMetrics()

    def run(self, operation_id: str) -> Progress:
        """Run an operation until it ends or must wait longer than this slot may sleep.

        Raises:
            Unavailable: Redis did not answer; nothing was sent in this attempt.
        """
        slot = _Slot(self._sleep)
        delivered, checked = True, None
        while True:
            attempt = secrets.token_hex(8)
            opened = self._attempts.open(
                operation_id, attempt, patience=slot.left, delivered=delivered, checked=checked
            )
            delivered = False
            match opened:
                case PermitWait(wait=wait):
                    slot.bridges(wait)
                    continue
                case Operation():
                    checked = opened
                    if (blocked := self._blocked(opened)) is None:
                        continue
                    progress = blocked
                case Begun():
                    progress = self._attempt(opened, attempt)
                case Answer():
                    progress = self._not_begun(operation_id, opened)
            if not isinstance(progress, Later) or not slot.bridges(progress.wait):
                return progress

    def _blocked(self, operation: Operation) -> Progress | None:
        """Return None if this worker can carry the operation out; otherwise put it back before it takes a permit."""
        try:
            self._open(operation)
        except _BLOCKING as failure:
            return self._put_back(operation, "", failure)
        return None

    def _open(self, operation: Operation) -> tuple[Command, Passwordless]:
        self._ownership.require(operation.tenant, operation.application)
        purpose = Purpose.command(operation.operation_id)
        command = load_command(self._keyring.open(operation.sealed_command, purpose))
        require_redeem_token(command)
        client = self._clients.of(operation.tenant)
        if command.headers:
            self._clients.require_allowed(operation.tenant, command.headers)
        return command, client

    def _put_back(self, operation: Operation, attempt: str, failure: GatepostError) -> Progress:
        _log.error("operation.blocked", correlation_id=operation.operation_id, error=str(failure))
        block = block_of(failure)
        self._metrics.add(BLOCKED, Work.OPERATION, block.kind)
        return self._postpone(operation, _CONFIGURATION_WAIT, attempt, free=True, blocked=block)

    def _attempt(self, begun: Begun, attempt: str) -> Progress:
        operation = begun.operation
        try:
            command, client = self._open(operation)
        except _BLOCKING as obstacle:
            # Nothing has left, so the attempt does not count.
            return self._put_back(operation, attempt, obstacle)
        if begun.number > self._limits.max_attempts:
            # Its workers died repeatedly, and each may have sent the message.
            return self._settle(operation, attempt, _End(State.UNKNOWN, begun.doubt or Reason.WORKER_LOST), ())
        started = time.monotonic()
        failure: AuthenticationError | None = None
        response: StartResponse | TokenResponse | None = None
        try:
            response = carry_out(command, client)
            self._clients.accepted(operation.tenant, client)
        except AuthenticationError as error:
            failure = error
        seconds = time.monotonic() - started
        refused = failure is not None and failure.cause in REFUSED_CREDENTIAL
        known = Attempt(
            kind=operation.kind,
            number=begun.number,
            # The worker's clock may be wrong, so the time is derived from Redis's.
            now=operation.deadline - begun.left + timedelta(seconds=seconds),
            deadline=operation.deadline,
            on_unknown=operation.on_unknown,
            doubt=begun.doubt,
            new_credential_in=self._clients.after_refusal(operation.tenant, client) if refused else None,
        )
        answered = _Answered(response, failure, _readings(begun.ticket, response, failure))
        progress = self._conclude(operation, command, attempt, known, answered)
        outcome, why, _ = _result_of(progress, failure)
        self._metrics.attempts({CountedAttempt(operation.kind.value, outcome, why): 1})
        self._metrics.answered(LimiterKey(operation.tenant, operation.kind.endpoint), answered.readings)
        self._log_attempt(operation, command, begun.number, seconds=seconds, failure=failure, progress=progress)
        return progress

    def _conclude(
        self, operation: Operation, command: Command, attempt: str, known: Attempt, answered: _Answered
    ) -> Progress:
        response, failure, readings = answered.response, answered.failure, answered.readings
        if failure is None:
            tokens = token_set_of(response) if isinstance(response, TokenResponse) else None
            status = None if response is None else response.status
            end = _End(State.ACCEPTED, http_status=status, sealed_result=_sealed(operation, command, tokens))
            return self._settle(operation, attempt, end, readings)
        match decide(failure, known, self._limits):
            case RetryAt(wait=wait, reason=reason):
                return self._postpone(operation, wait, attempt, free=False, doubt=doubt_in(reason), readings=readings)
            case Deferred(wait=wait):
                return self._postpone(operation, wait, attempt, free=True, readings=readings)
            case Dead(state=state, reason=reason):
                message = _message_for_person(failure) if operation.kind.is_login else None
                sealed = _sealed(operation, command, message)
                end = _End(state, reason, failure.detail, failure.status, sealed)
            case Unknown(reason=reason):
                end = _End(State.UNKNOWN, reason, failure.detail, failure.status)
            case never:
                assert_never(never)
        return self._settle(operation, attempt, end, readings)

    def _settle(self, operation: Operation, attempt: str, end: _End, readings: Sequence[Reading]) -> Progress:
        operation_id = operation.operation_id
        # A restart of Redis must not lose the answer: retry until the lease is nearly over.
        answer: Answer = Retrying(
            retry=retry_if_exception_type(Unavailable),
            wait=wait_exponential(multiplier=0.1, max=2),
            stop=stop_after_delay(self._settings.lease_margin),
            sleep=self._sleep,
            reraise=True,
        )(
            self._attempts.settle,
            operation,
            attempt,
            readings=readings,
            state=end.state,
            reason=end.reason,
            detail=end.detail,
            http_status=end.http_status,
            sealed_result=end.sealed_result,
        )
        if answer.verdict is Verdict.SETTLED:
            return Ended(end.state, end.reason, end.detail)
        _log.warning("attempt.late", correlation_id=operation_id, state=end.state, recorded=answer.state)
        return self._finished(operation_id)

    def _postpone(self, operation: Operation, wait: timedelta, attempt: str, **options: Any) -> Progress:
        answer = self._attempts.postpone(operation, wait, attempt, **options)
        if answer.verdict is Verdict.POSTPONED:
            return Later(min(wait, LONGEST_HOP))
        return self._not_begun(operation.operation_id, answer)

    def _not_begun(self, operation_id: str, answer: Answer) -> Progress:
        match answer.verdict:
            case Verdict.FINISHED:
                return self._finished(operation_id)
            case Verdict.EARLY:
                return Later(min(timedelta(milliseconds=answer.wait_ms), LONGEST_HOP))
            case Verdict.MISSING:
                return self._missing(operation_id)
            case _:
                return NotOurs(answer.verdict)

    def _finished(self, operation_id: str) -> Progress:
        try:
            outcome = self._ledger.outcome(operation_id)
        except OperationNotFound:
            return self._missing(operation_id)
        if not outcome.state.is_terminal:
            return NotOurs(Verdict.BUSY)
        return Ended(outcome.state, outcome.reason, outcome.detail)

    def _missing(self, operation_id: str) -> NotOurs:
        _log.warning("operation.missing", correlation_id=operation_id)
        self._ledger.answer_missing(operation_id)
        return NotOurs(Verdict.MISSING)

    def _log_attempt(
        self,
        operation: Operation,
        command: Command,
        number: int,
        *,
        seconds: float,
        failure: AuthenticationError | None,
        progress: Progress,
    ) -> None:
        # The one log line of an attempt. The recipient appears as a keyed fingerprint.
        shown, why, wait = _result_of(progress, failure)
        _log.info(
            "attempt.finished",
            command=operation.kind.value,
            tenant=operation.tenant,
            correlation_id=operation.operation_id,
            recipient=self._fingerprints.log(recipient_of(command)),
            attempt=number,
            state="postponed" if isinstance(progress, Later) else shown,
            reason=why or None,
            auth0_code=failure and failure.code,
            http_status=failure.status if failure is not None else 200,
            wait_ms=int(wait.total_seconds() * 1000),
            total_ms=int(seconds * 1000),
        )


def _result_of(progress: Progress, failure: AuthenticationError | None) -> tuple[str, str, timedelta]:
    """Return the state after an attempt, why, and the wait."""
    match progress:
        case Ended(state=state, reason=reason):
            return state.value, "" if reason is None else reason.value, timedelta()
        case Later(wait=wait):
            state = State.DEFERRED if isinstance(failure, RateLimited) else State.QUEUED
            return state.value, "" if failure is None else why_again(failure), wait
        case NotOurs(verdict=verdict):
            return verdict.value, "", timedelta()


def _readings(
    ticket: int, response: StartResponse | TokenResponse | None, failure: AuthenticationError | None
) -> tuple[Reading, ...]:
    answer = response or failure
    if answer is None or answer.rate_limits is None:
        return ()
    return (Reading(ticket=ticket, limits=answer.rate_limits, refused=isinstance(failure, RateLimited)),)


def _sealed(operation: Operation, command: Command, result: Redeemable | None) -> str | None:
    """Return the result of a login, sealed for the holder of its redeem token."""
    if result is None or not isinstance(command, LoginCommand) or command.redeem_token is None:
        return None
    return ContentKey(command.redeem_token, operation.operation_id).seal(dump_redeemable(result))


def _message_for_person(failure: AuthenticationError) -> Redeemable | None:
    """Return the message for the person: an MFA challenge, or the reason that an Action gave."""
    if isinstance(failure, MfaRequired):
        return _challenge(failure)
    words = failure.description.get_secret_value() if failure.description is not None else failure.code
    if failure.cause not in {Cause.ACCESS_DENIED, Cause.REFUSED} or words is None or words == failure.code:
        return None
    return Denial(description=SecretStr(words))


def _challenge(failure: MfaRequired) -> MfaChallenge:
    requirements = failure.mfa_requirements
    return MfaChallenge(
        mfa_token=failure.mfa_token,
        mfa_requirements=None if requirements is None else dict(requirements),
    )
