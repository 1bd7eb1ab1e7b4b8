"""Runs single operations: permit, begin, call, decide, settle."""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final, assert_never

import structlog
from pydantic import SecretStr
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_exponential

from gatepost_core.blocks import block_of
from gatepost_core.commands import load_command, recipient_of
from gatepost_core.doubt import doubt_in
from gatepost_core.error_boundary import boundary
from gatepost_core.errors import ConfigurationError, InvalidCommand, OperationNotFound, SealError, Unavailable
from gatepost_core.identifiers import REVEAL
from gatepost_core.ledger.values import Answer, Verdict
from gatepost_core.outcomes import Denial, MfaChallenge, Redeemable
from gatepost_core.reasons import Reason
from gatepost_core.sealing import Purpose
from gatepost_core.states import State
from gatepost_worker.authentication import AuthenticationError, Cause, MfaRequired, RateLimited, TokenResponse
from gatepost_worker.delivery.calls import carry_out, deadline_of, token_set_of
from gatepost_worker.delivery.policy import (
    LONGEST_HOP,
    SLEEP_IN_SLOT,
    Attempt,
    Dead,
    Deferred,
    RetryAt,
    RetryLimits,
    Unknown,
    decide,
)
from gatepost_worker.limiter import LimiterKey, Permit, Reading

if TYPE_CHECKING:
    from collections.abc import Callable

    from gatepost_core.blocks import Block
    from gatepost_core.commands import Command
    from gatepost_core.ledger import Ledger
    from gatepost_core.ledger.values import Operation
    from gatepost_core.sealing import Keyring
    from gatepost_core.sealing.fingerprints import Fingerprints
    from gatepost_core.settings import Settings
    from gatepost_worker.authentication import Passwordless, StartResponse
    from gatepost_worker.delivery.clients import Clients
    from gatepost_worker.delivery.ownership import Ownership
    from gatepost_worker.limiter import Limiter

_log = structlog.stdlib.get_logger("gatepost.worker")

# How long an operation waits after a worker lacked its key or its tenant: another worker may have it.
_CONFIGURATION_WAIT_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class Ended:
    """The operation is terminal."""

    state: State
    reason: Reason | None = None
    detail: str | None = None
    sealed_result: str | None = None


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
    redeemable: Redeemable | None = None


class _Slot:
    """How long this run may still sleep in its thread."""

    def __init__(self, sleep: Callable[[float], None]) -> None:
        self._sleep = sleep
        self._left = SLEEP_IN_SLOT

    def bridges(self, wait: timedelta) -> bool:
        """Sleep for the wait and return True, or return False at once if it is too long."""
        if wait > self._left:
            return False
        self._left -= wait
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
        limiter_of: Callable[[str], Limiter],
        keyring: Keyring,
        fingerprints: Fingerprints,
        clients: Clients,
        ownership: Ownership,
        limits: RetryLimits | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._settings = settings
        self._ledger = ledger
        self._limiter_of = limiter_of
        self._keyring = keyring
        self._fingerprints = fingerprints
        self._clients = clients
        self._ownership = ownership
        self._limits = limits or RetryLimits.of(settings)
        self._sleep = sleep

    def run(self, operation_id: str) -> Progress:
        """Run an operation until it ends or must wait longer than this slot may sleep.

        Raises:
            Unavailable: Redis did not answer; nothing was sent in this attempt.
        """
        slot = _Slot(self._sleep)
        delivered = True
        while True:
            progress = self._step(operation_id, slot, delivered=delivered)
            delivered = False
            if not isinstance(progress, Later) or not slot.bridges(progress.wait):
                return progress

    def _step(self, operation_id: str, slot: _Slot, *, delivered: bool) -> Progress:
        # Checked first, so that an operation that cannot begin takes no permit.
        operation = self._ledger.ready(operation_id, delivered=delivered)
        if isinstance(operation, Answer):
            return self._not_begun(operation_id, operation)
        try:
            self._ownership.require(operation.tenant, operation.application)
            command = load_command(self._keyring.open(operation.sealed_command, Purpose.command(operation_id)))
            client = self._clients.of(operation.tenant)
        except (SealError, InvalidCommand, ConfigurationError) as failure:
            _log.error("operation.blocked", operation_id=operation_id, error=str(failure))
            wait = timedelta(seconds=_CONFIGURATION_WAIT_S)
            return self._postpone(operation_id, wait, "", free=True, blocked=block_of(failure))
        return self._attempt(operation, command, client, slot)

    def _attempt(self, operation: Operation, command: Command, client: Passwordless, slot: _Slot) -> Progress:
        key = LimiterKey(operation.tenant, operation.kind.endpoint)
        while not isinstance(permit := self._limiter_of(key.tenant).acquire(key, operation.kind.lane), Permit):
            wait = timedelta(seconds=permit.seconds)
            if not slot.bridges(wait):
                # An operator may end a block before this wait is over.
                return self._postpone(operation.operation_id, min(wait, LONGEST_HOP), "", free=True)
        attempt = uuid.uuid4().hex
        lease = deadline_of(operation.kind, self._settings) + self._settings.lease_margin
        begun = self._ledger.begin(operation.operation_id, attempt, lease)
        if begun.verdict is not Verdict.BEGUN:
            return self._not_begun(operation.operation_id, begun)
        if begun.attempts > self._limits.max_attempts:
            # Its workers died repeatedly, and each may have sent the message.
            return self._settle(operation, attempt, _End(State.UNKNOWN, begun.doubt or Reason.WORKER_LOST))
        started = time.monotonic()
        failure: AuthenticationError | None = None
        response: StartResponse | TokenResponse | None = None
        try:
            response = carry_out(command, client)
        except AuthenticationError as error:
            failure = error
        self._observe(key, permit.first_ticket, response, failure)
        seconds = time.monotonic() - started
        known = Attempt(
            kind=operation.kind,
            number=begun.attempts,
            # The worker's clock may be wrong, so the time is derived from Redis's.
            now=operation.deadline - timedelta(milliseconds=begun.left_ms) + timedelta(seconds=seconds),
            deadline=operation.deadline,
            on_unknown=operation.on_unknown,
            doubt=begun.doubt,
        )
        progress = self._conclude(operation, attempt, known, response, failure)
        self._log_attempt(operation, command, begun.attempts, seconds=seconds, failure=failure, progress=progress)
        return progress

    def _observe(
        self,
        key: LimiterKey,
        ticket: int,
        response: StartResponse | TokenResponse | None,
        failure: AuthenticationError | None,
    ) -> None:
        answer = response or failure
        if answer is None or answer.rate_limits is None:
            return
        reading = Reading(ticket=ticket, limits=answer.rate_limits, refused=isinstance(failure, RateLimited))
        try:
            self._limiter_of(key.tenant).observe(key, [reading])
        except Unavailable:
            _log.warning("limiter.unavailable", tenant=key.tenant, endpoint=key.endpoint)

    def _conclude(
        self,
        operation: Operation,
        attempt: str,
        known: Attempt,
        response: StartResponse | TokenResponse | None,
        failure: AuthenticationError | None,
    ) -> Progress:
        if failure is None:
            tokens = token_set_of(response) if isinstance(response, TokenResponse) else None
            status = None if response is None else response.status
            return self._settle(operation, attempt, _End(State.ACCEPTED, http_status=status, redeemable=tokens))
        match decide(failure, known, self._limits):
            case RetryAt(wait=wait, reason=reason):
                return self._postpone(operation.operation_id, wait, attempt, free=False, doubt=doubt_in(reason))
            case Deferred(wait=wait):
                return self._postpone(operation.operation_id, wait, attempt, free=True)
            case Dead(state=state, reason=reason):
                message = _message_for_person(failure) if operation.kind.is_login else None
                return self._settle(operation, attempt, _End(state, reason, failure.detail, failure.status, message))
            case Unknown(reason=reason):
                return self._settle(operation, attempt, _End(State.UNKNOWN, reason, failure.detail, failure.status))
            case never:
                assert_never(never)

    def _settle(self, operation: Operation, attempt: str, end: _End) -> Progress:
        operation_id = operation.operation_id
        sealed = None
        if end.redeemable is not None:
            sealed = self._keyring.seal(_document(end.redeemable), Purpose.result(operation_id))
        # A restart of Redis must not lose the answer: retry until the lease is nearly over.
        answer: Answer = Retrying(
            retry=retry_if_exception_type(Unavailable),
            wait=wait_exponential(multiplier=0.1, max=2),
            stop=stop_after_delay(self._settings.lease_margin),
            sleep=self._sleep,
            reraise=True,
        )(
            self._ledger.settle,
            operation_id,
            attempt,
            end.state,
            reason=end.reason,
            detail=end.detail,
            http_status=end.http_status,
            sealed_result=sealed,
        )
        if answer.verdict is Verdict.SETTLED:
            return Ended(end.state, end.reason, end.detail, sealed)
        _log.warning("attempt.late", operation_id=operation_id, state=end.state, recorded=answer.state)
        return self._finished(operation_id)

    def _postpone(
        self,
        operation_id: str,
        wait: timedelta,
        attempt: str,
        *,
        free: bool,
        doubt: Reason | None = None,
        blocked: Block | None = None,
    ) -> Progress:
        answer = self._ledger.postpone(
            operation_id, wait.total_seconds(), attempt=attempt, free=free, doubt=doubt, blocked=blocked
        )
        if answer.verdict is Verdict.POSTPONED:
            return Later(min(wait, LONGEST_HOP))
        return self._not_begun(operation_id, answer)

    def _not_begun(self, operation_id: str, answer: Answer) -> Progress:
        match answer.verdict:
            case Verdict.FINISHED:
                return self._finished(operation_id)
            case Verdict.EARLY:
                return Later(min(timedelta(milliseconds=answer.wait_ms), LONGEST_HOP))
            case Verdict.MISSING:
                _log.warning("operation.missing", operation_id=operation_id)
                return NotOurs(Verdict.MISSING)
            case _:
                return NotOurs(answer.verdict)

    def _finished(self, operation_id: str) -> Progress:
        try:
            outcome = self._ledger.outcome(operation_id)
        except OperationNotFound:
            _log.warning("operation.missing", operation_id=operation_id)
            return NotOurs(Verdict.MISSING)
        if not outcome.state.is_terminal:
            return NotOurs(Verdict.BUSY)
        return Ended(outcome.state, outcome.reason, outcome.detail, self._ledger.sealed_result(operation_id))

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
        why: Reason | Cause | None
        match progress:
            case Ended(state=state, reason=reason):
                shown, why, wait = state.value, reason, timedelta()
            case Later(wait=wait):
                shown, why = "postponed", failure.cause if failure is not None else None
            case NotOurs(verdict=verdict):
                shown, why, wait = verdict.value, None, timedelta()
        _log.info(
            "attempt.finished",
            command=operation.kind.value,
            tenant=operation.tenant,
            correlation_id=operation.operation_id,
            recipient=self._fingerprints.log(recipient_of(command)),
            attempt=number,
            state=shown,
            reason=why and why.value,
            auth0_code=failure and failure.code,
            http_status=failure.status if failure is not None else 200,
            wait_ms=int(wait.total_seconds() * 1000),
            total_ms=int(seconds * 1000),
        )


def _document(redeemable: Redeemable) -> bytes:
    return redeemable.model_dump_json(context=REVEAL, exclude_none=True).encode()


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
