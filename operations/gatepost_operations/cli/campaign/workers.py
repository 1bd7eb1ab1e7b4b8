"""The workers that accept campaigns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gatepost_core.broker.publishing import BROKER_ERRORS, build_app
from gatepost_core.kinds import Queue
from gatepost_core.redis.keys import RedisKeys

if TYPE_CHECKING:
    from gatepost_core.settings import Settings

START_WORKER: Final = "gatepost worker --queues bulk,login --beat"
"""The command that starts a worker for campaigns. Beat's task for the reconciler uses the queue for logins."""
_ASK_S: Final = 1


def count_bulk_workers(settings: Settings) -> int | None:
    """Return the number of workers that accept batches; None when the broker does not answer."""
    app = build_app(settings)
    bulk = RedisKeys(settings.namespace).queue(Queue.BULK)
    try:
        with app.connection_for_write(connect_timeout=_ASK_S) as connection:
            connection.ensure_connection(max_retries=1, timeout=_ASK_S)
            replies = app.control.inspect(timeout=_ASK_S, connection=connection).active_queues() or {}
    except BROKER_ERRORS:
        return None
    finally:
        app.close()
    return sum(any(queue["name"] == bulk for queue in queues) for queues in replies.values())
