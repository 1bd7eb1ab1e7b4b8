"""How many messages wait on the broker's queues."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from kombu.exceptions import ChannelError

if TYPE_CHECKING:
    from collections.abc import Collection

    from celery import Celery

_ANSWER_S: Final = 5


class QueueSizes:
    """Asks the broker over a separate connection, because the consumer's may be stuck."""

    def __init__(self, app: Celery, queues: Collection[str]) -> None:
        self._app = app
        self._queues = queues
        self._connection: Any = None
        self._channel: Any = None

    def read(self) -> dict[str, int]:
        """Return the number of messages on each queue, without those that a worker has taken and not acknowledged.

        Raises:
            OSError, KombuError, AMQPError, RedisError: the broker did not answer.
        """
        try:
            if self._connection is None:
                self._connection = self._app.connection_for_read(connect_timeout=_ANSWER_S)
                self._connection.ensure_connection(max_retries=1, timeout=_ANSWER_S)
                self._channel = self._connection.channel()
            return {queue: self._size(queue) for queue in self._queues}
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the connection; the next call opens another."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.collect(socket_timeout=1)

    def _size(self, queue: str) -> int:
        try:
            return int(self._channel.queue_declare(queue, passive=True).message_count)
        except ChannelError:  # Redis deletes an empty list
            return 0
