"""URLs of Redis, of the broker and of a proxy: a malformed one is named by its setting, and nothing of it is repeated."""

from __future__ import annotations

import json
import traceback
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
import structlog
from celery.app.utils import filter_hidden_settings
from hypothesis import given
from hypothesis import strategies as st

from gatepost.errors import ConfigurationError
from gatepost_core.broker.publishing import build_app
from gatepost_core.redis.connections import connect
from gatepost_core.sealing import Key
from gatepost_core.settings import Tenant, load_settings
from gatepost_operations.cli.entry import main

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ODD = "canary/#?@:;[]% ü&=+,'\"\\$"
MALFORMED = {
    "redis://user:canary/ss#word@host:6379": "%2F",
    "redis://user:12/canary@host:6379/0": "%2F",
    "redis://user:12?canary@host:6379/0": "%3F",
    "redis://user:12#canary@host:6379/0": "%23",
    "redis://:canary#0@host/0": "%23",
    "redis://user:canary[1@host/0": "%5B",
    "redis://user:canary@host:canary/0": "port",
    "redis://user:canary@host:65536/0": "port",
    "redis://user:canary@host:0/0": "port",
    "redis://:canary": "port",
    "redis://user:canary%40host:6379/0": "port",
    "redis://user:canary x@host:6379/0": "space",
    "redis://user:canary@host:6379/0\n": "space",
    "redis://user:canary\x00@host:6379/0": "space",
    "redis://user:canary@/0": "host",
    "redis://user:canary@ho..st/0": "host",
    "redis://user:canary@can<canary/0": "host",
    "redis://user:canary@[canary]/0": "taken apart|host",
    "redis://user:canary\u2100@host/0": "taken apart",
    "redis://user:canary@host:6379/canary": "database",
    "redis://user@host/0?password=canary": "before the host",
    "redis://user:canary%ff@host:6379/0": "UTF-8",
    "redis://canary%c3:x@host:6379/0": "UTF-8",
    "rediss://:canary%ED%A0%80@host:6379/0": "UTF-8",
    "sentinel://:canary%80@a:1;sentinel://b:2/0": "UTF-8",
    "redis://:p@host/0?canary=x": "no option",
    "redis://:p@host/0?ssl_cert_reqs=required": "rediss://",
    "rediss://:p@host/0?ssl_cert_reqs=canary": "ssl_cert_reqs=required",
    "sentinel://a:1?canary;sentinel://b:2/0": "no option",
    "user:canary@host:6379/0": "must begin with",
    "canary": "must begin with",
    "http://user:canary@host": "must begin with",
    "REDIS://user:canary@host": "must begin with",
    "unix://canary@/tmp/redis.sock": "must begin with",
    "sentinel://:canary@a:1/many": "database",
    "sentinel://:canary;x@a:1;sentinel://b:2/0": "%3B",
    "sentinel://:canary@a:1;b:2/0": "sentinel://",
    "sentinel://:canary@a:1;redis://b:2/0": "sentinel://",
    "sentinel://:canary@a:1;sentinel://b:canary/0": "port",
}


@pytest.fixture
def _configured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Everything but the URLs, in an empty directory."""
    monkeypatch.chdir(tmp_path)
    for name, value in {
        "GATEPOST_SEALING_KEYS": Key("test", bytes(32)).reveal(),
        "GATEPOST_FINGERPRINT_KEY": "fingerprints" * 3,
        "AUTH0_DOMAIN": "tenant.example.com",
        "AUTH0_CLIENT_ID": "client",
        "AUTH0_CLIENT_SECRET": "secret",
    }.items():
        monkeypatch.setenv(name, value)
    yield
    structlog.reset_defaults()


@pytest.mark.parametrize("setting", ["redis_url", "broker_url"])
@pytest.mark.parametrize(("url", "says"), MALFORMED.items())
def test_a_malformed_url_is_named_by_its_setting_alone(setting: str, url: str, says: str) -> None:
    """The error has the problem and the way out; neither the error nor its cause contains a part of the password."""
    with pytest.raises(ConfigurationError, match=rf"^GATEPOST_{setting.upper()}: .*({says})") as refused:
        load_settings(**{setting: url})
    whole = "".join(traceback.format_exception(refused.value)) + repr(refused.value.__context__)

    assert "canary" not in whole
    assert str(refused.value).isprintable()


@pytest.mark.parametrize(
    "url",
    [
        "amqp://user:canary/ss@host//",
        "amqps://:canary@host:port/v",
        "kafka://canary@host",
        "amqp://u:canary%fc@host//",
        "amqp://host/canary%ff",
    ],
)
def test_a_malformed_url_of_a_broker_is_named_without_its_password(url: str) -> None:
    """RabbitMQ's as well."""
    with pytest.raises(ConfigurationError, match=r"^GATEPOST_BROKER_URL: ") as refused:
        load_settings(broker_url=url)

    assert "canary" not in str(refused.value)


@pytest.mark.parametrize(
    "url",
    [
        "http://user:canary/ss@proxy",
        "user:canary#s@proxy:3128",
        "ftp://canary@proxy",
        "http://:canary@",
        "p:canary",
        "http://u:canary%ff@p",
        "u:canary%E2%82%AC@p",
        "u:canary\u20ac@p",
    ],
)
def test_a_malformed_url_of_a_proxy_is_named_without_its_password(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    """The environment's, and a table's."""
    table = {"name": "globex", "domain": "a.example.com", "client_id": "a", "client_secret": "a", "proxy": url}
    monkeypatch.setenv("AUTH0_DOMAIN", "tenant.example.com")
    monkeypatch.setenv("AUTH0_CLIENT_ID", "client")
    monkeypatch.setenv("AUTH0_CLIENT_SECRET", "secret")
    monkeypatch.setenv("AUTH0_PROXY", url)

    with pytest.raises(ConfigurationError, match=r"^AUTH0_PROXY: ") as own:
        load_settings().all_tenants()
    with pytest.raises(ConfigurationError, match=r"^GATEPOST_TENANTS\.0\.PROXY: ") as of_a_table:
        load_settings(tenants=[table])
    assert "canary" not in f"{own.value} {of_a_table.value}"


@pytest.mark.parametrize(
    "url",
    ["http://u:p%40@proxy:3128/", "http://%C3%BC:ü@proxy", "socks:3128", "u:p@proxy", "http://[::1]:1080", "https://p"],
)
def test_a_proxys_url_is_taken_as_requests_takes_it(url: str) -> None:
    """With a scheme or without."""
    made = Tenant(domain="a.example.com", client_id="a", client_secret="a", proxy=url)  # type: ignore[arg-type]

    assert made.proxy is not None
    assert made.proxy.get_secret_value() == url


@pytest.mark.usefixtures("_configured")
@pytest.mark.parametrize("name", ["base_url", "mtls_base_url"])
@pytest.mark.parametrize(
    "url", ["https://user:canary@host", "https://canary@host/", "https://u:canary/x@host", "u:canary@host"]
)
def test_a_base_url_has_no_password_in_it(monkeypatch: pytest.MonkeyPatch, name: str, url: str) -> None:
    """It is shown with the settings, and so is a table's."""
    table = {"name": "globex", "domain": "a.example.com", "client_id": "a", "client_secret": "a", name: url}
    with pytest.raises(
        ConfigurationError, match=rf"^GATEPOST_TENANTS\.0\.{name.upper()}: must be without user"
    ) as of_a_table:
        load_settings(tenants=[table])
    monkeypatch.setenv(f"AUTH0_{name.upper()}", url)
    with pytest.raises(ConfigurationError, match=rf"^AUTH0_{name.upper()}: must be without user") as own:
        load_settings()

    assert "canary" not in f"{own.value} {of_a_table.value}"


@pytest.mark.usefixtures("_configured")
def test_a_base_url_may_be_empty_or_have_a_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """And an @ in it, when that is quoted."""
    monkeypatch.setenv("AUTH0_BASE_URL", "https://gateway:8080/%40auth0")
    monkeypatch.setenv("AUTH0_MTLS_BASE_URL", "")
    tenant = load_settings().tenant_named(None)

    assert tenant.base_url == "https://gateway:8080/%40auth0"
    assert not tenant.mtls_base_url


@pytest.mark.usefixtures("_configured")
@pytest.mark.parametrize("given", ["variable", ".env", "file", "command"])
def test_an_empty_broker_or_proxy_is_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, given: str) -> None:
    """Compose writes an unset variable as empty, and a mounted secret can be empty; this includes tables."""
    empty = tmp_path / "empty"
    empty.write_text("\n")
    if given == ".env":
        (tmp_path / ".env").write_text("GATEPOST_BROKER_URL=\nAUTH0_PROXY=\n")
    else:
        suffix, value = {"variable": ("", ""), "file": ("_FILE", str(empty)), "command": ("_COMMAND", "true")}[given]
        monkeypatch.setenv(f"GATEPOST_BROKER_URL{suffix}", value)
        monkeypatch.setenv(f"AUTH0_PROXY{suffix}", value)
    table = {"domain": "a.example.com", "client_id": "a", "client_secret": "a"}
    tables = [{**table, "name": "globex", "proxy": ""}, {**table, "name": "acme", "proxy_file": str(empty)}]
    settings = load_settings(env_file=".env", redis_url="redis://here/0", tenants=tables)

    assert (settings.broker_url, settings.auth0_proxy) == (None, None)
    assert settings.broker == "redis://here/0"
    assert {name: tenant.proxy for name, tenant in settings.all_tenants().items()} == {
        "default": None,
        "globex": None,
        "acme": None,
    }


@pytest.mark.usefixtures("_configured")
def test_an_empty_url_of_redis_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty URL never selects the default Redis by mistake."""
    monkeypatch.setenv("GATEPOST_REDIS_URL", "")

    with pytest.raises(ConfigurationError, match=r"^GATEPOST_REDIS_URL: must begin with redis://"):
        load_settings()


@pytest.mark.parametrize("scheme", ["socks4", "socks4a", "socks5", "socks5h", "SOCKS5"])
def test_a_socks_proxy_is_refused_at_the_start(monkeypatch: pytest.MonkeyPatch, scheme: str) -> None:
    """Without a package that Gatepost does not bring, every operation would end as `rejected`."""
    monkeypatch.setenv("AUTH0_DOMAIN", "tenant.example.com")
    monkeypatch.setenv("AUTH0_CLIENT_ID", "client")
    monkeypatch.setenv("AUTH0_CLIENT_SECRET", "secret")
    monkeypatch.setenv("AUTH0_PROXY", f"{scheme}://user:canary@proxy:1080")

    with pytest.raises(ConfigurationError, match=r"^AUTH0_PROXY: only http:// and https:// proxies") as refused:
        load_settings().all_tenants()
    assert "canary" not in str(refused.value)


@pytest.mark.parametrize(
    "url",
    [
        "redis://127.0.0.1:6379/0",
        "redis://redis",
        "redis://my_service.internal.:6379/",
        "rediss://[::1]:6379/15",
        "redis://:p@ss:word%zz@host",
        "sentinel://a;sentinel://[::1]:4/2",
        "redis://bücher.example/1",
    ],
)
def test_a_url_that_leads_to_a_redis_is_taken(url: str) -> None:
    """As redis-py and kombu take it."""
    settings = load_settings(redis_url=url)

    assert settings.redis_url.get_secret_value() == url
    assert connect(settings) is not None


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20))
def test_any_password_works_when_it_is_quoted(secret: str) -> None:
    """It reaches the ledger's client, the broker and the results as it is; what Celery shows of the URLs has none of it."""
    password = f"canary{secret}"
    quoted = quote(password, safe="")
    settings = load_settings(redis_url=f"redis://me:{quoted}@h:6379/0", broker_url=f"amqp://me:{quoted}@h:5672//")
    app = build_app(settings)
    backend: Any = app.backend

    assert connect(settings).connection_pool.connection_kwargs["password"] == password
    assert backend.connparams["password"] == password
    with app.connection_for_write() as broker:
        assert broker.password == password
        assert "canary" not in broker.as_uri()
    assert "canary" not in backend.as_uri()
    assert "canary" not in str(filter_hidden_settings(dict(app.conf)))
    app.close()


@pytest.mark.parametrize(
    "url", ["sentinel://me:{}@a:1;sentinel://b:2/3", "redis://me:{}@h/0", "amqp://me:{0}@a//;amqp://me:{0}@b//"]
)
def test_what_celery_shows_of_a_url_has_no_password(url: str) -> None:
    """Its banner, its log and its answer to Flower: of every server, whatever the password is made of."""
    whole = url.format(quote(ODD, safe=""))
    app = build_app(load_settings(**({"broker_url": whole} if url.startswith("amqp") else {"redis_url": whole})))
    backend: Any = app.backend
    with app.connection_for_write() as broker:
        shown = [broker.as_uri(), backend.as_uri(), str(filter_hidden_settings(dict(app.conf))), app.conf.humanize()]
        assert broker.password == ODD
    app.close()

    assert "canary" not in "".join(shown)


@pytest.mark.usefixtures("_configured")
@pytest.mark.parametrize("variable", ["GATEPOST_REDIS_URL", "GATEPOST_BROKER_URL"])
@pytest.mark.parametrize(
    "command",
    [["doctor", "--offline"], ["doctor", "--json"], ["health"], ["status", "x"], ["--debug", "campaign", "list"]],
)
def test_no_command_shows_a_part_of_a_malformed_url(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], variable: str, command: list[str]
) -> None:
    """Exit code 4, and the variable."""
    monkeypatch.setenv(variable, "redis://user:canary/ss#word@host:6379")
    code = main(command)
    seen = capsys.readouterr()

    assert code == 4
    assert variable in seen.out + seen.err
    assert "canary" not in seen.out + seen.err
    assert "word@host" not in seen.out + seen.err


@pytest.mark.usefixtures("_configured")
def test_a_url_of_a_worker_that_cannot_be_asked_is_a_wrong_field(capsys: pytest.CaptureFixture[str]) -> None:
    """It may have a password too."""
    codes = [
        main(["health", "--json", "--url", url]) for url in ("http://u:canary@w:port/", "http://u:canary@[w/", "w")
    ]
    documents = [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    assert codes == [2, 2, 2]
    assert {one["error"]["problems"][0]["field"] for one in documents} == {"url"}
    assert "canary" not in str(documents)
