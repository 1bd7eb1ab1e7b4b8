"""Magic links over HTTP: the content of the email, the browsers that may follow it, and its target."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from gatepost_simulator.settings import DEV_CLIENT_ID, DEV_CLIENT_SECRET

if TYPE_CHECKING:
    from gatepost_simulator.control import ControlClient
    from support.tenant_client import TenantClient

ADA = "ada@example.com"
CALLBACK = "https://app.example/callback"
IMPLICIT = {"redirect_uri": CALLBACK, "response_type": "token id_token", "scope": "openid", "state": "s", "nonce": "n"}


def sent_link(tenant: TenantClient, **auth_params: str) -> str:
    """Send a link as a browser would, keeping the cookie, and give its path."""
    tenant.start(email=ADA, send="link", authParams={**IMPLICIT, **auth_params}).raise_for_status()
    (message,) = tenant.control.messages(ADA, limit=1)
    parts = urlsplit(str(message["link"]))
    return f"{parts.path}?{parts.query}"


def landed(answer: requests.Response) -> dict[str, str]:
    """Return the parameters that the browser brings back to the application."""
    parts = urlsplit(answer.headers["location"])
    return {name: values[0] for name, values in parse_qs(parts.fragment or parts.query).items()}


def test_the_browser_that_asked_gets_tokens(tenant: TenantClient) -> None:
    """Implicit flow: tokens and state come back in the fragment."""
    answer = tenant.get(sent_link(tenant))
    members = landed(answer)

    assert answer.status_code == 302
    assert answer.headers["location"].startswith(CALLBACK + "#")
    assert {"access_token", "id_token", "token_type", "expires_in", "state"} <= set(members)
    assert members["state"] == "s"


def test_only_what_was_asked_for_comes_back(tenant: TenantClient) -> None:
    """response_type=id_token brings no access token."""
    members = landed(tenant.get(sent_link(tenant, response_type="id_token")))

    assert "id_token" in members
    assert "access_token" not in members


def test_another_browser_is_refused(tenant: TenantClient) -> None:
    """New tenants want the same browser; a mail scanner's visit does not spend the link."""
    link = sent_link(tenant)
    elsewhere = requests.get(tenant.url + link, allow_redirects=False, timeout=10)

    assert landed(elsewhere)["error"] == "unauthorized"
    assert "same device and browser" in landed(elsewhere)["error_description"]
    assert "access_token" in landed(tenant.get(link))


def test_another_browser_is_welcome_where_the_tenant_allows_it(tenant: TenantClient, control: ControlClient) -> None:
    """allow_magiclink_verify_without_session."""
    control.change_settings(open_points={"magic_link_session": "optional"})
    elsewhere = requests.get(tenant.url + sent_link(tenant), allow_redirects=False, timeout=10)

    assert "access_token" in landed(elsewhere)


def test_a_link_works_once_and_not_for_ever(tenant: TenantClient, control: ControlClient) -> None:
    """A second visit, a late one and one after a newer send bring an error back."""
    first = sent_link(tenant)
    tenant.get(first)
    again = landed(tenant.get(first))
    late = sent_link(tenant)
    control.advance_clock(181)
    expired = landed(tenant.get(late))

    assert again["error"] == "unauthorized"
    assert expired["error_description"].startswith("The verification code has expired")


def test_a_link_never_earns_a_refresh_token(tenant: TenantClient) -> None:
    """offline_access is dropped."""
    members = landed(tenant.get(sent_link(tenant, scope="openid offline_access")))

    assert "refresh_token" not in members
    assert members["scope"] == "openid"


def test_a_code_can_be_exchanged_once(tenant: TenantClient) -> None:
    """Code flow: the code comes back in the query and earns the tokens, once, for the same redirect_uri."""
    code = landed(tenant.get(sent_link(tenant, response_type="code")))["code"]
    body = {
        "grant_type": "authorization_code",
        "client_id": DEV_CLIENT_ID,
        "client_secret": DEV_CLIENT_SECRET,
        "code": code,
        "redirect_uri": CALLBACK,
    }
    answers = [tenant.session.post(f"{tenant.url}/oauth/token", data=body, timeout=10) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [200, 403]
    assert "id_token" in answers[0].json()


def test_an_unregistered_callback_is_no_place_to_go(tenant: TenantClient, control: ControlClient) -> None:
    """The error is shown, not sent to a stranger."""
    control.register_client(client_id="strict", client_secret="s3cret", callbacks=["https://app.example/other"])
    tenant.start(client_id="strict", client_secret="s3cret", email=ADA, send="link", authParams=IMPLICIT)
    (message,) = control.messages(ADA, limit=1)
    answer = requests.get(str(message["link"]), allow_redirects=False, timeout=10)

    assert answer.status_code == 400


@pytest.mark.parametrize("query", ["", "?client_id=absent", "?client_id=gatepost-dev&connection=none"])
def test_nonsense_is_refused(tenant: TenantClient, query: str) -> None:
    """A link without a client or connection leads nowhere."""
    assert tenant.get(f"/passwordless/verify_redirect{query}").status_code == 400
