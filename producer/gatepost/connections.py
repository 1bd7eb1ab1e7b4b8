"""Redis clients with time-outs, the same everywhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import redis
import redis.asyncio

from gatepost.ledger import Ledger

if TYPE_CHECKING:
    from gatepost.settings import Settings

_OPTIONS: Final[dict[str, Any]] = {
    "socket_timeout": 10,
    "socket_connect_timeout": 5,
    "socket_keepalive": True,
    "health_check_interval": 25,
    "protocol": 2,
}


def connect(settings: Settings) -> redis.Redis:
    """Return a client of the ledger's Redis; it connects when first used."""
    return redis.Redis.from_url(settings.redis_url.get_secret_value(), **_OPTIONS)


def connect_async(settings: Settings) -> redis.asyncio.Redis:
    """Return an asyncio client of the ledger's Redis; it connects when first used."""
    return redis.asyncio.Redis.from_url(settings.redis_url.get_secret_value(), **_OPTIONS)


def ledger_at(client: redis.Redis, settings: Settings) -> Ledger:
    """Return the ledger behind a client."""
    return Ledger(
        client,
        record_lifetime_s=settings.record_lifetime,
        result_lifetime_s=settings.result_lifetime,
        republish_after_s=settings.republish_after,
    )
