"""The certificates of each connection, and refused combinations."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import pytest

from gatepost.errors import ConfigurationError
from gatepost_core.broker.publishing import build_app
from gatepost_core.redis.connections import Tls, connect, tls_of_broker, tls_of_redis
from gatepost_core.settings import Settings

CA, CERTIFICATE, KEY = Path("/ca.pem"), Path("/c.pem"), Path("/k.pem")
REDIS: dict[str, Any] = {
    "redis_url": "rediss://localhost",
    "redis_ca_bundle": CA,
    "redis_certificate": CERTIFICATE,
    "redis_key": KEY,
}


def test_a_url_without_tls_has_none() -> None:
    """As on one machine."""
    settings = Settings(redis_url="redis://localhost")
    app = build_app(settings)

    assert tls_of_redis(settings) is tls_of_broker(settings) is None
    assert not app.conf.broker_use_ssl
    assert not app.conf.redis_backend_use_ssl


@pytest.mark.parametrize("files", [{}, {name: path for name, path in REDIS.items() if name != "redis_url"}], ids=str)
def test_the_servers_certificate_is_always_verified(files: dict[str, Path]) -> None:
    """By redis-py, by kombu and by Celery's results alike, with our files or the system's authorities."""
    settings = Settings(redis_url="rediss://localhost", **files)
    app = build_app(settings)
    client = connect(settings).connection_pool.connection_kwargs

    assert client["ssl_cert_reqs"] == ssl.CERT_REQUIRED
    assert app.conf.broker_use_ssl == app.conf.redis_backend_use_ssl
    assert app.conf.broker_use_ssl["ssl_cert_reqs"] == ssl.CERT_REQUIRED
    assert client.get("ssl_ca_certs") == (str(CA) if files else None)
    assert client.get("ssl_check_hostname", True)


def test_a_separate_broker_has_its_own_files_or_those_of_redis() -> None:
    """RabbitMQ's are named otherwise, and its host's name is checked."""
    own = Settings(**REDIS, broker_url="amqps://localhost", broker_ca_bundle=Path("/other.pem"))
    shared = Settings(**REDIS, broker_url="amqps://localhost")
    plain = Settings(**REDIS, broker_url="amqp://localhost")

    assert tls_of_broker(own) == Tls(Path("/other.pem"))
    assert tls_of_broker(shared) == Tls(CA, CERTIFICATE, KEY)
    assert tls_of_broker(plain) is None
    assert build_app(shared).conf.broker_use_ssl == {
        "cert_reqs": ssl.CERT_REQUIRED,
        "server_hostname": "localhost",
        "ca_certs": str(CA),
        "certfile": str(CERTIFICATE),
        "keyfile": str(KEY),
    }


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"redis_url": "redis://localhost", "redis_ca_bundle": CA}, "GATEPOST_REDIS_URL is without TLS"),
        ({**REDIS, "redis_key": None}, "GATEPOST_REDIS_CERTIFICATE and GATEPOST_REDIS_KEY belong together"),
        ({"broker_url": "amqp://localhost", "broker_ca_bundle": CA}, "GATEPOST_BROKER_URL is without TLS"),
        ({"broker_url": "amqps://localhost", "broker_key": KEY}, "GATEPOST_BROKER_CERTIFICATE and"),
    ],
    ids=["redis in clear", "key missing", "broker in clear", "certificate missing"],
)
def test_what_would_be_less_than_was_meant_is_refused(given: dict[str, Any], says: str) -> None:
    """A named certificate is never ignored on a connection without TLS."""
    with pytest.raises(ConfigurationError, match=says):
        build_app(Settings(**given))
