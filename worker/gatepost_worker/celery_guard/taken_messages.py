"""Records of the messages that a worker has taken from Redis and not yet acknowledged: kombu's own, for several messages in one round trip."""

from __future__ import annotations

import time
from contextlib import suppress
from queue import Empty
from typing import TYPE_CHECKING, Any, Final

import structlog
from kombu.transport import virtual
from kombu.utils.encoding import bytes_to_str
from kombu.utils.json import dumps
from redis.exceptions import OutOfMemoryError

from gatepost_core.redis.quick import Broken

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

# kombu's own methods, without Redis.
_local: Final[Any] = virtual.QoS
_log = structlog.stdlib.get_logger("gatepost.worker")

TAKE: Final = """-- KEYS: the queues, in the order of their turns   ARGV[1] how many messages to take at most
-- Returns the number of a queue and a message, in turn.
local taken, left, is_empty, empty = {}, tonumber(ARGV[1]), {}, 0
while left > 0 and empty < #KEYS do
  for number, queue in ipairs(KEYS) do
    local message = left > 0 and not is_empty[number] and redis.call('RPOP', queue)
    if message then
      taken[#taken + 1] = number
      taken[#taken + 1] = message
      left = left - 1
    elseif left > 0 and not is_empty[number] then
      is_empty[number] = true
      empty = empty + 1
    end
  end
end
return taken
"""


class TakenMessages:
    """A part of kombu's QoS class for Redis. The channel has `ask` and `run_script` of `redis_outages`."""

    channel: Any
    unacked_key: str
    unacked_index_key: str

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._recorded: set[str] = set()
        self._acknowledged: list[str] = []

    def record(self, envelopes: Sequence[dict[str, Any]]) -> None:
        """Record messages as taken, before they are delivered. Without free memory they are processed without records."""
        if not envelopes:
            return
        taken_at = time.time()
        scores: list[Any] = []
        records: list[Any] = []
        for envelope in envelopes:
            tag, places = envelope["properties"]["delivery_tag"], envelope["properties"]["delivery_info"]
            scores += taken_at, tag
            # The form that kombu's own method stores.
            records += tag, dumps([envelope, places["exchange"], places["routing_key"]])
            self._recorded.add(tag)
        try:
            # An entry of the index without a record does no harm; a record without an entry would stay.
            self._ask_twice(("ZADD", self.unacked_index_key, *scores), ("HSET", self.unacked_key, *records))
        except OutOfMemoryError:
            _log.warning("broker.full", step="record_taken")

    def append(self, message: Any, delivery_tag: str) -> None:
        """Note a message as delivered, and record it as taken if it is not yet."""
        if delivery_tag not in self._recorded:
            self.record([message._raw])  # noqa: SLF001 - what kombu's own method stores
        self._recorded.discard(delivery_tag)
        _local.append(self, message, delivery_tag)

    def ack(self, delivery_tag: str) -> None:
        """Acknowledge a message. Its record is removed with those of others, before the consumer's loop waits again."""
        self._acknowledged.append(delivery_tag)
        _local.ack(self, delivery_tag)
        if not self.channel.connection.is_in_loop:
            self.remove_records()

    def remove_records(self) -> None:
        """Remove the records of acknowledged messages. While the broker is away they wait for the next call."""
        tags = self._acknowledged
        if tags:
            with suppress(*self.channel.connection_errors):
                self._ask_twice(("HDEL", self.unacked_key, *tags), ("ZREM", self.unacked_index_key, *tags))
                self._acknowledged = []

    def reject(self, delivery_tag: str, requeue: bool = False) -> None:  # noqa: FBT001, FBT002 - kombu's signature
        """Return a message. Without free memory it keeps its record as taken, or is dropped if it has none."""
        try:
            super().reject(delivery_tag, requeue=requeue)  # type: ignore[misc] # of kombu
        except OutOfMemoryError:
            _log.warning("broker.full", step="return")
            _local.ack(self, delivery_tag)

    def _ask_twice(self, *commands: tuple[Any, ...]) -> None:
        """Carry out commands that may be repeated: the broker may have closed the kept connection meanwhile."""
        try:
            self.channel.ask(*commands)
        except Broken:
            with self.channel.conn_or_acquire() as client, client.pipeline(transaction=False) as pipeline:
                for command in commands:
                    pipeline.execute_command(*command)
                pipeline.execute()


class TakesSeveral:
    """A part of kombu's channel class for Redis: after a poll, it takes messages for all free slots. `deliver_taken` delivers them."""

    qos: Any
    client: Any
    sep: str
    active_queues: Sequence[str]
    connection_errors: tuple[type[Exception], ...]
    run_script: Any
    deliver_taken: Callable[[Sequence[tuple[str, bytes]]], None]
    _queue_cycle: Any
    _flush_brpop_reauth: Callable[[], None]

    def _brpop_read(self, **options: Any) -> bool:
        """Read a poll's message, as kombu's own method does, and more."""
        try:
            try:
                found = self.client.parse_response(self.client.connection, "BRPOP", **options)
            except self.connection_errors:
                self.client.connection.disconnect()
                raise
            if not found:
                raise Empty
            name, message = found
            queue = bytes_to_str(name).rsplit(self.sep, 1)[0]
            self._queue_cycle.rotate(queue)
            self.deliver_taken([(queue, message), *self._more()])
            return True
        finally:
            self._in_poll = None
            self._flush_brpop_reauth()

    def _more(self) -> list[tuple[str, bytes]]:
        """Take messages for the free slots but one, which the poll has filled. The queues take turns, as they do in polls."""
        free = (self.qos.can_consume_max_estimate() or 1) - 1
        if free < 1:
            return []
        queues = self._queue_cycle.consume(len(self.active_queues))
        lost: tuple[type[Exception], ...] = (Broken, *self.connection_errors)
        try:
            taken = self.run_script(TAKE, queues, [free])
        except lost:
            return []  # the next poll reports it
        for number in taken[::2]:
            self._queue_cycle.rotate(queues[number - 1])
        return [(queues[number - 1], message) for number, message in zip(taken[::2], taken[1::2], strict=True)]
