"""A proxy's URL may carry a password: it reaches the proxy, and nothing that is printed."""

from __future__ import annotations

import base64
import logging
import traceback
from typing import TYPE_CHECKING

import pytest

from gatepost_core.settings import Settings, Tenant, load_settings
from gatepost_worker.authentication import (
    AuthenticationError,
    Configuration,
    Passwordless,
    ProxyFailed,
    RequestUnsendable,
)
from gatepost_worker.delivery.clients import Clients, client_for
from support.socket_server import SocketServer

if TYPE_CHECKING:
    from pathlib import Path

    from support.socket_server import Heard, Wire

PASSWORD = "canary-p:ss/w#rd"
ENCODED = "canary-p%3Ass%2Fw%23rd"
PROXY = f"http://gate:{ENCODED}@127.0.0.1:1"


def tenant(proxy: str) -> Tenant:
    return Tenant(domain="tenant.example.com", client_id="client", client_secret="secret", proxy=proxy)  # type: ignore[arg-type]


def test_a_proxys_password_is_in_no_representation(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither of the settings, nor of a tenant, nor of the client that was made of them."""
    monkeypatch.setenv("AUTH0_DOMAIN", "tenant.example.com")
    monkeypatch.setenv("AUTH0_CLIENT_ID", "client")
    monkeypatch.setenv("AUTH0_CLIENT_SECRET", "secret")
    monkeypatch.setenv("AUTH0_PROXY", PROXY)
    settings = load_settings(tenants=[{**tenant(PROXY).model_dump(exclude_none=True), "name": "globex"}])
    clients = Clients(settings)
    shown = [settings, settings.all_tenants(), settings.tenant_named("globex"), clients, clients.of("default")]
    clients.close()

    assert "canary" not in "".join(f"{one!r} {one}" for one in shown)
    assert "canary" not in settings.model_dump_json()
    assert "canary" not in repr(Configuration(proxies={"https": PROXY}))


def test_a_proxy_may_stand_in_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Like every other secret, the environment's and a table's."""
    (tmp_path / "proxy").write_text(f"{PROXY}\n")
    monkeypatch.setenv("AUTH0_PROXY_FILE", str(tmp_path / "proxy"))
    table = {"domain": "a.example.com", "client_id": "a", "client_secret": "a", "proxy_file": str(tmp_path / "proxy")}
    settings = load_settings(tenants=[{**table, "name": "globex"}])
    of_globex = settings.tenant_named("globex").proxy

    assert settings.auth0_proxy is not None
    assert settings.auth0_proxy.get_secret_value() == PROXY
    assert of_globex is not None
    assert of_globex.get_secret_value() == PROXY


def test_a_proxy_is_shown_the_password_that_was_meant() -> None:
    """Percent-encoded credentials in the URL are decoded for the proxy."""

    def refuse(wire: Wire, _heard: Heard) -> bool:
        wire.respond(407, b"")
        return False

    with SocketServer(refuse) as proxy:
        at = tenant(f"http://gate:{ENCODED}@127.0.0.1:{proxy.port}")
        with client_for(at, Settings()) as client, pytest.raises(ProxyFailed) as failure:
            client.probe_start()

    assert (
        proxy.heard[0].headers["proxy-authorization"]
        == f"Basic {base64.b64encode(f'gate:{PASSWORD}'.encode()).decode()}"
    )
    assert "canary" not in "".join(traceback.format_exception(failure.value))


@pytest.mark.parametrize(
    ("proxy", "error"),
    [
        (PROXY, ProxyFailed),
        ("http://gate:canary/pass@127.0.0.1:1", RequestUnsendable),
        ("http://gate:canary@[::1", RequestUnsendable),
        ("http://gate:canary@127.0.0.1:port", RequestUnsendable),
        ("ftp://gate:canary@127.0.0.1:1", RequestUnsendable),
    ],
)
def test_a_proxy_that_cannot_be_used_is_named_by_nothing_that_is_logged(
    caplog: pytest.LogCaptureFixture, proxy: str, error: type[AuthenticationError]
) -> None:
    """Requests and urllib3 repeat the URL in their errors; ours repeats nothing."""
    caplog.set_level(logging.DEBUG)
    client = Passwordless(
        domain="tenant.example.com",
        client_id="client",
        client_secret="secret",
        configuration=Configuration(proxies={"https": proxy}),
    )
    with client, pytest.raises(error) as failure:
        client.probe_start()

    assert "canary" not in "".join(traceback.format_exception(failure.value)) + caplog.text + repr(vars(failure.value))
