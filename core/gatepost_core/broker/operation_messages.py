"""The messages of operations: where the ledger's script pushes them, or how they are published after it.

If the ledger's Redis is the broker, the script that records an operation also pushes its message. Any other Redis gets many messages in one
round trip, and other brokers get theirs through kombu. A message on a Redis list is the JSON text that kombu would write, prepared once for
each kind; a test compares the two.
"""

from __future__ import annotations

import base64
import json
import os
import socket
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from redis.exceptions import RedisError

from gatepost_core.broker.messages import SHOWN_ARGUMENTS, log_postponed, operation_message
from gatepost_core.redis.connections import connect_to_broker
from gatepost_core.redis.keys import RedisKeys

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from celery import Celery
    from redis import Redis

    from gatepost_core.kinds import Kind
    from gatepost_core.settings import Settings

_ID: Final = "(operation)"
_BODY: Final = "(body)"
_NOTHING_FOLLOWS: Final = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}


class OperationMessages:
    """Makes and publishes operations' messages. Thread-safe.

    Args:
        app: returns the Celery app. Called only for brokers other than Redis.
        settings: the configuration.
        client: a client of the ledger's Redis, which may be the broker too. None publishes through kombu alone.
    """

    def __init__(self, app: Callable[[], Celery], settings: Settings, client: Redis | None) -> None:
        self._keys = RedisKeys(settings.namespace)
        self._in_ledger = client is not None and settings.broker == settings.redis_url.get_secret_value()
        self._redis: Redis | None = None if self._in_ledger or client is None else connect_to_broker(settings)
        self._app = app
        if self._redis is None and not self._in_ledger:
            # A wrong configuration is an error now, not at the first message.
            app()

    def for_script(self, kind: Kind, operation_id: str) -> tuple[str, str]:
        """Return the key of the list and the message that the ledger's script pushes; both empty if another broker takes the message."""
        if not self._in_ledger:
            return "", ""
        queue = self._keys.queue(kind.queue)
        return self._keys.queue_key(queue), envelope(kind, queue, operation_id)

    def publish(self, operations: Sequence[tuple[Kind, str]]) -> list[str]:
        """Publish messages that the script has not pushed, and return the ids of those that the broker may not have taken.

        Each of those is logged as `publish.postponed`. No error leaves: a caller who saw one would enqueue again.

        Args:
            operations: the kind and the id of each.
        """
        if self._in_ledger or not operations:
            return []
        if self._redis is None:
            return [operation_id for kind, operation_id in operations if not self._through_kombu(kind, operation_id)]
        by_queue: dict[str, dict[str, str]] = {}
        for kind, operation_id in operations:
            queue = self._keys.queue(kind.queue)
            by_queue.setdefault(self._keys.queue_key(queue), {})[operation_id] = envelope(kind, queue, operation_id)
        try:
            with self._redis.pipeline(transaction=False) as pipe:
                for key, messages in by_queue.items():
                    pipe.lpush(key, *messages.values())
                replies = pipe.execute(raise_on_error=False)
        except (RedisError, OSError) as failure:
            replies = [failure] * len(by_queue)
        refused = zip(by_queue.values(), replies, strict=True)
        return [
            one for messages, reply in refused if isinstance(reply, Exception) for one in _postponed(messages, reply)
        ]

    def close(self) -> None:
        """Close the connections to a Redis that is the broker alone."""
        if self._redis is not None:
            self._redis.close()

    def _through_kombu(self, kind: Kind, operation_id: str) -> bool:
        # Imported here, because a Redis broker needs neither kombu nor Celery.
        from gatepost_core.broker.publishing import publish_recorded  # noqa: PLC0415

        return publish_recorded(
            self._app(),
            kind.task,
            kind.queue,
            operation_id,
            operation_message(operation_id),
            correlation_id=operation_id,
        )


def envelope(kind: Kind, queue: str, operation_id: str) -> str:
    """Return an operation's message in the form that kombu stores on a Redis list.

    Args:
        kind: the operation's kind.
        queue: the queue's name.
        operation_id: the operation's id.
    """
    message, arguments = _prepared(kind, queue)
    body = base64.b64encode(arguments.replace(_ID, operation_id).encode()).decode()
    return message.replace(_ID, operation_id).replace(_BODY, body)


@cache
def _prepared(kind: Kind, queue: str) -> tuple[str, str]:
    """Return the message and its arguments, with marks for the operation's id and the encoded arguments."""
    # Celery's protocol 2, in an envelope of kombu's virtual transports.
    headers: dict[str, Any] = {
        "lang": "py",
        "task": kind.task,
        "id": _ID,
        "shadow": None,
        "eta": None,
        "expires": None,
        "group": None,
        "group_index": None,
        "retries": 0,
        "timelimit": [None, None],
        "root_id": _ID,
        "parent_id": None,
        "argsrepr": SHOWN_ARGUMENTS,
        "kwargsrepr": SHOWN_ARGUMENTS,
        "origin": f"gen{os.getpid()}@{socket.gethostname()}",
        "ignore_result": False,
        "replaced_task_nesting": 0,
        "stamped_headers": None,
        "stamps": {},
    }
    properties = {
        "correlation_id": _ID,
        "reply_to": "",
        "delivery_mode": 2,
        "delivery_info": {"exchange": "", "routing_key": queue},
        "priority": 0,
        "body_encoding": "base64",
        # Workers give every delivery a new tag.
        "delivery_tag": _ID,
    }
    message = json.dumps(
        {
            "body": _BODY,
            "content-encoding": "utf-8",
            "content-type": "application/json",
            "headers": headers,
            "properties": properties,
        }
    )
    return message, json.dumps([[], operation_message(_ID), _NOTHING_FOLLOWS])


def _postponed(operation_ids: Iterable[str], failure: Exception) -> list[str]:
    postponed = list(operation_ids)
    for operation_id in postponed:
        log_postponed(error=type(failure).__name__, correlation_id=operation_id)
    return postponed
