"""Checks whether a Redis server can be used: version, role, commands, eviction. Workers, beat and `gatepost doctor` run it."""

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
    "DEL", "EVALSHA", "EXISTS", "GET", "GETDEL", "HDEL", "HEXISTS", "HGET", "HGETALL", "HINCRBY", "HLEN", "HMGET",
    "HSET", "HSETNX", "LLEN", "LPUSH", "MULTI", "PEXPIRE", "PTTL", "PUBLISH", "RPUSH", "SADD", "SCRIPT", "SET",
    "SISMEMBER", "SREM", "SUBSCRIBE", "TIME", "UNLINK", "XADD", "XINFO", "XRANGE", "XTRIM", "ZADD", "ZCARD", "ZRANGE", "ZREM", "ZREMRANGEBYSCORE", "ZSCORE",
]  # fmt: skip


def require_usable(client: Redis, url: str, *, allow_eviction: bool) -> bool:
    """Check that Gatepost can use a server.

    Args:
        client: the server's client.
        url: the setting that names the server.
        allow_eviction: whether the server may evict data.

    Returns:
        Whether everything was checked. The user may lack permissions.

    Raises:
        Unusable: it cannot be used. The message names the cause and the way out.
        ConfigurationError: it lacks commands, or may evict data.
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
    """Return why a server cannot be used, by its INFO, or None."""
    if version_of(info) < OLDEST_SERVER:
        return OLD
    if int(info.get("cluster_enabled", 0)):
        return CLUSTER
    if info.get("role", "master") != "master":
        return REPLICA
    return None


def version_of(info: Mapping[str, Any]) -> tuple[int, ...]:
    """Return the major and minor version, by INFO. Valkey reports itself there as Redis 7.2."""
    return tuple(int(part) for part in str(info.get("redis_version", "0")).split(".")[:2] if part.isdigit())


def missing_commands(client: Redis) -> list[str]:
    """Return the needed commands that a server lacks; none if it does not tell."""
    found = permitted(lambda: client.execute_command("COMMAND INFO", *NEEDED))  # type: ignore[no-untyped-call] # redis-py has no hint for it
    return [name for name, command in zip(NEEDED, found or (), strict=False) if command is None]


def permitted(ask: Callable[[], Any]) -> Any:
    """Return an answer, or None if the user may not ask or the command was renamed.

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
