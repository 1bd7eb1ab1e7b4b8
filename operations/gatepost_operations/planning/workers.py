"""The workers that accept campaigns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gatepost_core.broker.publishing import BROKER_ERRORS, build_app, connection_for_questions
from gatepost_core.errors import Unavailable
from gatepost_core.kinds import Queue
from gatepost_core.redis.errors import broker_error
from gatepost_core.redis.keys import RedisKeys

if TYPE_CHECKING:
    from gatepost_core.settings import Settings

START_WORKER: Final = "gatepost worker --queues bulk,login --beat"
"""The command that starts a worker for campaigns. Beat's task for the reconciler uses the queue for logins."""
_ASK_S: Final = 1


def count_bulk_workers(settings: Settings) -> int | None:
    """Return the number of workers that accept batches; None when the broker does not answer or refuses the question."""
    names = bulk_workers(settings)
    return None if names is None else len(names)


def bulk_workers(settings: Settings, *, answer_within_s: float = _ASK_S) -> frozenset[str] | None:
    """Return the names of the workers that accept batches; None when the broker does not answer.

    Args:
        settings: the configuration.
        answer_within_s: seconds in which a worker must answer.
    """
    bulk = RedisKeys(settings.namespace).queue(Queue.BULK)
    try:
        found = queues_by_worker(settings, answer_within_s=answer_within_s)
    except Unavailable:
        return None
    return frozenset(name for name, queues in found.items() if bulk in queues)


def queues_by_worker(settings: Settings, *, answer_within_s: float) -> dict[str, list[str]]:
    """Ask all workers which queues they serve. The parameters are those of `bulk_workers`.

    Raises:
        Unavailable: the broker did not answer, or refused the question.
    """
    app = build_app(settings)
    try:
        with connection_for_questions(app, _ASK_S) as connection:
            connection.ensure_connection(max_retries=1, timeout=_ASK_S)
            replies = app.control.inspect(timeout=answer_within_s, connection=connection).active_queues() or {}
    except BROKER_ERRORS as failure:
        raise broker_error(failure) from None
    finally:
        app.close()
    return {name: sorted(queue["name"] for queue in queues) for name, queues in sorted(replies.items())}
