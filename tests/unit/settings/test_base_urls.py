"""Requests to Auth0 go over TLS, to this machine, or in clear if that was allowed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gatepost.errors import ConfigurationError
from gatepost_core.settings import Settings, load_settings
from gatepost_core.settings.cleartext import cleartext_servers, cleartext_settings

if TYPE_CHECKING:
    from pathlib import Path

TABLE = {"name": "globex", "domain": "a.example.com", "client_id": "a", "client_secret": "a"}
NAMES = ("base_url", "mtls_base_url")
REFUSED = [
    "ftp://host",
    "javascript:alert(1)",
    "file:///etc/passwd",
    "ws://host",
    "//host",
    "host",
    "host:443",
    "HTTPS//host",
    "https:/host",
    "https:host",
    "https://",
    "https:///path",
    "https://ho st",
    " https://host",
    "https://host ",
    "https://host/a b",
    "https://host\r\nx-evil: 1",
    "https://host/\r\n",
    "https://host\t",
    "https://host\x00",
    "https://host?x=1",
    "https://host/?",
    "https://host#x",
    "https://host:0",
    "https://host:99999",
    "https://host:port",
    "https://ho..st",
    "https://[::1",
    "https://host\\@evil.example",
    "https://user:pass@host",
]
IN_CLEAR = [
    "http://host",
    "http://host:8080/path",
    "http://localhost.example.com",
    "http://notlocalhost",
    "http://127.0.0.1.example.com",
    "http://10.0.0.1",
    "http://0.0.0.0:4430",
    "http://2130706433",
    "http://[2001:db8::1]",
]
TAKEN = [
    "",
    "https://host",
    "https://host:8443/a/%40b/",
    "https://[2001:db8::1]:8443",
    "http://localhost:4430",
    "http://mtls.localhost:4430",
    "http://127.0.0.1:1",
    "http://127.8.9.10",
    "http://[::1]:4430",
]


@pytest.fixture(autouse=True)
def _configured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A tenant in the environment, in an empty directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AUTH0_DOMAIN", "tenant.example.com")
    monkeypatch.setenv("AUTH0_CLIENT_ID", "client")
    monkeypatch.setenv("AUTH0_CLIENT_SECRET", "secret")


def of_environment(monkeypatch: pytest.MonkeyPatch, name: str, url: str) -> Settings:
    """Settings with the URL in the environment; a NUL, which none can have, as an argument."""
    if "\x00" in url:
        return load_settings(**{f"AUTH0_{name.upper()}": url})
    monkeypatch.setenv(f"AUTH0_{name.upper()}", url)
    return load_settings()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("url", [*REFUSED, *IN_CLEAR])
def test_a_url_that_is_malformed_or_in_clear_is_named_by_its_setting(
    monkeypatch: pytest.MonkeyPatch, name: str, url: str
) -> None:
    """Both the environment's URL and a tenant's are checked; the message names the problem and repeats no part of the URL."""
    with pytest.raises(ConfigurationError, match=r"^GATEPOST_TENANTS.*BASE_URL: (must|has)") as of_a_table:
        load_settings(tenants=[{**TABLE, name: url}])
    with pytest.raises(ConfigurationError, match=rf"^AUTH0_{name.upper()}: (must|has)") as own:
        of_environment(monkeypatch, name, url)

    assert str(own.value).isprintable()
    assert "evil" not in f"{own.value} {of_a_table.value}"


@pytest.mark.parametrize("url", REFUSED)
def test_http_that_is_allowed_changes_no_other_rule(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    """Other schemes, spaces and line ends stay refused."""
    monkeypatch.setenv("GATEPOST_ALLOW_HTTP", "1")

    with pytest.raises(ConfigurationError, match=r"^AUTH0_BASE_URL: "):
        of_environment(monkeypatch, "base_url", url)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("url", TAKEN)
def test_https_and_this_machine_are_taken(monkeypatch: pytest.MonkeyPatch, name: str, url: str) -> None:
    """An empty one means none."""
    load_settings(tenants=[{**TABLE, name: url}])
    settings = of_environment(monkeypatch, name, url)

    assert getattr(settings.tenant_named(None), name) == (url or None)
    assert cleartext_settings(settings) == []


@pytest.mark.parametrize("url", IN_CLEAR)
def test_http_to_another_machine_is_taken_where_it_is_allowed_and_named(
    monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    """Every setting that leads there is named, for the log."""
    monkeypatch.setenv("GATEPOST_ALLOW_HTTP", "1")
    monkeypatch.setenv("AUTH0_BASE_URL", url)
    settings = load_settings(tenants=[{**TABLE, "mtls_base_url": url}])

    assert cleartext_settings(settings) == ["AUTH0_BASE_URL", "GATEPOST_TENANTS.globex.MTLS_BASE_URL"]


@pytest.mark.parametrize(
    ("proxy", "named"),
    [
        ("http://user:secret@proxy:3128", True),
        ("user:secret@proxy:3128", True),
        ("https://user:secret@proxy:3128", False),
        ("http://user:secret@localhost:3128", False),
        ("http://proxy:3128", False),
    ],
)
def test_a_proxys_password_in_clear_is_named(monkeypatch: pytest.MonkeyPatch, proxy: str, *, named: bool) -> None:
    """Requests through the proxy use TLS, but the proxy's password does not."""
    monkeypatch.setenv("AUTH0_PROXY", proxy)
    monkeypatch.setenv("GATEPOST_WEBHOOK_PROXY", proxy)
    settings = load_settings(tenants=[{**TABLE, "proxy": proxy}])
    names = ["AUTH0_PROXY", "GATEPOST_TENANTS.globex.PROXY", "GATEPOST_WEBHOOK_PROXY"]

    assert cleartext_settings(settings) == (names if named else [])


@pytest.mark.parametrize(
    ("url", "named"),
    [
        ("redis://:secret@redis:6379/0", True),
        ("redis://worker:secret@10.0.0.5:6379/0", True),
        ("sentinel://:secret@127.0.0.1:26379;sentinel://:secret@redis:26379", True),
        ("amqp://gatepost:secret@rabbit:5672/", True),
        ("pyamqp://gatepost:secret@rabbit:5672/", True),
        ("redis://redis:6379/0", False),
        ("redis://worker@redis:6379/0", False),
        ("redis://:secret@127.0.0.1:6379/0", False),
        ("redis://:secret@[::1]:6379/0", False),
        ("rediss://:secret@redis:6379/0", False),
        ("amqp://gatepost:secret@localhost:5672/", False),
        ("amqps://gatepost:secret@rabbit:5671/", False),
    ],
)
def test_a_password_of_redis_or_the_broker_in_clear_is_named(
    monkeypatch: pytest.MonkeyPatch, url: str, *, named: bool
) -> None:
    """Compose's own network sends it so too, so it is no error."""
    monkeypatch.setenv("GATEPOST_BROKER_URL", url)
    if "amqp" not in url:
        monkeypatch.setenv("GATEPOST_REDIS_URL", url)
    settings = load_settings()
    names = ["GATEPOST_REDIS_URL"] * ("amqp" not in url) + ["GATEPOST_BROKER_URL"]

    assert cleartext_servers(settings) == (names if named else [])


def test_a_sentinel_url_with_the_files_of_tls_is_not_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The files turn TLS on."""
    monkeypatch.setenv("GATEPOST_REDIS_URL", "sentinel://:secret@redis:26379")
    monkeypatch.setenv("GATEPOST_REDIS_CA_BUNDLE", "/etc/gatepost/ca.pem")

    assert cleartext_servers(load_settings()) == []
