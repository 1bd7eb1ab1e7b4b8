"""One run of the login probe: mailbox, send, arrival, login, tokens; and its repetition."""

from __future__ import annotations

import json
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import structlog
from joserfc import jws

from gatepost_core.error_boundary import account, boundary
from gatepost_core.errors import ConfigurationError, NotFinished, Unavailable
from gatepost_core.kinds import CAMPAIGN_KINDS, Channel
from gatepost_core.probe_results import SUCCESS, Cause, ProbeResult, Step
from gatepost_core.reasons import Reason
from gatepost_core.states import State
from gatepost_operations.probing.code_source import ProbeFailure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from gatepost.handles import Handle
    from gatepost.producer import Producer
    from gatepost_core.identifiers import OneTimeCode, Personal
    from gatepost_core.outcomes import Outcome, TokenSet
    from gatepost_operations.probing.code_source import CodeSource

_log = structlog.stdlib.get_logger("gatepost.probe")

# The operation outlasts the wait for it, so that the probe sees why it did not end.
_GRACE: Final = timedelta(seconds=30)
SCOPES: Final = {Channel.EMAIL: "openid email", Channel.SMS: "openid phone"}
"""The scopes that the probe asks for, by channel: an id_token, and the claim that names its person."""
_CLAIMS: Final = {Channel.EMAIL: "email", Channel.SMS: "phone_number"}
_CHECKS_OF_TOKENS: Final = frozenset({Reason.TOKEN_INVALID, Reason.TOKEN_NOT_VERIFIED})


@dataclass(frozen=True, slots=True)
class Target:
    """Whom the probe sends to.

    Attributes:
        address: the address or number, normalised.
        channel: how it is reached.
        tenant: the tenant's name.
        connection: the passwordless connection.
    """

    address: Personal
    channel: Channel
    tenant: str
    connection: str


@dataclass(slots=True)
class ProbeRun:
    """A finished run, with details that Redis does not keep.

    Attributes:
        result: the result.
        operation_id: the operation that failed; None if none did.
        detail: Auth0's error code, or more about the failure; None without.
    """

    result: ProbeResult
    operation_id: str | None = None
    detail: str | None = None


class _OperationEnded(Exception):
    """An operation ended, and not in `accepted`."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__()
        self.outcome = outcome


@dataclass(slots=True)
class _Steps:
    """Measures the steps."""

    clock: Callable[[], float]
    current: Step = Step.MAILBOX
    seconds: dict[Step, float] = field(default_factory=dict)

    @contextmanager
    def taking(self, step: Step) -> Iterator[None]:
        self.current, begun = step, self.clock()
        try:
            yield
        finally:
            self.seconds[step] = self.seconds.get(step, 0.0) + self.clock() - begun


@boundary
class Probe:
    """Sends a code to the target, takes it from the source, and logs in with it, through the queues and workers that people's logins take.

    Args:
        producer: enqueues both operations.
        source: gives the code.
        target: whom it sends to.
        operation_s: seconds to wait for each operation.
        deferred_s: seconds to wait longer for one that a worker has deferred.
        arrival_s: seconds to wait for the message.
        clock: the monotonic clock, in seconds.
    """

    def __init__(
        self,
        producer: Producer,
        source: CodeSource,
        target: Target,
        *,
        operation_s: float,
        arrival_s: float,
        deferred_s: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._producer = producer
        self._source = source
        self._target = target
        self._operation_s = operation_s
        self._deferred_s = deferred_s
        self._arrival_s = arrival_s
        self._clock = clock

    def run(self) -> ProbeRun:
        """Run every step until one fails, write the event `probe.finished`, and return the result.

        Raises:
            ConfigurationError: nothing can be enqueued: a key or a setting is wrong.
            Unavailable: Redis did not answer.
        """
        steps = _Steps(self._clock)
        try:
            done = self._done(steps)
        finally:
            self._source.close()
        self._log(done)
        return done

    def _log(self, done: ProbeRun) -> None:
        target, result = self._target, done.result
        seconds = {step.value: round(taken, 3) for step, taken in result.seconds.items()}
        if result.step is None:
            _log.info(
                "probe.finished",
                tenant=target.tenant,
                channel=target.channel.value,
                reason=result.reason,
                seconds=seconds,
            )
            return
        _log.error(
            "probe.finished",
            tenant=target.tenant,
            channel=target.channel.value,
            reason=result.reason,
            step=result.step.value,
            detail=done.detail,
            correlation_id=done.operation_id,
            seconds=seconds,
        )

    def _done(self, steps: _Steps) -> ProbeRun:
        try:
            self._take(steps)
        except ProbeFailure as failure:
            return ProbeRun(_result(steps, failure.cause), getattr(failure, "operation_id", None), failure.detail)
        except _OperationEnded as ended:
            outcome = ended.outcome
            reason = outcome.reason or Reason.ANSWER_LOST
            if reason in _CHECKS_OF_TOKENS:
                steps.current = Step.TOKENS
            return ProbeRun(_result(steps, reason), outcome.operation_id, outcome.detail)
        except (ConfigurationError, Unavailable):
            raise
        except Exception as error:  # noqa: BLE001 - a probe names every failure
            return ProbeRun(_result(steps, Cause.UNFORESEEN), detail=account(error))
        return ProbeRun(_result(steps, SUCCESS))

    def _take(self, steps: _Steps) -> None:
        with steps.taking(Step.MAILBOX):
            self._source.prepare()
        with steps.taking(Step.SEND):
            self._accepted(self._send())
        with steps.taking(Step.ARRIVAL):
            code = self._source.code(self._clock() + self._arrival_s)
        with steps.taking(Step.LOGIN):
            handle = self._log_in(code)
            outcome = self._accepted(handle)
        with steps.taking(Step.TOKENS):
            check_token_set(handle.open_result(outcome), self._target.address, self._target.channel)
            self._source.use()

    def _send(self) -> Handle:
        target = self._target
        send: Callable[..., Handle] = getattr(self._producer, CAMPAIGN_KINDS[target.channel].value)
        return send(target.address.get_secret_value(), connection=target.connection, **self._fields())

    def _log_in(self, code: OneTimeCode) -> Handle:
        target = self._target
        enqueue = self._producer.login_with_email if target.channel is Channel.EMAIL else self._producer.login_with_sms
        return enqueue(
            target.address.get_secret_value(),
            code.get_secret_value(),
            realm=target.connection,
            scope=SCOPES[target.channel],
            **self._fields(),
        )

    def _fields(self) -> dict[str, Any]:
        longest = timedelta(seconds=self._operation_s + self._deferred_s)
        return {"tenant": self._target.tenant, "deadline": longest + _GRACE}

    def _accepted(self, handle: Handle) -> Outcome:
        outcome = self._waited(handle, self._operation_s)
        if outcome.state is State.DEFERRED:
            # A worker waits for a renewed credential before it refuses an operation.
            outcome = self._waited(handle, self._deferred_s)
        if not outcome.state.is_terminal:
            # A message that leaves later would arrive in the next run.
            handle.cancel()
            raise _Unfinished(outcome)
        if outcome.state is not State.ACCEPTED:
            raise _OperationEnded(outcome)
        return outcome

    def _waited(self, handle: Handle, seconds: float) -> Outcome:
        try:
            return handle.wait(seconds)
        except NotFinished:
            return handle.outcome()


class _Unfinished(ProbeFailure):
    """An operation did not end in time."""

    def __init__(self, outcome: Outcome) -> None:
        if outcome.blocked is not None:
            super().__init__(Cause.WORKER_BLOCKED, outcome.blocked.kind.value)
        elif outcome.state is State.QUEUED and not outcome.attempts:
            super().__init__(Cause.NO_WORKER)
        else:
            super().__init__(Cause.NOT_IN_TIME, outcome.state.value)
        self.operation_id = outcome.operation_id


def _result(steps: _Steps, reason: str) -> ProbeResult:
    failed = None if reason == SUCCESS else steps.current
    return ProbeResult(datetime.now(UTC), str(reason), failed, steps.seconds)


def check_token_set(tokens: TokenSet, address: Personal, channel: Channel) -> None:
    """Check that a token set has an id_token, and that it names the probe's address or number if it names any.

    The worker has checked the id_token's signature, issuer, audience and times.

    Args:
        tokens: the token set.
        address: the probe's address or number, normalised.
        channel: how it is reached.

    Raises:
        ProbeFailure: the id_token is missing, or names another person.
    """
    if tokens.id_token is None:
        raise ProbeFailure(Cause.ID_TOKEN_MISSING)
    claims = json.loads(jws.extract_compact(tokens.id_token.get_secret_value().encode()).payload)
    named = claims.get(_CLAIMS[channel])
    if named is not None and str(named).lower() != address.get_secret_value():
        raise ProbeFailure(Cause.OTHER_PERSON)


def repeat(
    run: Callable[[], object],
    every_s: float,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], object] = time.sleep,
) -> None:
    """Run now, and then at every multiple of the interval, until `run` or `sleep` raises. A run that takes longer than the interval skips the runs in between.

    Args:
        run: one run.
        every_s: the interval, in seconds.
        clock: the monotonic clock, in seconds.
        sleep: waits for some seconds.
    """
    began = clock()
    while True:
        run()
        passed = clock() - began
        sleep(every_s - passed % every_s)
