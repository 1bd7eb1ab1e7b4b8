"""Redis clients with the same timeouts everywhere: direct, over TLS, or through Sentinel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote, urlsplit

import redis
import redis.sentinel
from redis.backoff import ExponentialWithJitterBackoff, NoBackoff
from redis.exceptions import ConnectionError  # noqa: A004 - redis-py's own
from redis.retry import Retry

from gatepost_core.errors import ConfigurationError
from gatepost_core.redis.errors import REPEATED
from gatepost_core.redis.tls import tls_of_broker, tls_of_redis

if TYPE_CHECKING:
    from gatepost_core.redis.tls import Tls
    from gatepost_core.settings import Settings

# Without these, a half-open connection blocks its caller forever.
SOCKETS: Final[dict[str, Any]] = {
    "socket_timeout": 10,
    "socket_connect_timeout": 5,
    "socket_keepalive": True,
    "health_check_interval": 25,
}
MOST_CONNECTIONS: Final = 100
# Seconds.
_FREE_S: Final = 10
# A client made from a URL does not repeat commands, and after a restart of Redis all connections of its pool are dead.
# Timeouts are not retried.
REPEATS: Final = 3
_PAUSES: Final = ExponentialWithJitterBackoff(base=0.05, cap=0.5)
_REPEATED: Final = (ConnectionError,)
_OPTIONS: Final[dict[str, Any]] = {**SOCKETS, "protocol": 2}
_SENTINEL: Final = "sentinel://"


class NotingRetry(Retry):
    """Marks an error if the call was tried before, and so may have been carried out."""

    def call_with_retry(self, do: Any, fail: Any, *args: Any, **options: Any) -> Any:
        """Call, and repeat after a lost connection."""
        failures = 0

        def failed(*about: Any) -> Any:
            nonlocal failures
            failures += 1
            return fail(*about)

        try:
            return super().call_with_retry(do, failed, *args, **options)
        except redis.RedisError as error:
            if failures:
                setattr(error, REPEATED, True)
            raise


def connect(settings: Settings, *, most: int = MOST_CONNECTIONS, repeats: int = REPEATS) -> redis.Redis:
    """Return a client of the ledger's Redis. It connects on first use.

    Args:
        settings: the configuration.
        most: most connections. Further callers wait for a free one.
        repeats: how often a command is repeated after its connection broke.

    Raises:
        ConfigurationError: the URL is malformed.
    """
    url = settings.redis_url.get_secret_value()
    options = {
        **_OPTIONS,
        "retry": NotingRetry(_PAUSES, repeats, supported_errors=_REPEATED),
        "max_connections": most,
        "timeout": _FREE_S,
    }
    if url.startswith(_SENTINEL):
        return _master(url, settings, options)
    client = redis.Redis(connection_pool=_pool(url, settings, options))
    client.auto_close_connection_pool = True
    return client


def connect_to_broker(settings: Settings) -> redis.Redis | None:
    """Return a client of the broker's Redis. Return None for RabbitMQ, for Sentinels, and if the ledger's Redis is the broker.

    Raises:
        ConfigurationError: the URL is malformed.
    """
    url = settings.broker
    if url == settings.redis_url.get_secret_value() or not url.startswith(("redis://", "rediss://")):
        return None
    tls = tls_of_broker(settings)
    retry = NotingRetry(_PAUSES, REPEATS, supported_errors=_REPEATED)
    client: redis.Redis = redis.Redis.from_url(
        url, retry=retry, **_OPTIONS, **({} if tls is None else tls.of_redis_client())
    )
    return client


def _pool(url: str, settings: Settings, options: dict[str, Any]) -> redis.BlockingConnectionPool:
    tls = tls_of_redis(settings)
    try:
        return redis.BlockingConnectionPool.from_url(url, **options, **({} if tls is None else tls.of_redis_client()))
    except ValueError:
        # redis-py's text repeats the URL, which may hold a password.
        raise ConfigurationError("GATEPOST_REDIS_URL must be a redis://, rediss:// or sentinel:// URL") from None


class _SentinelPool(redis.sentinel.SentinelConnectionPool, redis.BlockingConnectionPool):
    """A Sentinel pool that waits for a free connection."""


def _master(url: str, settings: Settings, options: dict[str, Any]) -> redis.Redis:
    hosts, of_the_url = _sentinels(url)
    tls = tls_of_redis(settings)
    sentinel: Any = redis.sentinel.Sentinel
    found = sentinel(hosts, sentinel_kwargs=sockets_of_sentinels(tls), **of_the_url, **_spoken(tls))
    client: redis.Redis = found.master_for(settings.sentinel_master, connection_pool_class=_SentinelPool, **options)
    return client


def sockets_of_sentinels(tls: Tls | None) -> dict[str, Any]:
    """Return the options for connections to the Sentinels, for redis-py, kombu and Celery. No retries: there are other Sentinels."""
    return {**SOCKETS, "retry": Retry(NoBackoff(), 0), **_spoken(tls)}


def _spoken(tls: Tls | None) -> dict[str, Any]:
    # Sentinel URLs have no scheme for TLS, so `ssl` asks for it.
    return {} if tls is None else {"ssl": True, **tls.of_redis_client()}


def of_all_sentinels(url: str) -> str:
    """Return a Sentinel URL with user, password and database at every Sentinel. Other URLs stay as they are.

    kombu and Celery read them at the first Sentinel they use.
    """
    if not url.startswith(_SENTINEL):
        return url
    parts = url.split(";")
    user = parts[0].removeprefix(_SENTINEL).rpartition("@")[:2]
    database = urlsplit(parts[-1]).path
    return ";".join(f"{_SENTINEL}{''.join(user)}{_host_of(part)}{database}" for part in parts)


def _host_of(sentinel: str) -> str:
    return urlsplit(sentinel).netloc.rpartition("@")[2]


def _sentinels(url: str) -> tuple[list[tuple[str, int]], dict[str, Any]]:
    """Read `sentinel://[user:password@]host:port[;sentinel://host:port …][/database]`."""
    parts = [urlsplit(part) for part in url.split(";")]
    try:
        hosts = [(part.hostname or "", part.port or 26379) for part in parts]
        database = int(parts[-1].path.strip("/") or 0)
    except ValueError:
        raise ConfigurationError(
            "GATEPOST_REDIS_URL must name sentinels as sentinel://host:port;sentinel://host:port/0"
        ) from None
    credentials = {"username": parts[0].username, "password": parts[0].password}
    given = {name: unquote(value) for name, value in credentials.items() if value}
    return hosts, {"db": database, **given}
