"""POST /oauth/token over HTTP: codes, clients, parameters, users."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from gatepost_simulator.settings import DEV_CLIENT_ID, DEV_CLIENT_SECRET
from support.tenant_client import error_of, wrong_code

if TYPE_CHECKING:
    from gatepost_simulator.control import ControlClient
    from support.tenant_client import TenantClient

ADA = "ada@example.com"


@pytest.mark.parametrize("form", [True, False])
def test_a_good_code_earns_tokens(tenant: TenantClient, *, form: bool) -> None:
    """JSON and form are both taken; the members are those of Auth0."""
    answer = tenant.login("ada+plus@example.com", tenant.sent_code("ada+plus@example.com"), form=form)

    assert answer.status_code == 200
    assert set(answer.json()) == {"access_token", "id_token", "expires_in", "token_type", "scope"}
    assert answer.json()["token_type"] == "Bearer"
    assert answer.headers["cache-control"] == "no-store"


def test_basic_authentication_is_taken(tenant: TenantClient) -> None:
    """A secret may come in the Authorization header."""
    code = tenant.sent_code(ADA)
    tenant.session.auth = (DEV_CLIENT_ID, DEV_CLIENT_SECRET)
    answer = tenant.login(ADA, code, client_id=None, client_secret=None)

    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"username": None}, (400, "invalid_request")),
        ({"otp": None}, (400, "invalid_request")),
        ({"realm": None}, (400, "invalid_request")),
        ({"realm": "none"}, (400, "invalid_request")),
        ({"scope": ["openid"]}, (400, "invalid_request")),
        ({"grant_type": None}, (400, "invalid_request")),
        ({"grant_type": "password"}, (400, "unsupported_grant_type")),
        ({"organization": "absent"}, (400, "invalid_request")),
        ({"client_id": "absent"}, (401, "invalid_client")),
        ({"client_secret": "wrong"}, (401, "invalid_client")),
        ({"client_secret": None}, (401, "invalid_client")),
    ],
)
def test_refuses_before_the_code_is_looked_at(
    tenant: TenantClient, fields: dict[str, Any], expected: tuple[int, str]
) -> None:
    """A request that is refused for its form costs no try: the code works afterwards."""
    code = tenant.sent_code(ADA)
    given = {"username": ADA, "otp": code, **fields}

    assert error_of(tenant.login(given.pop("username"), given.pop("otp"), **given)) == expected
    assert tenant.login(ADA, code).status_code == 200


def test_wrong_codes_and_unknown_users_look_the_same(tenant: TenantClient) -> None:
    """403 invalid_grant, with the text that names the channel."""
    code = tenant.sent_code(ADA)
    wrong, unknown = tenant.login(ADA, wrong_code(code)), tenant.login("absent@example.com", "000000")
    sms = tenant.login("+12015550123", "000000", realm="sms")

    assert error_of(wrong) == (403, "invalid_grant")
    assert wrong.json() == unknown.json()
    assert wrong.json()["error_description"] == "Wrong email or verification code."
    assert sms.json()["error_description"] == "Wrong phone number or verification code."


def test_a_code_works_once(tenant: TenantClient) -> None:
    """The second use is refused as a wrong code."""
    code = tenant.sent_code(ADA)
    statuses = [tenant.login(ADA, code).status_code for _ in range(2)]

    assert statuses == [200, 403]


def test_a_code_expires(tenant: TenantClient, control: ControlClient) -> None:
    """After 180 seconds of the simulator's time, with its own text."""
    code = tenant.sent_code(ADA)
    control.advance_clock(181)
    answer = tenant.login(ADA, code)

    assert error_of(answer) == (403, "invalid_grant")
    assert answer.json()["error_description"].startswith("The verification code has expired")


def test_the_right_code_fails_after_three_wrong_ones(tenant: TenantClient) -> None:
    """A fourth try with the right code fails, with its own text."""
    code = tenant.sent_code(ADA)
    for _ in range(3):
        tenant.login(ADA, wrong_code(code))
    answer = tenant.login(ADA, code)

    assert error_of(answer) == (403, "invalid_grant")
    assert answer.json()["error_description"].startswith("You've reached the maximum number of attempts")


@pytest.mark.parametrize(("text", "start"), [("distinct", "The verification"), ("uniform", "Wrong email")])
@pytest.mark.parametrize("status", [400, 401, 403])
def test_how_an_expired_code_is_refused_is_a_switch(
    tenant: TenantClient, control: ControlClient, text: str, start: str, status: int
) -> None:
    """Status and text of a spent code are not certain, so both can be chosen."""
    control.change_settings(open_points={"spent_code_status": status, "spent_code_text": text})
    code = tenant.sent_code(ADA)
    control.advance_clock(181)
    answer = tenant.login(ADA, code)

    assert answer.status_code == status
    assert answer.json()["error_description"].startswith(start)


def test_brute_force_blocks_with_a_separate_429(tenant: TenantClient) -> None:
    """Ten failures block this IP for this identifier, even with the right code; others are free."""
    for _ in range(10):
        tenant.login(ADA, "000000")
    code = tenant.sent_code(ADA)

    assert error_of(tenant.login(ADA, code)) == (429, "too_many_attempts")
    assert tenant.login("bob@example.com", tenant.sent_code("bob@example.com")).status_code == 200


def test_a_client_without_the_grant_is_refused(tenant: TenantClient, control: ControlClient) -> None:
    """The error says which grant, and where to read about it."""
    control.register_client(client_id="no-grant", client_secret="s3cret", grants=[])
    answer = tenant.login(ADA, "000000", client_id="no-grant", client_secret="s3cret")

    assert error_of(answer) == (403, "unauthorized_client")
    assert answer.json()["error_uri"] == "https://auth0.com/docs/clients/client-grant-types"


def test_two_credentials_are_a_switch(tenant: TenantClient, control: ControlClient) -> None:
    """Node sends a secret and an assertion of the caller's; a strict server refuses both at once."""
    code = tenant.sent_code(ADA)
    control.change_settings(open_points={"two_credentials": "refuse"})
    refused = tenant.login(ADA, code, client_assertion="x")
    control.change_settings(open_points={"two_credentials": "accept"})

    assert error_of(refused) == (401, "invalid_client")
    assert tenant.login(ADA, code, client_assertion="x").status_code == 200


def test_scopes_and_refresh_tokens(tenant: TenantClient, control: ControlClient) -> None:
    """offline_access gives a refresh token if the API allows it; scope appears if it differs from the request."""
    control.change_settings(apis=[{"identifier": "https://strict.example/", "allow_offline_access": False}])
    scope = "openid offline_access"
    allowed = tenant.login(ADA, tenant.sent_code(ADA), scope=scope).json()
    refused = tenant.login(ADA, tenant.sent_code(ADA), scope=scope, audience="https://strict.example/").json()

    assert "refresh_token" in allowed
    assert "scope" not in allowed
    assert "refresh_token" not in refused
    assert refused["scope"] == "openid"


def test_without_openid_there_is_no_id_token(tenant: TenantClient) -> None:
    """Only openid earns an id_token."""
    members = tenant.login(ADA, tenant.sent_code(ADA), scope="read:things").json()

    assert "id_token" not in members


def test_unknown_audiences_are_a_switch(tenant: TenantClient, control: ControlClient) -> None:
    """Any audience is taken, or only registered ones."""
    code = tenant.sent_code(ADA)
    control.change_settings(open_points={"audience": "registered"}, apis=[{"identifier": "https://api.example/"}])

    assert error_of(tenant.login(ADA, code, audience="https://other.example/")) == (403, "access_denied")
    assert tenant.login(ADA, code, audience="https://api.example/").status_code == 200


def test_organizations_by_id_and_name(tenant: TenantClient, control: ControlClient) -> None:
    """A login may name an organization either way."""
    control.change_settings(organizations=[{"id": "org_1", "name": "acme"}])
    statuses = [
        tenant.login(ADA, tenant.sent_code(ADA), organization=organization).status_code
        for organization in ("org_1", "acme")
    ]

    assert statuses == [200, 200]


@pytest.mark.parametrize(
    ("mfa", "members"),
    [
        ("required", {"mfa_token"}),
        ("required_without_token", set()),
        ("required_with_challenge", {"mfa_token", "mfa_requirements"}),
    ],
)
def test_a_second_factor_can_be_required(
    tenant: TenantClient, control: ControlClient, mfa: str, members: set[str]
) -> None:
    """mfa_required comes with a token, without one, and with challenges; the code is spent."""
    control.put_user(ADA, mfa=mfa)
    code = tenant.sent_code(ADA)
    answer = tenant.login(ADA, code)

    assert error_of(answer) == (403, "mfa_required")
    assert set(answer.json()) == {"error", "error_description"} | members
    assert error_of(tenant.login(ADA, code)) == (403, "invalid_grant")


@pytest.mark.parametrize(
    ("reading", "expected"), [("unauthorized", (401, "unauthorized")), ("access_denied", (403, "access_denied"))]
)
def test_a_blocked_user_is_refused(
    tenant: TenantClient, control: ControlClient, reading: str, expected: tuple[int, str]
) -> None:
    """Blocked after the code was sent: the error is one of two."""
    control.change_settings(open_points={"blocked_user_login": reading})
    code = tenant.sent_code(ADA)
    control.put_user(ADA, blocked=True)

    assert error_of(tenant.login(ADA, code)) == expected


def test_the_first_login_makes_the_user(tenant: TenantClient) -> None:
    """Start says verified=false before the first login and true after."""
    before = tenant.start(email=ADA).json()["email_verified"]
    tenant.login(ADA, tenant.sent_code(ADA)).raise_for_status()

    assert before is False
    assert tenant.start(email=ADA).json()["email_verified"] is True


@pytest.mark.parametrize(("reading", "status"), [("folded", 200), ("exact", 403)])
def test_case_of_the_address_is_a_switch(
    tenant: TenantClient, control: ControlClient, reading: str, status: int
) -> None:
    """Start with capitals, login without: the same person, or not."""
    control.change_settings(open_points={"identifiers": reading})
    tenant.start(email="Ada@Example.com").raise_for_status()
    code = control.latest_code("Ada@Example.com")

    assert tenant.login(ADA, code).status_code == status


def test_a_disabled_endpoint_answers_404(tenant: TenantClient, control: ControlClient) -> None:
    """The tenant can switch an endpoint off."""
    control.change_settings(disabled_endpoints=["/oauth/token"])

    assert error_of(tenant.login(ADA, "000000")) == (404, "endpoint_disabled")


@pytest.mark.parametrize(("spend", "status"), [(False, 200), (True, 403)])
def test_whether_a_limited_login_costs_a_try_is_a_switch(
    tenant: TenantClient, control: ControlClient, *, spend: bool, status: int
) -> None:
    """Three 429s, then the right code: it works, or the tries are gone."""
    code = tenant.sent_code(ADA)
    control.change_settings(
        quota={"plan": "unlimited", "endpoints": {"/oauth/token": {"size": 3, "refill": 0}}},
        open_points={"limited_requests_spend_tries": spend},
    )
    control.set_levels(**{"/oauth/token": 0})
    limited = [tenant.login(ADA, code).status_code for _ in range(3)]
    control.set_levels(**{"/oauth/token": 3})

    assert limited == [429, 429, 429]
    assert tenant.login(ADA, code).status_code == status
