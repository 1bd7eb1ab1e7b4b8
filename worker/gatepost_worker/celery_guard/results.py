"""Celery's results in a Redis that is full or away: a result that cannot be stored is logged, and the task's message is done with.

Celery lets the error out of the task instead. In a pool of threads nobody catches it: the message is never acknowledged, its place among
those that a worker holds stays taken, and with all of them taken the worker takes no more. The ledger has the outcome anyhow.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import structlog
from celery.backends.redis import RedisBackend, SentinelBackend
from kombu.exceptions import KombuError
from redis.exceptions import RedisError

if TYPE_CHECKING:
    from celery import Celery

_log = structlog.stdlib.get_logger("gatepost.worker")


def install(app: Celery) -> None:
    """Let the app store its results so. For Redis, directly or through Sentinel."""
    module = __name__
    app.loader.override_backends = {
        "redis": f"{module}:EnduringRedis",
        "rediss": f"{module}:EnduringRedis",
        "sentinel": f"{module}:EnduringSentinel",
    }


class _Enduring:
    def store_result(self, task_id: str, result: Any, state: str, *args: Any, **options: Any) -> Any:
        """Store a result, or log that it cannot be stored."""
        try:
            return super().store_result(task_id, result, state, *args, **options)  # type: ignore[misc] # the class it is mixed into has it
        except _NOT_STORED as failure:
            _log.warning("result.not_stored", correlation_id=task_id, state=state, error=type(failure).__name__)
            return result


class EnduringRedis(_Enduring, RedisBackend):
    """Results in Redis."""


class EnduringSentinel(_Enduring, SentinelBackend):
    """Results in a Redis that Sentinel names."""


_NOT_STORED: Final = (RedisError, KombuError, OSError)
