"""Query options in the URLs of Redis and the broker: only those that every reader treats alike."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from gatepost.errors import ConfigurationError
from gatepost_core.broker.publishing import build_app
from gatepost_core.redis.connections import connect
from gatepost_core.settings import load_settings

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("setting", ["redis_url", "broker_url"])
@pytest.mark.parametrize("scheme", ["redis", "rediss", "sentinel"])
@pytest.mark.parametrize(
    "query",
    [
        "socket_timeout=5",
        "db=0",
        "protocol=3",
        "decode_responses=true",
        "health_check_interval=30",
        "max_connections=10",
        "client_name=gp",
        "ssl_cert_reqs=none&ssl_check_hostname=false",
        "ssl_cert_reqs=required&ssl_check_hostname=false",
        "ssl_cert_reqs=required&ssl_cert_reqs=none",
        "ssl_cert_reqs=",
        "ssl_ca_certs=/etc/ca.pem",
        "nothing",
    ],
)
def test_an_option_that_not_all_take_is_refused_at_the_start(setting: str, scheme: str, query: str) -> None:
    """Kombu may refuse an option that redis-py accepts, and the command would never be sent; verification cannot be turned off."""
    with pytest.raises(ConfigurationError, match=rf"^GATEPOST_{setting.upper()}: must have no option behind a \?"):
        load_settings(**{setting: f"{scheme}://me:secret@host:6379/0?{query}"})


@pytest.mark.parametrize("apart", [False, True], ids=["one Redis", "a broker apart"])
@pytest.mark.parametrize("query", ["?ssl_cert_reqs=required", "?ssl_cert_reqs=CERT_REQUIRED", "?"])
def test_a_url_may_say_that_certificates_are_verified(tmp_path: Path, query: str, apart: bool) -> None:  # noqa: FBT001 - a parameter
    """They are anyway, in redis-py's spelling or in Celery's; our files are kept, by the ledger, the broker and the results."""
    files = {"ssl_ca_certs": tmp_path / "ca", "ssl_certfile": tmp_path / "certificate", "ssl_keyfile": tmp_path / "key"}
    settings = load_settings(
        redis_url=f"rediss://me:secret@host/0{query}",
        broker_url=f"rediss://broker/1{query}" if apart else None,
        redis_ca_bundle=files["ssl_ca_certs"],
        redis_certificate=files["ssl_certfile"],
        redis_key=files["ssl_keyfile"],
    )
    app = build_app(settings)
    backend: Any = app.backend
    with app.connection_for_write() as broker:
        options = [connect(settings).connection_pool.connection_kwargs, backend.connparams, broker.ssl]
    app.close()
    kept = [{name: str(given[name]) for name in files} for given in options]

    assert settings.redis_url.get_secret_value() == "rediss://me:secret@host/0"
    assert settings.broker == ("rediss://broker/1" if apart else "rediss://me:secret@host/0")
    assert [given["ssl_cert_reqs"] for given in options] == [ssl.CERT_REQUIRED] * 3
    assert kept == [{name: str(path) for name, path in files.items()}] * 3


@pytest.mark.parametrize(
    "url",
    [
        "amqp://user:pw@host:5672//",
        "amqps://gate@host/gate",
        "amqp://a//;amqp://b//",
        "pyamqp://h",
        "amqps://h//?heartbeat=30",
        "amqp://a?heartbeat=2.5&login_method=AMQPLAIN;amqp://b?login_method=EXTERNAL",
    ],
)
def test_a_url_that_leads_to_a_rabbitmq_is_taken(url: str) -> None:
    """One or several nodes work; kombu accepts the option, and certificates are verified."""
    settings = load_settings(broker_url=url)
    app = build_app(settings)
    with app.connection_for_write() as broker:
        first = dict(parse_qsl(urlsplit(url.partition(";")[0]).query))
        taken = (broker.heartbeat, broker.login_method)
        tls = broker.ssl
    app.close()

    assert settings.broker == url
    assert taken == (float(first["heartbeat"]) if "heartbeat" in first else None, first.get("login_method"))
    assert not url.startswith("amqps") or tls["cert_reqs"] is ssl.CERT_REQUIRED


@pytest.mark.parametrize("scheme", ["amqp", "amqps", "pyamqp"])
@pytest.mark.parametrize(
    "query",
    [
        "ssl=1",
        "ssl_cert_reqs=none",
        "ssl_cert_reqs=required",
        "connect_timeout=5",
        "frame_max=canary",
        "canary",
        "password=canary",
        "heartbeat=canary",
        "heartbeat=nan",
        "heartbeat=-1",
        "heartbeat=",
        "heartbeat=30&heartbeat=canary",
        "login_method=canary",
    ],
)
def test_an_option_that_kombu_does_not_take_is_refused_at_the_start(scheme: str, query: str) -> None:
    """It would be a TypeError at every message, or TLS that verifies nothing."""
    with pytest.raises(ConfigurationError, match=r"^GATEPOST_BROKER_URL: must have no option behind a \?") as refused:
        load_settings(broker_url=f"{scheme}://a//;{scheme}://b//?{query}")

    assert "canary" not in str(refused.value)
