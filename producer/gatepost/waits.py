"""Waits for final states: one thread serves all waits of a process, from threads and event loops.

Redis publishes a notice when an operation ends. A notice can be lost with its connection, so the thread also checks all awaited
operations every few seconds.
"""

from __future__ import annotations

import selectors
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

import structlog
from redis.exceptions import RedisError, ResponseError

from gatepost.notices import Bell, Notices
from gatepost_core.error_boundary import account
from gatepost_core.errors import CorruptRecord, GatepostError, OperationNotFound, Unavailable
from gatepost_core.ledger.records import OUTCOME_FIELDS, outcome_of
from gatepost_core.redis.errors import READING, translated_errors
from gatepost_core.states import OPEN_STATES

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

    from redis import Redis

    from gatepost_core.outcomes import Outcome
    from gatepost_core.redis.keys import RedisKeys

    Answer = Outcome | GatepostError

_log = structlog.stdlib.get_logger("gatepost.producer")
LOOK_AGAIN_S: Final = 3.0
"""Seconds between two checks of all awaited operations."""
_RECONNECT_S: Final = 0.5
_PAGE: Final = 500
_OPEN: Final = frozenset(state.value.encode() for state in OPEN_STATES)
_STOP_S: Final = 1.0


class Owner(Protocol):
    """A producer's client. It can be closed during a wait."""

    closed: bool

    def require_open(self) -> None:
        """Raise `ProducerClosed` if it is closed."""


@dataclass(eq=False, slots=True)
class Wait:
    """One caller's wait for an operation.

    Attributes:
        operation_id: the operation.
        owner: the client of the caller's producer.
        tell: takes the outcome or the error to raise. Another thread calls it at most once.
        seen: whether a check has found the operation open.
    """

    operation_id: str
    owner: Owner
    tell: Callable[[Answer], object]
    seen: bool = False


class Waits:
    """All waits for operations of one Redis. Thread-safe."""

    def __init__(
        self, client: Redis, subscriber: Redis, keys: RedisKeys, *, look_again_s: float = LOOK_AGAIN_S
    ) -> None:
        """Prepare the waits. The thread starts with the first one.

        Args:
            client: reads the operations.
            subscriber: its only connection carries the subscription.
            keys: the names in this Redis.
            look_again_s: seconds between two checks of all awaited operations.
        """
        self._client = client
        self._subscriber = subscriber
        self._keys = keys
        self._look_again_s = look_again_s
        self.reset()

    def reset(self) -> None:
        """Start without waits. A forked process needs this: the parent's thread does not exist there."""
        self._lock = threading.Lock()
        self._waiting: dict[str, list[Wait]] = {}
        self._changed: set[str] = set()
        self._thread: threading.Thread | None = None
        self._stopping = False
        self._notices = Notices(self._subscriber, self._keys)
        self._reopen_at = 0.0
        self._bell: Bell | None = None

    def join(self, wait: Wait) -> None:
        """Add a wait. It gets the final outcome, or an error."""
        with self._lock:
            wait.owner.require_open()
            self._waiting.setdefault(wait.operation_id, []).append(wait)
            self._changed.add(wait.operation_id)
            if self._thread is None and not self._stopping:
                self._bell = Bell()
                self._thread = threading.Thread(
                    target=self._run, args=(self._bell,), name="gatepost-waits", daemon=True
                )
                self._thread.start()
        self._ring()
        if wait.owner.closed:
            # Closed meanwhile, possibly after the call of `end`.
            self.leave(wait)
            wait.owner.require_open()

    def leave(self, wait: Wait) -> None:
        """Remove a wait, unless it has got its outcome."""
        with self._lock:
            if self._remove(wait):
                self._ring()

    def end(self, owner: Owner, failure: Callable[[], GatepostError]) -> None:
        """End all waits of one producer with an error."""
        with self._lock:
            ended = [wait for waits in self._waiting.values() for wait in waits if wait.owner is owner]
            for wait in ended:
                self._remove(wait)
        for wait in ended:
            wait.tell(failure())

    def stop(self) -> None:
        """End the thread and close its connection."""
        with self._lock:
            thread, self._thread, self._stopping = self._thread, None, True
        self._ring()
        if thread is not None:
            thread.join(_STOP_S)

    def _remove(self, wait: Wait) -> bool:
        waits = self._waiting.get(wait.operation_id, [])
        if wait not in waits:
            return False
        waits.remove(wait)
        if not waits:
            del self._waiting[wait.operation_id]
            self._changed.add(wait.operation_id)
        return True

    def _ring(self) -> None:
        if self._bell is not None:
            self._bell.ring()

    def _run(self, bell: Bell) -> None:
        look_at = time.monotonic() + self._look_again_s
        while not self._stopping:
            try:
                self._sleep(bell, look_at)
                ids = self._noticed()
                if time.monotonic() >= look_at:
                    look_at = time.monotonic() + self._look_again_s
                    ids |= self._ended()
                self._tell_ended(ids)
            except Exception as failure:  # noqa: BLE001 - if the thread ended, no wait would end
                # Without the exception: an error tracker would show its frames.
                _log.error("waits.failed_unexpectedly", failure=account(failure))
                self._lose_notices()
                time.sleep(_RECONNECT_S)
        self._notices.close()
        bell.close()

    def _sleep(self, bell: Bell, until: float) -> None:
        """Sleep until a notice arrives, the waits change, or the next check is due."""
        # Without waits, sleep until there is one.
        timeout = max(until - time.monotonic(), 0) if self._waiting else None
        with selectors.DefaultSelector() as either:
            either.register(bell, selectors.EVENT_READ)
            if self._notices.is_open:
                either.register(self._notices, selectors.EVENT_READ)
            either.select(timeout)
        bell.quiet()

    def _noticed(self) -> set[str]:
        """Subscribe to the operations of new waits, and return the operations to read."""
        with self._lock:
            changed, self._changed = self._changed, set()
            joined = changed & self._waiting.keys()
        try:
            if self._notices.is_open:
                self._notices.leave((changed - joined) & self._notices.followed)
                self._notices.follow(joined - self._notices.followed)
            elif not self._waiting:
                return set()
            elif time.monotonic() < self._reopen_at:
                return joined
            else:
                self._notices.open()
                self._notices.follow(self._ids())
            return self._notices.read()
        except (RedisError, OSError) as failure:
            self._lose_notices()
            if isinstance(failure, ResponseError):
                # Redis refuses the subscription itself, and will refuse it again.
                self._tell(self._ids(), _error_of(failure))
            return {wait.operation_id for wait in self._all() if not wait.seen}

    def _lose_notices(self) -> None:
        self._notices.close()
        self._reopen_at = time.monotonic() + _RECONNECT_S

    def _ended(self) -> set[str]:
        """Return the awaited operations that are not open."""
        found: set[str] = set()
        for some in _pages(self._ids()):
            states = self._read(some, lambda pipe, key: pipe.hget(key, "state"))
            found.update(id_ for id_, state in zip(some, states, strict=False) if state not in _OPEN)
        return found

    def _tell_ended(self, ids: Collection[str]) -> None:
        """Read operations, and tell the waits for those that have ended."""
        for some in _pages(ids):
            replies = self._read(some, lambda pipe, key: pipe.hmget(key, OUTCOME_FIELDS))
            for operation_id, reply in zip(some, replies, strict=False):
                answer = _answer_of(operation_id, reply)
                if answer is None:
                    self._see(operation_id)
                else:
                    self._tell([operation_id], answer)

    def _read(self, ids: Sequence[str], ask: Callable[[Any, str], object]) -> list[Any]:
        """Ask about operations in one round trip. If Redis does not answer, tell the new waits, and return nothing."""
        try:
            with translated_errors(READING, READING), self._client.pipeline(transaction=False) as pipe:
                for operation_id in ids:
                    ask(pipe, self._keys.operation(operation_id))
                return pipe.execute(raise_on_error=False)
        except Unavailable as failure:
            self._tell(ids, failure, unseen=True)
            return []

    def _see(self, operation_id: str) -> None:
        with self._lock:
            for wait in self._waiting.get(operation_id, ()):
                wait.seen = True

    def _tell(self, ids: Iterable[str], answer: Answer, *, unseen: bool = False) -> None:
        with self._lock:
            told = [wait for id_ in ids for wait in self._waiting.get(id_, ()) if not (unseen and wait.seen)]
            for wait in told:
                self._remove(wait)
        for wait in told:
            wait.tell(answer)

    def _ids(self) -> set[str]:
        with self._lock:
            return set(self._waiting)

    def _all(self) -> list[Wait]:
        with self._lock:
            return [wait for waits in self._waiting.values() for wait in waits]


def _pages(ids: Iterable[str]) -> Iterator[list[str]]:
    listed = list(ids)
    for start in range(0, len(listed), _PAGE):
        yield listed[start : start + _PAGE]


def _answer_of(operation_id: str, reply: Any) -> Answer | None:
    """Return the outcome or the error, or None for an open operation."""
    if isinstance(reply, RedisError):
        return _error_of(reply)
    try:
        outcome = outcome_of(operation_id, reply)
    except (OperationNotFound, CorruptRecord) as failure:
        return failure
    return outcome if outcome.state.is_terminal else None


def _error_of(failure: RedisError) -> GatepostError:
    try:
        with translated_errors(READING, READING):
            raise failure
    except GatepostError as translated:
        return translated
