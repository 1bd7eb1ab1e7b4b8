"""Discovery documents and cross-origin rules over HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gatepost_simulator.control import ControlClient
    from gatepost_simulator.server import SimulatorServer
    from support.tenant_client import TenantClient

PAGE = "https://app.example"


def test_the_discovery_document_names_what_is_served(tenant: TenantClient, simulator: SimulatorServer) -> None:
    """Issuer is https whatever is served; the endpoints are where they answer."""
    document = tenant.get("/.well-known/openid-configuration").json()

    assert document["issuer"] == f"https://{simulator.domain}/"
    assert document["token_endpoint"] == f"{simulator.url}/oauth/token"
    assert tenant.session.get(document["jwks_uri"], timeout=10).json()["keys"]


def test_preflight_allows_what_the_page_asks_for(tenant: TenantClient) -> None:
    """204, the page's origin, the headers it named."""
    answer = tenant.session.options(
        f"{tenant.url}/oauth/token",
        headers={
            "Origin": PAGE,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "content-type,auth0-client",
        },
        timeout=10,
    )

    assert answer.status_code == 204
    assert answer.headers["access-control-allow-origin"] == PAGE
    assert answer.headers["access-control-allow-headers"] == "content-type,auth0-client"
    assert "POST" in answer.headers["access-control-allow-methods"]


def test_a_page_may_read_the_limits(tenant: TenantClient) -> None:
    """The rate-limit headers are exposed, on errors too."""
    answer = tenant.start(email="bad", headers={"Origin": PAGE})

    assert answer.headers["access-control-allow-origin"] == PAGE
    assert "X-RateLimit-Reset" in answer.headers["access-control-expose-headers"]


def test_a_strange_origin_may_not(tenant: TenantClient, control: ControlClient) -> None:
    """With allowed origins set, others get no permission."""
    control.change_settings(allowed_origins=["https://other.example"])
    answer = tenant.start(email="ada@example.com", headers={"Origin": PAGE})

    assert "access-control-allow-origin" not in answer.headers
