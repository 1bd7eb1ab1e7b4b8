"""The ledger: the record of every operation, in Redis. A message on the queue is only a hint to look here.

`begin` marks an attempt just before its bytes leave, and `settle` ends it. A message that is redelivered after a kill finds an attempt
without an end, and is not sent again. The script `ledger.lua` makes every change and keeps the counts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from gatepost_core.errors import Unavailable
from gatepost_core.kinds import Kind
from gatepost_core.ledger.script import Call, LedgerScript
from gatepost_core.ledger.values import (
    Answer,
    Forgotten,
    NewOperation,
    Operation,
    Recorded,
    answer_of,
    dump_new,
    operation_of,
    read_recorded,
    swept,
)
from gatepost_core.redis.errors import READING, translated_errors
from gatepost_core.redis.keys import RedisKeys, as_text, recipient_entry
from gatepost_core.states import State

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from redis import Redis

    from gatepost_core.blocks import Block
    from gatepost_core.kinds import Queue
    from gatepost_core.outcomes import Outcome
    from gatepost_core.reasons import Reason
    from gatepost_core.settings import Settings
    from gatepost_core.settings.tenants import Application

# An operation that cannot be read is swept this many times more rarely.
_ASIDE: Final = 64
_OPEN_PAGE: Final = 1000


class Ledger:
    """Records operations, their attempts and their final states. Thread-safe."""

    def __init__(
        self,
        client: Redis,
        keys: RedisKeys,
        *,
        record_lifetime_s: int,
        republish_after_s: float,
        wait_replicas: int = 0,
        library: str = "",
        calls: str = "",
    ) -> None:
        """Prepare the script; nothing is sent to Redis yet.

        Args:
            client: the connection.
            keys: the names in this Redis.
            record_lifetime_s: seconds that a finished operation and its result are kept.
            republish_after_s: seconds until the sweep first checks an operation.
            wait_replicas: how many replicas must have an attempt before it may begin.
            library: Lua to put in front of the script.
            calls: Lua that adds calls to it; `start` makes them.
        """
        self._redis = client
        self._keys = keys
        self._script = LedgerScript(client, keys, library=library, calls=calls)
        self._record_lifetime_ms = record_lifetime_s * 1000
        self.look_after_ms = int(republish_after_s * 1000)
        self._wait_replicas = wait_replicas

    def record_many(self, operations: Sequence[NewOperation]) -> Recorded:
        """Record operations in one round trip, and push the messages of those that have one.

        A known idempotency key or seal gives the id of the earlier operation, or the error that its record was lost or was made of another command.

        Raises:
            Unavailable: Redis did not answer. Any of the operations may have been recorded.
        """
        messages = [new.message for new in operations]
        reply = self._script.record(
            dump_new(operations, self._keys), self.look_after_ms, self._record_lifetime_ms, *messages
        )
        return read_recorded(operations, reply)

    def ready(self, operation_id: str, *, delivered: bool = False) -> Operation | Answer:
        """Return an operation that can begin now, with its sealed command; otherwise the reason why it cannot.

        Args:
            operation_id: the operation.
            delivered: whether its message has just reached a worker. The sweep uses this to see how far each queue has come.
        """
        match self._call("ready", operation_id, int(delivered)):
            case ["ready", *described]:
                return operation_of(operation_id, described)
            case reply:
                return answer_of(reply)

    def start(self, call: str, operation_id: str, *arguments: Any) -> list[str]:
        """Make a call of the script that starts something, and return its reply.

        Raises:
            MemoryFull: Redis's memory is full, so nothing new may start.
            Unavailable: Redis did not answer.
        """
        return self._script.start(Call(call, operation_id, arguments))

    def require_replicas(self, operation_id: str, attempt: str) -> None:
        """Postpone an attempt that has just begun, unless enough replicas have it.

        Raises:
            Unavailable: too few have it, or Redis did not answer. No request may leave.
        """
        if not self._wait_replicas:
            return
        # Imported here, because only workers begin attempts.
        from gatepost_core.redis.replication import AWAY_S, Replication  # noqa: PLC0415

        replication = Replication(self._redis, self._keys, self._wait_replicas)
        if not replication.reached(self._keys.operation(operation_id), {"attempt": attempt}):
            self.postpone(operation_id, AWAY_S, attempt=attempt, free=True)
            raise Unavailable("Too few replicas have the attempt. Nothing is sent.")

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
        first: Sequence[Any] = (),
    ) -> Answer:
        """End an attempt and its operation. Return `SETTLED`, unless the attempt had lost its lease.

        Args:
            operation_id: the operation.
            attempt: the attempt's token.
            state: the final state.
            reason: why it did not simply succeed.
            detail: Auth0's error code.
            http_status: the answer's status.
            sealed_result: the sealed token set of a login, or the sealed message of a refusal.
            first: another call of the script that then makes this one, and its own arguments.
        """
        call, *before = [*first, "settle"]
        return self._answer(
            call,
            operation_id,
            *before,
            attempt,
            state,
            reason or "",
            detail or "",
            http_status or "",
            sealed_result or "",
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
        first: Sequence[Any] = (),
    ) -> Answer:
        """Postpone an operation.

        Args:
            operation_id: the operation.
            wait_s: seconds.
            attempt: the attempt that began, if any.
            free: whether the wait costs no attempt. The state is then `deferred`.
            doubt: why the attempt may have been carried out. Unless a later attempt succeeds, the operation then ends as `unknown`.
            blocked: why the worker could not run it.
            first: another call of the script that then makes this one, and its own arguments.
        """
        call, *before = [*first, "postpone"]
        why = "" if blocked is None else blocked.stored
        arguments = (attempt, int(wait_s * 1000), int(free), self.look_after_ms, doubt or "", why)
        return self._answer(call, operation_id, *before, *arguments)

    def close(self, operation_id: str, state: State, reason: Reason) -> Answer:
        """End an operation without an attempt under way."""
        return self._answer("close", operation_id, state, reason)

    def adopt(self, operation_id: str, before: Application, after: Application) -> Answer:
        """Move an open operation to another application. Return `ADOPTED`, or `OTHER` if it does not belong to `before`."""
        return self._answer("adopt", operation_id, before.stored, after.stored)

    def recover(self, operation_id: str) -> Answer:
        """End an open operation of a restored backup as `unknown`. Return `FINISHED`, or `MISSING` if it is not open."""
        return self._answer("recover", operation_id)

    def open_ids(self) -> Iterator[str]:
        """Yield the ids of all open operations, in the order of their next check. Changes during the call may be missed.

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
        options = (self.look_after_ms, " ".join(drained), since_ms, self.look_after_ms * _ASIDE)
        reply = self._script.reply(Call("sweep", "", [*options, *operation_ids]))
        return {as_text(one): swept(answer) for one, answer in zip(reply[::2], reply[1::2], strict=True)}

    def unpublished(self, operation_id: str) -> None:
        """Record that the broker did not take an operation's message; the sweep soon publishes it."""
        self._call("unpublished", operation_id, self.look_after_ms)

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
        """Return an operation's outcome so far.

        Raises:
            OperationNotFound: it was never recorded, or its record has expired.
            Unavailable: Redis did not answer.
        """
        # Imported here, because an application that only sends should not load it.
        from gatepost_core.ledger.records import OUTCOME_FIELDS, outcome_of  # noqa: PLC0415

        with translated_errors(READING, READING):
            values: Any = self._redis.hmget(self._keys.operation(operation_id), OUTCOME_FIELDS)
        return outcome_of(operation_id, values)

    def owner(self, operation_id: str) -> str:
        """Return the id of the API key that asked for an operation; empty if there is none, or no record."""
        with translated_errors(READING, READING):
            found: Any = self._redis.hget(self._keys.operation(operation_id), "owner")
        return as_text(found or b"")

    def has(self, operation_id: str) -> bool:
        """Return whether there is a record of an operation."""
        with translated_errors(READING, READING):
            return bool(self._redis.exists(self._keys.operation(operation_id)))

    def sealed_result(self, operation_id: str) -> str | None:
        """Return the sealed result, unless it has been redeemed or has expired."""
        # Imported here, because an application that only sends should not load it.
        from gatepost_core.ledger.records import sealed_part  # noqa: PLC0415

        with translated_errors(READING, READING):
            found: Any = self._redis.get(self._keys.celery_result(operation_id))
        return None if found is None else sealed_part(found)

    def redeem(self, operation_id: str, digest: str) -> str:
        """Take the sealed result of a login, once. Of two calls at the same time, only one gets it.

        Args:
            operation_id: the operation.
            digest: the digest of its redeem token; empty without one.

        Raises:
            NotFinished: it has not ended.
            NothingToRedeem: the result was redeemed or has expired, or the operation is not a login.
            OperationNotFound: it was never recorded, or its record has expired.
            WrongRedeemToken: the token is not that of the login. Nothing was deleted.
        """
        # Imported here, because an application that only sends should not load it.
        from gatepost_core.ledger.records import redeemed  # noqa: PLC0415

        return redeemed(self._call("redeem", operation_id, digest))

    def answer_missing(self, operation_id: str) -> None:
        """Store `OperationNotFound` as the result of an operation that has neither a record nor a result."""
        self._call("answer_missing", operation_id, self._record_lifetime_ms)

    def operations_of(self, recipient_fingerprint: str) -> list[str]:
        """Return the ids of a recipient's operations whose records may still exist."""
        with translated_errors():
            entries: Any = self._redis.zrange(self._keys.recipients(recipient_fingerprint), 0, -1)
        theirs = recipient_entry(recipient_fingerprint, "")
        return [entry.removeprefix(theirs) for entry in map(as_text, entries) if entry.startswith(theirs)]

    def forget(self, operation_id: str, recipient_fingerprint: str) -> Forgotten:
        """Cancel an operation without an attempt under way, and delete its links to the recipient: command, result, index.

        Raises:
            Unavailable: Redis did not answer.
        """
        entry = recipient_entry(recipient_fingerprint, operation_id)
        match self._call("forget", operation_id, entry, keys=[self._keys.recipients(recipient_fingerprint)]):
            case ["forgotten", state, results]:
                known = State(state) if state else None
                return Forgotten(known, cancelled=bool(known and not known.is_terminal), result=results != "0")
            case _:
                return Forgotten(State.IN_FLIGHT)

    def counts(self) -> dict[tuple[Kind, State], int]:
        """Return the number of operations by kind and state: final ones ever, open ones now. The call reads counters only."""
        with translated_errors():
            fields = self._redis.hgetall(self._keys.counts)
        pairs = ((as_text(name).partition(":"), int(count)) for name, count in fields.items())
        # Those of another version are left out.
        known = ((kind, state, count) for (kind, _, state), count in pairs if kind in set(Kind) and state in set(State))
        return {(Kind(kind), State(state)): count for kind, state, count in known if count}

    def _answer(self, call: str, operation_id: str, *arguments: Any, keys: Sequence[str] = ()) -> Answer:
        return answer_of(self._call(call, operation_id, *arguments, keys=keys))

    def _call(self, call: str, operation_id: str, *arguments: Any, keys: Sequence[str] = ()) -> list[str]:
        return self._script.texts(Call(call, operation_id, arguments, keys))


def ledger_at(client: Redis, settings: Settings, *, library: str = "", calls: str = "") -> Ledger:
    """Return the ledger in the Redis of a client. `library` and `calls` extend its script."""
    return Ledger(
        client,
        RedisKeys(settings.namespace),
        record_lifetime_s=settings.record_lifetime,
        republish_after_s=settings.republish_after,
        wait_replicas=settings.wait_replicas,
        library=library,
        calls=calls,
    )
