"""Whether a Redis can be used at all: asked when a worker or beat starts, by `gatepost doctor`, and when a producer's first command fails."""

from __future__ import annotations

import socket
import ssl
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final

from redis.exceptions import ConnectionError, NoPermissionError, RedisError, TimeoutError  # noqa: A004 - redis-py's own

from gatepost_core.errors import ConfigurationError, Unavailable
from gatepost_core.redis import diagnosis as redis_trouble
from gatepost_core.redis.diagnosis import trouble_of
from gatepost_core.redis.errors import named

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from redis import Redis

    from gatepost_core.redis.diagnosis import Trouble

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
_PROBE_S: Final = 2.0
_ANSWERS: Final = (b"+", b"-")


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
    with reaching(client, url):
        info = permitted(client.info)
        missing = missing_commands(client)
    if missing:
        raise ConfigurationError(
            f"Redis lacks {', '.join(missing)}, which Gatepost needs. Commands must not be renamed or disabled: correct its configuration or {url}."
        )
    if info is None:
        return False
    if trouble := flaw_of(info):
        raise named(RedisError(), url=url, trouble=trouble)
    policy = str(info.get("maxmemory_policy", "noeviction"))
    if policy != "noeviction" and not allow_eviction:
        raise ConfigurationError(EVICTION.format(policy=policy))
    return True


def flaw_of(info: Mapping[str, Any]) -> Trouble | None:
    """Return what makes a server unusable, by its INFO; None when nothing does."""
    if version_of(info) < OLDEST_SERVER:
        return redis_trouble.OLD
    if int(info.get("cluster_enabled", 0)):
        return redis_trouble.CLUSTER
    if info.get("role", "master") != "master":
        return redis_trouble.REPLICA
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
        if trouble_of(failure) is redis_trouble.UNKNOWN:
            return None
        raise


@contextmanager
def reaching(client: Redis, url: str) -> Iterator[None]:
    """Name what keeps a client from its server; without an answer, look whether the server speaks TLS and the client does not, or the reverse.

    Raises:
        Unusable: with the cause.
        Unavailable: there is no answer, or it passes.
    """
    error: Unavailable
    try:
        yield
    except RedisError as failure:
        error = named(failure, url=url, trouble=cause_of(client, failure))
    else:
        return
    raise error from None


def cause_of(client: Redis, failure: RedisError) -> Trouble | None:
    """Return the cause of an error, found out by a connection of its own where the error does not say."""
    trouble = trouble_of(failure)
    if trouble is None and isinstance(failure, ConnectionError | TimeoutError):
        return _other_protocol(client.connection_pool)
    return trouble


def _other_protocol(pool: Any) -> Trouble | None:
    where = pool.connection_kwargs
    if "host" not in where:
        return None
    address = (str(where["host"]), int(where.get("port", 6379)))
    with_tls = hasattr(pool.connection_class, "_wrap_socket_with_ssl") or "ssl_cert_reqs" in where
    with suppress(OSError), socket.create_connection(address, timeout=_PROBE_S) as connection:
        if with_tls:
            connection.sendall(b"PING\r\n")
            return redis_trouble.NO_TLS if connection.recv(1) in _ANSWERS else None
        return redis_trouble.NEEDS_TLS if _shakes_hands(connection) else None
    return None


def _shakes_hands(connection: socket.socket) -> bool:
    # Nothing is sent to it: whom the certificate is for does not matter here.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        with context.wrap_socket(connection):
            return True
    except ssl.SSLError as failure:
        # An alert is TLS as well.
        return "ALERT" in str(failure.reason)
