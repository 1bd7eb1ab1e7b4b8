"""Publishing the messages of recorded operations, many in one round trip where the broker is Redis.

A message on a Redis list is the JSON text that kombu would write, prepared once for each kind; a test compares the two. Other brokers get
their messages through kombu.
"""

from __future__ import annotations

import base64
import json
import os
import socket
import uuid
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from redis.exceptions import RedisError

from gatepost_core.broker.messages import SHOWN_ARGUMENTS, log_postponed, operation_message
from gatepost_core.redis.connections import connect_to_broker
from gatepost_core.redis.keys import RedisKeys

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from celery import Celery
    from redis import Redis

    from gatepost_core.kinds import Kind
    from gatepost_core.settings import Settings

_ID: Final = "(operation)"
_BODY: Final = "(body)"
_TAG: Final = "(tag)"
_NOTHING_FOLLOWS: Final = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}


class OperationMessages:
    """Publishes operations' messages. Thread-safe.

    Args:
        app: returns the Celery app. Called only for brokers other than Redis.
        settings: the configuration.
        client: a client of the ledger's Redis, which may be the broker too. None publishes through kombu alone.
    """

    def __init__(self, app: Callable[[], Celery], settings: Settings, client: Redis | None) -> None:
        self._keys = RedisKeys(settings.namespace)
        is_ledger = settings.broker == settings.redis_url.get_secret_value()
        self._own = None if is_ledger or client is None else connect_to_broker(settings)
        self._redis: Redis | None = client if is_ledger else self._own
        self._app = app
        if self._redis is None:
            # A wrong configuration is an error now, not at the first message.
            app()

    def publish(self, operations: Sequence[tuple[Kind, str]]) -> list[str]:
        """Publish operations' messages, and return the ids of those that the broker may not have taken.

        Each of those is logged as `publish.postponed`. No error leaves: a caller who saw one would enqueue again.

        Args:
            operations: the kind and the id of each.
        """
        if not operations:
            return []
        if self._redis is None:
            return [operation_id for kind, operation_id in operations if not self._through_kombu(kind, operation_id)]
        try:
            with self._redis.pipeline(transaction=False) as pipe:
                for kind, operation_id in operations:
                    queue = self._keys.queue(kind.queue)
                    pipe.lpush(self._keys.queue_key(queue), envelope(kind, queue, operation_id))
                replies = pipe.execute(raise_on_error=False)
        except (RedisError, OSError) as failure:
            replies = [failure] * len(operations)
        return [
            _postponed(operation_id, reply)
            for (_, operation_id), reply in zip(operations, replies, strict=True)
            if isinstance(reply, Exception)
        ]

    def close(self) -> None:
        """Close the connections to a broker of its own."""
        if self._own is not None:
            self._own.close()

    def _through_kombu(self, kind: Kind, operation_id: str) -> bool:
        # Imported here, because a Redis broker needs neither kombu nor Celery.
        from gatepost_core.broker.publishing import publish_recorded  # noqa: PLC0415

        return publish_recorded(
            self._app(),
            kind.task,
            kind.queue,
            operation_id,
            operation_message(operation_id),
            operation_id=operation_id,
        )


def envelope(kind: Kind, queue: str, operation_id: str) -> str:
    """Return an operation's message in the form that kombu stores on a Redis list.

    Args:
        kind: the operation's kind.
        queue: the queue's name.
        operation_id: the operation's id.
    """
    arguments = json.dumps([[], operation_message(operation_id), _NOTHING_FOLLOWS]).encode()
    prepared = _prepared(kind, queue).replace(_ID, operation_id)
    return prepared.replace(_BODY, base64.b64encode(arguments).decode()).replace(_TAG, str(uuid.uuid4()))


@cache
def _prepared(kind: Kind, queue: str) -> str:
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
        "delivery_tag": _TAG,
    }
    return json.dumps(
        {
            "body": _BODY,
            "content-encoding": "utf-8",
            "content-type": "application/json",
            "headers": headers,
            "properties": properties,
        }
    )


def _postponed(operation_id: str, failure: Exception) -> str:
    log_postponed(error=type(failure).__name__, operation_id=operation_id)
    return operation_id
