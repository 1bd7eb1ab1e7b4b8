"""The settings of the console, and where it may listen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from gatepost_core.errors import ConfigurationError
from gatepost_core.settings import load_settings
from gatepost_operations.web.console.security.operators import Level
from gatepost_operations.web.console.security.settings import check_listening, load_console_settings

if TYPE_CHECKING:
    from pathlib import Path

OIDC = {"oidc_issuer": "https://id.example", "oidc_client_id": "console", "oidc_client_secret": "s3cret"}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"url": "http://console.example"}, "CONSOLE_URL: must begin with https://"),
        ({"url": "https://console.example/path"}, "CONSOLE_URL: must be https://HOST"),
        ({"url": "console.example"}, "CONSOLE_URL: must be https://HOST"),
        ({"proxies": "10.0.0.0/33"}, "CONSOLE_PROXIES: must be addresses or networks"),
        ({"proxies": "*"}, "CONSOLE_PROXIES: must be addresses or networks"),
        ({"oidc_issuer": "http://id.example"}, "OIDC_ISSUER: must begin with https://"),
        ({"oidc_issuer": "https://id.example"}, "OIDC_CLIENT_SECRET_FILE must be set"),
        (OIDC, "one of OIDC_READ_ONLY, OIDC_OPERATOR and OIDC_ADMIN must be set"),
        (OIDC | {"oidc_admin": "a", "oidc_scopes": "profile"}, "OIDC_SCOPES must contain openid"),
    ],
)
def test_a_setting_that_cannot_work_is_named(given: dict[str, Any], message: str) -> None:
    """The error names the variable, and repeats no value."""
    with pytest.raises(ConfigurationError, match=message) as raised:
        load_console_settings(**given)

    assert "s3cret" not in str(raised.value)
    assert "GATEPOST_CONSOLE_" in str(raised.value)


def test_a_misspelt_variable_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """In the environment and in `.env`; other programs leave it to the console."""
    (tmp_path / ".env").write_text("GATEPOST_CONSOLE_PROXY=10.0.0.7\n")

    with pytest.raises(ConfigurationError, match="GATEPOST_CONSOLE_PROXIES"):
        load_console_settings(env_file=str(tmp_path / ".env"))

    monkeypatch.setenv("GATEPOST_CONSOLE_USER", "users")
    load_settings()
    with pytest.raises(ConfigurationError, match="GATEPOST_CONSOLE_USERS"):
        load_console_settings()


def test_the_client_s_secret_comes_from_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As every secret can."""
    (tmp_path / "secret").write_text("s3cret\n")
    monkeypatch.setenv("GATEPOST_CONSOLE_OIDC_CLIENT_SECRET_FILE", str(tmp_path / "secret"))
    read = load_console_settings()

    assert read.oidc_client_secret is not None
    assert read.oidc_client_secret.get_secret_value() == "s3cret"
    assert "s3cret" not in repr(read)


def test_a_url_is_read_as_browsers_write_it() -> None:
    """The default port and a closing slash are left out."""
    urls = [
        "https://Console.Example:443/",
        "https://console.example:8443",
        "http://localhost:8791",
        "http://[::1]:8791",
    ]
    read = [load_console_settings(url=url).url for url in urls]

    assert read == [
        "https://console.example",
        "https://console.example:8443",
        "http://localhost:8791",
        "http://[::1]:8791",
    ]


def test_roles_give_levels() -> None:
    """A role that is listed twice gives the higher level."""
    read = load_console_settings(**OIDC, oidc_read_only="staff, support", oidc_admin="leads,staff")

    assert read.roles() == {"staff": Level.ADMIN, "support": Level.READ_ONLY, "leads": Level.ADMIN}


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7", "gatepost.internal"])  # noqa: S104 - the refused addresses
def test_other_machines_reach_the_console_through_tls_only(tmp_path: Path, host: str) -> None:
    """A password never crosses a network in clear: the proxy with TLS must be named."""
    users = tmp_path / "users"
    behind = {"url": "https://console.example", "proxies": "10.0.0.7"}
    check_listening(load_console_settings(users=users, **behind), host)

    for given in ({}, {"url": behind["url"]}, {"proxies": behind["proxies"]}, behind | {"url": "http://localhost"}):
        with pytest.raises(ConfigurationError, match="put a proxy with TLS in front"):
            check_listening(load_console_settings(users=users, **given), host)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_this_machine_needs_no_tls_but_a_way_to_sign_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    """The error names both ways."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    check_listening(load_console_settings(users=tmp_path / "users"), host)

    with pytest.raises(ConfigurationError, match="console-users add NAME; or set GATEPOST_CONSOLE_OIDC_ISSUER"):
        check_listening(load_console_settings(), host)
