"""Checks of Redis and the broker before a worker or beat starts.

A problem that needs a change of configuration stops the start. A temporary one is logged: Celery waits for its broker too.
"""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any, Final

import structlog
from amqp.exceptions import AccessRefused, AMQPError, NotAllowed
from kombu.exceptions import KombuError

from gatepost_core.errors import ConfigurationError, Unavailable, Unusable
from gatepost_core.kinds import Queue
from gatepost_core.redis.check import require_usable
from gatepost_core.redis.connections import connect, connect_to_broker
from gatepost_core.redis.errors import REDIS_URL, diagnosed_errors
from gatepost_core.redis.keys import RedisKeys

if TYPE_CHECKING:
    from celery import Celery
    from redis import Redis

    from gatepost_core.settings import Settings

BROKER_URL: Final = "GATEPOST_BROKER_URL"
_CONNECT_S: Final = 5
_log = structlog.stdlib.get_logger("gatepost.worker")


def check_ledger(client: Redis, settings: Settings) -> bool:
    """Check the ledger's Redis, and return whether it answered.

    Raises:
        ConfigurationError: Redis cannot be used; the message says why.
    """
    return _check(client, REDIS_URL, settings)


def check_broker(app: Celery, settings: Settings) -> None:
    """Check the broker, unless it is the ledger's Redis.

    Raises:
        ConfigurationError: the broker cannot be used; the message says why.
    """
    if settings.broker.startswith("amqp"):
        _check_rabbitmq(app)
        return
    client = connect_to_broker(settings)
    if client is not None:
        with closing(client):
            _check_queue(client, BROKER_URL, settings)


def check_beat(app: Celery, settings: Settings) -> None:
    """Check the broker, the only server that beat connects to; it may be the ledger's Redis. Raises as `check_broker` does."""
    check_broker(app, settings)
    if settings.broker == settings.redis_url.get_secret_value():
        with closing(connect(settings)) as client:
            _check_queue(client, REDIS_URL, settings)


def _check_queue(client: Redis, url: str, settings: Settings) -> None:
    keys = RedisKeys(settings.namespace)
    if _check(client, url, settings):
        with diagnosed_errors(client, url):
            client.llen(keys.queue_key(keys.queue(Queue.LOGIN)))


def _check(client: Redis, url: str, settings: Settings) -> bool:
    try:
        if not require_usable(client, url, allow_eviction=settings.allow_eviction):
            _log.warning("redis.not_checked", setting=url, error="the user may not call INFO")
    except Unusable:
        raise
    except Unavailable as failure:
        _log.warning("redis.not_checked", setting=url, error=str(failure))
        return False
    return True


def _check_rabbitmq(app: Celery) -> None:
    problem = None
    try:
        connection: Any = app.connection_for_write(connect_timeout=_CONNECT_S)
        with connection:
            connection.connect()
    except AccessRefused:
        problem = "RabbitMQ refuses the user name or password"
    except NotAllowed:
        problem = "RabbitMQ has no such virtual host, or this user may not enter it"
    except (AMQPError, KombuError, OSError) as failure:
        _log.warning("broker.not_checked", setting=BROKER_URL, error=type(failure).__name__)
    if problem is not None:
        raise ConfigurationError(f"{problem}; correct {BROKER_URL}.")
