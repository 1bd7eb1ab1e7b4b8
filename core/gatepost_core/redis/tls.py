"""TLS to Redis and the broker: trusted authorities and the client's certificate. Certificates and host names are always verified."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from gatepost_core.errors import ConfigurationError

if TYPE_CHECKING:
    from pathlib import Path

    from gatepost_core.settings import Settings


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
