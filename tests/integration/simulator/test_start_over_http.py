"""POST /passwordless/start over HTTP: answers and refusals."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from gatepost_simulator.settings import PUBLIC_CLIENT_ID
from support.tenant_client import error_of

if TYPE_CHECKING:
    from gatepost_simulator.control import ControlClient
    from gatepost_simulator.server import SimulatorServer
    from support.tenant_client import TenantClient


def test_email_is_answered_as_auth0_does(tenant: TenantClient) -> None:
    """200, JSON, an id of 24 hex digits, the address as it was given, and whether it is verified."""
    answer = tenant.start(email="Ada@Example.com")
    document = answer.json()

    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json; charset=utf-8"
    assert re.fullmatch("[0-9a-f]{24}", document.pop("_id"))
    assert document == {"email": "Ada@Example.com", "email_verified": False}


def test_sms_is_answered_as_auth0_does(tenant: TenantClient, control: ControlClient) -> None:
    """The number, whether it is verified, and the language asked for; absent if the switch is set."""
    document = tenant.start_sms("+12015550123", headers={"x-request-language": "fr-CA"}).json()
    control.change_settings(open_points={"request_language": "absent"})
    without = tenant.start_sms("+12015550123").json()

    assert document["phone_verified"] is False
    assert document["request_language"] == "fr-CA"
    assert "request_language" not in without


def test_the_message_is_in_the_outbox(tenant: TenantClient, control: ControlClient) -> None:
    """Recipient, channel, kind and code can be read."""
    tenant.start(email="ada@example.com")
    (message,) = control.messages("ada@example.com")

    assert (message["channel"], message["kind"], message["client_id"]) == ("email", "code", "gatepost-dev")
    assert message["code"] == control.latest_code("ada@example.com")
    assert control.count("ada@example.com") == 1


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"client_id": None}, (400, "bad.client_id")),
        ({"client_id": "absent"}, (401, "invalid_client")),
        ({"client_secret": "wrong"}, (401, "invalid_client")),
        ({"client_secret": None}, (403, "unauthorized_client")),
        ({"connection": None}, (400, "bad.connection")),
        ({"connection": "none"}, (400, "bad.connection")),
        ({"connection": 5}, (400, "bad.connection")),
        ({"email": None}, (400, "bad.email")),
        ({"email": "not an address"}, (400, "bad.email")),
        ({"email": "two@@example.com"}, (400, "bad.email")),
        ({"send": "pigeon"}, (400, "bad.send")),
        ({"send": "link", "authParams": "scope"}, (400, "bad.authParams")),
        ({"surprise": True}, (400, "bad.request")),
        ({"connection": "sms", "phone_number": "12015550123"}, (400, "bad.phone_number")),
        ({"connection": "sms", "phone_number": "+1201555O123"}, (400, "bad.phone_number")),
        ({"connection": "sms", "phone_number": "+1234567890123456"}, (400, "bad.phone_number")),
        ({"connection": "sms"}, (400, "bad.phone_number")),
    ],
)
def test_refuses(
    tenant: TenantClient, control: ControlClient, fields: dict[str, Any], expected: tuple[int, str]
) -> None:
    """Each bad request has its own error, and sends nothing."""
    answer = tenant.start(**{"email": "ada@example.com", **fields})

    assert error_of(answer) == expected
    assert control.counts()["total"] == 0


def test_json_null_is_absent(tenant: TenantClient, simulator: SimulatorServer) -> None:
    """Members that are null count as not given."""
    body = {
        **tenant.credentials,
        "connection": "sms",
        "phone_number": "+12015550123",
        "send": None,
        "email": None,
        "surprise": None,
    }
    answer = tenant.session.post(f"{simulator.url}/passwordless/start", json=body, timeout=10)

    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"data": b"{not json", "headers": {"content-type": "application/json"}}, "invalid_request"),
        ({"json": ["a", "list"]}, "invalid_request"),
        ({"data": {"client_id": "gatepost-dev"}}, "bad.request"),
    ],
)
def test_bodies_that_are_not_json_objects_are_refused(
    tenant: TenantClient, simulator: SimulatorServer, options: dict[str, Any], error: str
) -> None:
    """Start takes JSON objects only."""
    answer = tenant.session.post(f"{simulator.url}/passwordless/start", timeout=10, **options)

    assert error_of(answer) == (400, error)


@pytest.mark.parametrize(
    ("points", "fields", "status"),
    [
        ({"unknown_properties": "ignore"}, {"surprise": True}, 200),
        ({"missing_send": "refuse"}, {"send": None}, 400),
        ({"missing_send": "link"}, {"send": None}, 200),
        ({"start_client_authentication": "optional"}, {"client_secret": None}, 200),
        ({"captcha": "always"}, {}, 400),
        ({"captcha": "always"}, {"captcha": "solved"}, 200),
        ({"start_status": 201}, {}, 201),
        ({"start_status": 204}, {}, 204),
    ],
)
def test_open_points_are_switches(
    tenant: TenantClient, control: ControlClient, points: dict[str, Any], fields: dict[str, Any], status: int
) -> None:
    """Open points of the sources can be read strictly or leniently."""
    control.change_settings(open_points=points)
    answer = tenant.start(**{"email": "ada@example.com", **fields})

    assert answer.status_code == status


@pytest.mark.parametrize(("body", "text"), [("empty", ""), ("empty_object", "{}")])
def test_success_may_say_nothing(tenant: TenantClient, control: ControlClient, body: str, text: str) -> None:
    """A client must bear an empty 200 and an empty object."""
    control.change_settings(open_points={"start_body": body})
    answer = tenant.start(email="ada@example.com")

    assert (answer.status_code, answer.text) == (200, text)
    assert control.count("ada@example.com") == 1


def test_public_clients_need_no_credential(tenant: TenantClient) -> None:
    """Authentication is required of confidential clients only."""
    answer = tenant.start(client_id=PUBLIC_CLIENT_ID, client_secret=None, email="ada@example.com")

    assert answer.status_code == 200


def test_disabled_signup_shows_unknown_users(tenant: TenantClient, control: ControlClient) -> None:
    """With sign-ups off an unknown user is refused and a known one is not."""
    control.change_settings(connections=[{"name": "email", "strategy": "email", "disable_signup": True}])
    control.put_user("known@example.com")

    assert error_of(tenant.start(email="new@example.com")) == (400, "bad.connection")
    assert tenant.start(email="known@example.com").status_code == 200


def test_a_custom_connection_has_its_own_codes(tenant: TenantClient, control: ControlClient) -> None:
    """Codes live for each connection apart; length and lifetime are the connection's."""
    control.change_settings(
        connections=[
            {"name": "email", "strategy": "email"},
            {"name": "custom-email", "strategy": "email", "digits": 8, "lifetime_s": 60},
        ]
    )
    tenant.start(connection="custom-email", email="ada@example.com")
    code = control.latest_code("ada@example.com")

    assert len(code) == 8
    assert tenant.login("ada@example.com", code).status_code == 403
    assert tenant.login("ada@example.com", code, realm="custom-email").status_code == 200


@pytest.mark.parametrize(("reading", "status"), [("accept", 200), ("refuse", 403)])
def test_a_blocked_user_gets_no_message(
    tenant: TenantClient, control: ControlClient, reading: str, status: int
) -> None:
    """What start answers for a blocked user is a switch; that nothing is sent is not."""
    control.change_settings(open_points={"blocked_user_start": reading})
    control.put_user("ada@example.com", blocked=True)

    assert tenant.start(email="ada@example.com").status_code == status
    assert control.count("ada@example.com") == 0


def test_a_failing_sms_provider_refuses_and_delivers_nothing(tenant: TenantClient, control: ControlClient) -> None:
    """A Twilio error is a 400; email still works."""
    control.change_settings(providers={"sms_fault": "21408"})
    answer = tenant.start_sms("+12015550123")

    assert error_of(answer) == (400, "sms_provider_error")
    assert "(Code: 21408)" in answer.json()["error_description"]
    assert control.count("+12015550123") == 0
    assert tenant.start(email="ada@example.com").status_code == 200


def test_a_failing_gateway_may_have_delivered(tenant: TenantClient, control: ControlClient) -> None:
    """A gateway answers 503 after it sent: the caller sees a failure, and the person has a code."""
    control.change_settings(providers={"sms_fault": "status:503", "sms_delivers_anyway": True})
    answer = tenant.start_sms("+12015550123")

    assert answer.json()["error_description"] == "Unexpected response while calling the SMS gateway: 503"
    assert control.count("+12015550123") == 1
