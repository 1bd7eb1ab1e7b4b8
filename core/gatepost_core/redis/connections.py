"""Redis clients with the same timeouts everywhere: direct, over TLS, or through Sentinel.

TLS to the broker is configured here too. Certificates and host names are always verified.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote, urlsplit

import redis
import redis.sentinel
from redis.backoff import ExponentialWithJitterBackoff, NoBackoff
from redis.exceptions import ConnectionError  # noqa: A004 - redis-py's own
from redis.retry import Retry

from gatepost_core.errors import ConfigurationError
from gatepost_core.redis.errors import REPEATED

if TYPE_CHECKING:
    from pathlib import Path

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


@dataclass(frozen=True, slots=True)
class Tls:
    """Files in PEM form. Without a CA bundle, the system's authorities are trusted. Without a certificate, the client shows none."""

    ca_bundle: Path | None = None
    certificate: Path | None = None
    key: Path | None = None

    def of_redis_client(self) -> dict[str, Any]:
        """Return the options for redis-py, and for kombu and Celery with Redis."""
        files = {"ssl_ca_certs": self.ca_bundle, "ssl_certfile": self.certificate, "ssl_keyfile": self.key}
        # Celery requires it; redis-py also checks the host name.
        return {"ssl_cert_reqs": ssl.CERT_REQUIRED, **_named(files)}

    def of_amqp(self, url: str) -> dict[str, Any]:
        """Return the options for py-amqp to connect to this URL."""
        files = {"ca_certs": self.ca_bundle, "certfile": self.certificate, "keyfile": self.key}
        # The host name to verify. kombu would replace localhost by 127.0.0.1. With several brokers, only kombu knows which one is used.
        host = None if ";" in url else urlsplit(url).hostname
        return {"cert_reqs": ssl.CERT_REQUIRED, "server_hostname": host, **_named(files)}


def tls_of_redis(settings: Settings) -> Tls | None:
    """Return the TLS settings of the ledger's Redis and its Sentinels, or None for a URL without TLS.

    Raises:
        ConfigurationError: files are configured for a connection without TLS, or a certificate or its key is missing.
    """
    files = Tls(settings.redis_ca_bundle, settings.redis_certificate, settings.redis_key)
    return _checked("REDIS", settings.redis_url.get_secret_value(), files)


def tls_of_broker(settings: Settings) -> Tls | None:
    """Return the TLS settings of the broker: its own files, or those of the ledger's Redis. Raises as `tls_of_redis` does."""
    if settings.broker_url is None:
        return tls_of_redis(settings)
    own = Tls(settings.broker_ca_bundle, settings.broker_certificate, settings.broker_key)
    if own == Tls() and _is_tls(settings.broker):
        own = Tls(settings.redis_ca_bundle, settings.redis_certificate, settings.redis_key)
    return _checked("BROKER", settings.broker, own)


def _checked(name: str, url: str, files: Tls) -> Tls | None:
    if (files.certificate is None) != (files.key is None):
        raise ConfigurationError(f"GATEPOST_{name}_CERTIFICATE and GATEPOST_{name}_KEY belong together; one is missing")
    # A Sentinel URL cannot ask for TLS, so the files do.
    if _is_tls(url) or (url.startswith("sentinel://") and files != Tls()):
        return files
    if files != Tls():
        # Never fall back to plaintext.
        raise ConfigurationError(
            f"GATEPOST_{name}_URL is without TLS, but certificates are named; write rediss:// or amqps://"
        )
    return None


def _is_tls(url: str) -> bool:
    return url.startswith(("rediss://", "amqps://"))


def _named(files: dict[str, Path | None]) -> dict[str, str]:
    return {name: str(path) for name, path in files.items() if path is not None}
