"""Check whether a Redis server can be used: version, role, commands, eviction. Workers and beat do it at their start, and so does `gatepost doctor`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from redis.exceptions import NoPermissionError, RedisError

from gatepost_core.errors import ConfigurationError
from gatepost_core.redis.errors import CLUSTER, OLD, REPLICA, UNKNOWN, cause_of, diagnosed_errors, translate

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from redis import Redis

    from gatepost_core.redis.errors import Cause

OLDEST_SERVER: Final = (7, 0)
EVICTION: Final = (
    "Redis may evict what Gatepost stored (maxmemory-policy {policy}), and messages could be sent twice. "
    "Set maxmemory-policy noeviction, or GATEPOST_ALLOW_EVICTION=1 to accept that."
)
NEEDED: Final = [
    "DEL",
    "EVALSHA",
    "EXISTS",
    "GET",
    "GETDEL",
    "HDEL",
    "HEXISTS",
    "HGET",
    "HGETALL",
    "HINCRBY",
    "HLEN",
    "HMGET",
    "HSET",
    "HSETNX",
    "LLEN",
    "LPUSH",
    "MULTI",
    "PEXPIRE",
    "PTTL",
    "PUBLISH",
    "RPUSH",
    "SADD",
    "SCRIPT",
    "SET",
    "SREM",
    "SUBSCRIBE",
    "TIME",
    "UNLINK",
    "ZADD",
    "ZCARD",
    "ZRANGE",
    "ZREM",
    "ZREMRANGEBYSCORE",
    "ZSCORE",
]


def require_usable(client: Redis, url: str, *, allow_eviction: bool) -> bool:
    """Make sure that a server is one that Gatepost can work with.

    Args:
        client: of the server.
        url: the setting that names it.
        allow_eviction: whether a server that evicts is taken.

    Returns:
        Whether everything could be looked at; the user may lack the right to.

    Raises:
        Unusable: says why, and what to do.
        ConfigurationError: it evicts.
        Unavailable: it did not answer.
    """
    with diagnosed_errors(client, url):
        info = permitted(client.info)
        missing = missing_commands(client)
    if missing:
        raise ConfigurationError(
            f"Redis lacks {', '.join(missing)}, which Gatepost needs. Commands must not be renamed or disabled: correct its configuration or {url}."
        )
    if info is None:
        return False
    if cause := defect_of(info):
        raise translate(RedisError(), url=url, cause=cause)
    policy = str(info.get("maxmemory_policy", "noeviction"))
    if policy != "noeviction" and not allow_eviction:
        raise ConfigurationError(EVICTION.format(policy=policy))
    return True


def defect_of(info: Mapping[str, Any]) -> Cause | None:
    """Return what makes a server unusable, by its INFO; None when nothing does."""
    if version_of(info) < OLDEST_SERVER:
        return OLD
    if int(info.get("cluster_enabled", 0)):
        return CLUSTER
    if info.get("role", "master") != "master":
        return REPLICA
    return None


def version_of(info: Mapping[str, Any]) -> tuple[int, ...]:
    """Return major and minor version, by INFO. Valkey calls itself Redis 7.2 for clients that ask by that name."""
    return tuple(int(part) for part in str(info.get("redis_version", "0")).split(".")[:2] if part.isdigit())


def missing_commands(client: Redis) -> list[str]:
    """Return the commands that a server does not know; none when it does not say."""
    found = permitted(lambda: client.execute_command("COMMAND INFO", *NEEDED))  # type: ignore[no-untyped-call] # redis-py has no hint for it
    return [name for name, command in zip(NEEDED, found or (), strict=False) if command is None]


def permitted(ask: Callable[[], Any]) -> Any:
    """Return an answer, or None when the user may not ask, or the question itself was renamed.

    Raises:
        RedisError: anything else.
    """
    try:
        return ask()
    except NoPermissionError:
        return None
    except RedisError as failure:
        if cause_of(failure) is UNKNOWN:
            return None
        raise
