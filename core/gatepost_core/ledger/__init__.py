"""The ledger: what happened to every operation, in Redis. The queue is a hint, this is the truth.

`begin` marks an attempt just before its bytes leave and `settle` ends it, so a redelivered message after a kill finds an attempt
without an end and does not send again. The script beside this file makes every change and keeps the counts.
"""

from __future__ import annotations

from importlib import resources
from typing import TYPE_CHECKING, Any, Final

from gatepost_core.commands import OnUnknown
from gatepost_core.doubt import rule_in_lua
from gatepost_core.errors import CorruptRecord, IdempotencyConflict, RecordGone, Unavailable
from gatepost_core.kinds import Kind
from gatepost_core.ledger.replies import OUTCOME_FIELDS, answer_of, outcome_of, redeemed
from gatepost_core.ledger.values import Answer, Forgotten, NewOperation, Operation, Verdict
from gatepost_core.redis.errors import NOTHING_SENT, PERHAPS_RECORDED, READING, translated_errors
from gatepost_core.redis.keys import RedisKeys
from gatepost_core.redis.replication import AWAY_S as REPLICAS_AWAY_S
from gatepost_core.redis.replication import Replication
from gatepost_core.redis.scripts import ending, starting
from gatepost_core.redis.stored_values import as_text, milliseconds, moment
from gatepost_core.sealing import kid_of
from gatepost_core.states import OPEN_STATES, State, states_in_lua

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from redis import Redis

    from gatepost_core.blocks import Block
    from gatepost_core.kinds import Queue
    from gatepost_core.outcomes import Outcome
    from gatepost_core.reasons import Reason
    from gatepost_core.settings import Settings
    from gatepost_core.settings.tenants import Application

_SOURCE: Final = (
    states_in_lua(lambda state: state.value)
    + f"local OPEN = {{ {', '.join(f'{state} = true' for state in OPEN_STATES)} }}\n"
    + f"local QUEUE_OF = {{ {', '.join(f'{kind} = {kind.queue.value!r}' for kind in Kind)} }}\n"
    + rule_in_lua(lambda state: state.value)
    + resources.files("gatepost_core.ledger").joinpath("ledger.lua").read_text(encoding="utf-8")
)
# An operation that cannot be read is swept this many times more rarely.
_ASIDE: Final = 64
_OPEN_PAGE: Final = 1000


class Ledger:
    """Records operations, and their attempts and ends. Safe to share between threads."""

    def __init__(
        self,
        client: Redis,
        keys: RedisKeys,
        *,
        record_lifetime_s: int,
        result_lifetime_s: int,
        republish_after_s: float,
        wait_replicas: int = 0,
    ) -> None:
        self._redis = client
        self._keys = keys
        self._start = client.register_script(starting(keys.lua + _SOURCE))
        self._end = client.register_script(ending(keys.lua + _SOURCE))
        self._record_lifetime_ms = record_lifetime_s * 1000
        self._result_lifetime_ms = result_lifetime_s * 1000
        self._look_after_ms = int(republish_after_s * 1000)
        self._replication = Replication(client, keys, wait_replicas)

    def record(self, new: NewOperation) -> str:
        """Record an operation as `queued`, and return its id: an earlier one's when the idempotency key, or the seal, is known.

        Raises:
            IdempotencyConflict: the key is known, with another command.
            RecordGone: the key is known, or the seal, and its operation's record is gone.
            Unavailable: Redis did not answer; if only its answer was lost, the operation is recorded all the same.
        """
        own = self._keys.operation(new.operation_id)
        by_idempotency = (
            own if new.idempotency_fingerprint is None else self._keys.idempotency(new.idempotency_fingerprint)
        )
        by_recipient = own if new.recipient_fingerprint is None else self._keys.recipient(new.recipient_fingerprint)
        by_seal = own if new.seal_fingerprint is None else self._keys.idempotency(new.seal_fingerprint)
        reply = self._call(
            self._start,
            "record",
            new.operation_id,
            [self._keys.kids, by_idempotency, by_recipient, by_seal],
            [
                new.kind,
                new.tenant,
                new.sealed_command,
                kid_of(new.sealed_command) or "",
                milliseconds(new.deadline),
                new.on_unknown,
                new.payload_fingerprint,
                self._look_after_ms,
                self._record_lifetime_ms,
                new.application,
            ],
            if_lost=PERHAPS_RECORDED,
        )
        if reply[0] == "conflict":
            raise IdempotencyConflict
        if reply[0] == "gone":
            raise RecordGone
        return reply[1]

    def ready(self, operation_id: str, *, delivered: bool = False) -> Operation | Answer:
        """Return an operation that can begin now, with its sealed command; otherwise the reason why it cannot.

        Args:
            operation_id: which operation.
            delivered: whether its message has just reached a worker; the sweep needs to know how far each queue has come.
        """
        match self._call(self._end, "ready", operation_id, [], [int(delivered)]):
            case ["ready", kind, tenant, command, deadline, on_unknown, application]:
                return Operation(
                    operation_id=operation_id,
                    kind=Kind(kind),
                    tenant=tenant,
                    sealed_command=command,
                    deadline=moment(deadline),
                    on_unknown=OnUnknown(on_unknown),
                    application=application,
                )
            case reply:
                return answer_of(reply)

    def begin(self, operation_id: str, attempt: str, lease_s: float) -> Answer:
        """Mark an attempt; only `BEGUN` allows a request to leave.

        Raises:
            Unavailable: Redis did not answer, or too few replicas have the attempt; nothing may leave.
        """
        begun = answer_of(self._call(self._start, "begin", operation_id, [], [attempt, int(lease_s * 1000)]))
        if begun.verdict is Verdict.BEGUN and not self._replication.reached(
            self._keys.operation(operation_id), {"attempt": attempt}
        ):
            self.postpone(operation_id, REPLICAS_AWAY_S, attempt=attempt, free=True)
            raise Unavailable("Too few replicas have the attempt. Nothing is sent.")
        return begun

    def settle(
        self,
        operation_id: str,
        attempt: str,
        state: State,
        *,
        reason: Reason | None = None,
        detail: str | None = None,
        http_status: int | None = None,
        sealed_result: str | None = None,
    ) -> Answer:
        """End an attempt and the operation with it. `SETTLED`, unless the attempt had lost its lease."""
        arguments = [
            attempt,
            state,
            reason or "",
            detail or "",
            http_status or "",
            sealed_result or "",
            kid_of(sealed_result or "") or "",
            self._result_lifetime_ms,
        ]
        return answer_of(
            self._call(self._end, "settle", operation_id, [self._keys.result(operation_id), self._keys.kids], arguments)
        )

    def postpone(
        self,
        operation_id: str,
        wait_s: float,
        *,
        attempt: str = "",
        free: bool,
        doubt: Reason | None = None,
        blocked: Block | None = None,
    ) -> Answer:
        """Put an operation off.

        Args:
            operation_id: which.
            wait_s: seconds.
            attempt: the attempt that began, if one did.
            free: whether the wait costs no attempt; it is called `deferred` then.
            doubt: why the attempt may have been carried out; the operation then ends as `unknown`, unless a later one succeeds.
            blocked: what kept the worker from it.
        """
        why = "" if blocked is None else blocked.stored
        arguments = [attempt, int(wait_s * 1000), int(free), self._look_after_ms, doubt or "", why]
        return answer_of(self._call(self._end, "postpone", operation_id, [], arguments))

    def close(self, operation_id: str, state: State, reason: Reason) -> Answer:
        """End an operation that no attempt has begun."""
        return answer_of(self._call(self._end, "close", operation_id, [], [state, reason]))

    def adopt(self, operation_id: str, before: Application, after: Application) -> Answer:
        """Give an open operation to another application: `ADOPTED`, or `OTHER` when it is not for the one that is named."""
        return answer_of(self._call(self._end, "adopt", operation_id, [], [before.stored, after.stored]))

    def recover(self, operation_id: str) -> Answer:
        """End an open operation of a restored backup as `unknown`: `FINISHED`, or `MISSING` when it is over."""
        return answer_of(self._call(self._end, "recover", operation_id, [], []))

    def open_ids(self) -> Iterator[str]:
        """Give the ids of all open operations, those that are looked at next first. What changes meanwhile may be missed.

        Raises:
            Unavailable: Redis did not answer.
        """
        start = 0
        while True:
            with translated_errors():
                found = self._redis.zrange(self._keys.due, start, start + _OPEN_PAGE - 1)
            yield from map(as_text, found)
            if len(found) < _OPEN_PAGE:
                return
            start += _OPEN_PAGE

    def sweep(self, operation_ids: Sequence[str], *, drained: Iterable[Queue], since_ms: int) -> dict[str, Answer]:
        """Check open operations in one round trip: end them, ask for another message (`PUBLISH`), or leave them to wait.

        `PUBLISH` needs a reason to think the message lost: the broker refused it, later messages of its queue have arrived, or its queue is
        empty. `CORRUPT` is a record that cannot be read; it is checked again much later, so that it does not delay others.

        Args:
            operation_ids: the operations.
            drained: the queues that are empty.
            since_ms: when this run began, by `now_ms`.

        Returns:
            An answer for each operation that does not just wait.

        Raises:
            Unavailable: Redis did not answer.
        """
        rest = [self._look_after_ms, " ".join(drained), since_ms, self._look_after_ms * _ASIDE, *operation_ids]
        reply = self._ask(self._end, "sweep", "", [], rest)
        return {as_text(one): _swept(answer) for one, answer in zip(reply[::2], reply[1::2], strict=True)}

    def unpublished(self, operation_id: str) -> None:
        """Record that the broker did not take an operation's message; the sweep soon publishes it."""
        self._call(self._end, "unpublished", operation_id, [], [self._look_after_ms])

    def now_ms(self) -> int:
        """Return the time by Redis's clock, in milliseconds since the epoch."""
        with translated_errors():
            seconds, micros = self._redis.time()
        return int(seconds) * 1000 + int(micros) // 1000

    def due(self, limit: int, until_ms: int | None = None) -> list[str]:
        """Return the ids of operations to check, those that are due longest first.

        Args:
            limit: the most to return.
            until_ms: leave out those that become due later; by default, later than now.
        """
        until_ms = self.now_ms() if until_ms is None else until_ms
        with translated_errors():
            found = self._redis.zrangebyscore(self._keys.due, "-inf", until_ms, 0, limit)
        return [as_text(one) for one in found]

    def outcome(self, operation_id: str) -> Outcome:
        """Return how an operation stands.

        Raises:
            OperationNotFound: it was never recorded, or its record has expired.
            Unavailable: Redis did not answer.
        """
        with translated_errors(READING, READING):
            values: Any = self._redis.hmget(self._keys.operation(operation_id), OUTCOME_FIELDS)
        return outcome_of(operation_id, values)

    def sealed_result(self, operation_id: str) -> str | None:
        """Return the sealed result while it waits to be redeemed."""
        with translated_errors(READING, READING):
            found = self._redis.get(self._keys.result(operation_id))
        return None if found is None else as_text(found)

    def redeem(self, operation_id: str) -> str:
        """Take the sealed result, once: of two that ask at the same moment one gets it.

        Raises:
            OperationNotFound: it was never recorded, or its record has expired.
            NothingToRedeem: it was redeemed before, it has expired, or there never was one.
        """
        keys = [self._keys.result(operation_id), self._keys.celery_result(operation_id)]
        return redeemed(self._call(self._end, "redeem", operation_id, keys, []))

    def operations_of(self, recipient_fingerprint: str) -> list[str]:
        """Return the ids of one recipient's operations, as far as their records may live."""
        with translated_errors():
            found: Any = self._redis.zrange(self._keys.recipient(recipient_fingerprint), 0, -1)
        return [as_text(one) for one in found]

    def forget(self, operation_id: str, recipient_fingerprint: str) -> Forgotten:
        """End an operation that no attempt has begun, and take away all that leads from it to its recipient: command, result, index.

        Raises:
            Unavailable: Redis did not answer.
        """
        keys = [
            self._keys.recipient(recipient_fingerprint),
            self._keys.result(operation_id),
            self._keys.celery_result(operation_id),
        ]
        match self._call(self._end, "forget", operation_id, keys, []):
            case ["forgotten", state, results]:
                known = State(state) if state else None
                return Forgotten(known, cancelled=bool(known and not known.is_terminal), result=results != "0")
            case _:
                return Forgotten(State.IN_FLIGHT)

    def counts(self) -> dict[tuple[Kind, State], int]:
        """Return how many operations of each kind ever stood, and now stand, in each state; no scan."""
        with translated_errors():
            fields = self._redis.hgetall(self._keys.counts)
        pairs = ((as_text(name).split(":"), int(count)) for name, count in fields.items())
        return {(Kind(kind), State(state)): count for (kind, state), count in pairs if count}

    def _call(
        self,
        script: Any,
        call: str,
        operation_id: str,
        keys: Sequence[str],
        arguments: Sequence[Any],
        *,
        if_lost: str = NOTHING_SENT,
    ) -> list[str]:
        return [as_text(part) for part in self._ask(script, call, operation_id, keys, arguments, if_lost=if_lost)]

    def _ask(
        self,
        script: Any,
        call: str,
        operation_id: str,
        keys: Sequence[str],
        arguments: Sequence[Any],
        *,
        if_lost: str = NOTHING_SENT,
    ) -> list[Any]:
        with translated_errors(if_lost):
            reply: list[Any] = script(
                keys=[self._keys.operation(operation_id), self._keys.due, self._keys.counts, *keys],
                args=[call, operation_id, *arguments],
            )
        return reply


def _swept(reply: Sequence[Any]) -> Answer:
    try:
        return answer_of([as_text(part) for part in reply])
    except CorruptRecord:
        return Answer(Verdict.CORRUPT)


def ledger_at(client: Redis, settings: Settings) -> Ledger:
    """Return the ledger in the Redis of a client."""
    return Ledger(
        client,
        RedisKeys(settings.namespace),
        record_lifetime_s=settings.record_lifetime,
        result_lifetime_s=settings.result_lifetime,
        republish_after_s=settings.republish_after,
        wait_replicas=settings.wait_replicas,
    )
