"""Faults over HTTP: the caller's view, and whether the message was sent before or after."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest
import requests

if TYPE_CHECKING:
    from gatepost_simulator.control import ControlClient
    from support.tenant_client import TenantClient

ADA = "ada@example.com"


def until_sent(control: ControlClient, address: str) -> None:
    """Wait for the one message of a request that its caller gave up."""
    give_up = time.monotonic() + 60
    while not control.count(address):
        assert time.monotonic() < give_up
        time.sleep(0.01)

    assert control.count(address) == 1


@pytest.mark.parametrize("drop", ["close", "reset"])
@pytest.mark.parametrize(("when", "sent"), [("before", 0), ("after", 1)])
def test_a_dropped_connection_on_either_side_of_the_send(
    tenant: TenantClient, control: ControlClient, drop: str, when: str, sent: int
) -> None:
    """The caller sees the same; the outbox knows whether a message went out."""
    control.script_fault(endpoint="/passwordless/start", drop=drop, when=when)
    with pytest.raises(requests.ConnectionError):
        tenant.start(email=ADA)

    assert control.count(ADA) == sent
    assert tenant.start(email=ADA).status_code == 200


def test_a_truncated_answer(tenant: TenantClient, control: ControlClient) -> None:
    """Status and half a body arrive, then the connection ends; the message was sent."""
    control.script_fault(drop="truncate", when="after")
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        tenant.start(email=ADA)

    assert control.count(ADA) == 1


def test_a_hanging_answer_never_comes(tenant: TenantClient, control: ControlClient) -> None:
    """The caller's own timeout ends it."""
    control.script_fault(drop="hang", when="after")
    body = {**tenant.credentials, "connection": "email", "email": ADA, "send": "code"}
    with pytest.raises(requests.ReadTimeout):
        tenant.session.post(f"{tenant.url}/passwordless/start", json=body, timeout=(60, 0.3))

    until_sent(control, ADA)


@pytest.mark.parametrize(("when", "sent"), [("before", 0), ("after", 1)])
def test_a_5xx_on_either_side_of_the_send(tenant: TenantClient, control: ControlClient, when: str, sent: int) -> None:
    """503 with or without an effect."""
    control.script_fault(status=503, shape="html", when=when)
    answer = tenant.start(email=ADA)

    assert (answer.status_code, answer.headers["content-type"]) == (503, "text/html; charset=utf-8")
    assert control.count(ADA) == sent


@pytest.mark.parametrize(("when", "login"), [("before", 200), ("after", 403)])
def test_a_lost_login_spends_the_code_or_not(
    tenant: TenantClient, control: ControlClient, when: str, login: int
) -> None:
    """After the exchange the code is gone, although the caller never saw tokens."""
    code = tenant.sent_code(ADA)
    control.script_fault(endpoint="/oauth/token", drop="close", when=when)
    with pytest.raises(requests.ConnectionError):
        tenant.login(ADA, code)

    assert tenant.login(ADA, code).status_code == login


def test_a_fault_after_the_effect_waits_for_an_effect(tenant: TenantClient, control: ControlClient) -> None:
    """A request that is refused anyway does not use it up."""
    control.script_fault(status=503, when="after")
    refused = tenant.start(email="bad")

    assert refused.status_code == 400
    assert tenant.start(email=ADA).status_code == 503


def test_a_script_is_a_queue(tenant: TenantClient, control: ControlClient) -> None:
    """Answers come in the order they were scripted, then real ones."""
    control.script_fault(status=500, count=2)
    control.script_fault(status=429, error="too_many_requests", headers={"Retry-After": "7"}, recipient=ADA)
    answers = [tenant.start(email=ADA) for _ in range(4)]

    assert [answer.status_code for answer in answers] == [500, 500, 429, 200]
    assert answers[2].headers["retry-after"] == "7"
    assert answers[2].headers["x-ratelimit-remaining"] == "0"
    assert control.faults() == []


def test_a_delay_before_and_after(tenant: TenantClient, control: ControlClient) -> None:
    """A delayed answer is real, only late; the timeout of an impatient caller leaves the message sent."""
    control.script_fault(delay_s=0.2, when="before")
    began = time.monotonic()
    before = tenant.start(email=ADA)
    took = time.monotonic() - began
    control.script_fault(delay_s=30, when="after")
    with pytest.raises(requests.ReadTimeout):
        tenant.session.post(
            f"{tenant.url}/passwordless/start",
            json={**tenant.credentials, "connection": "email", "email": "bob@example.com", "send": "code"},
            timeout=(60, 0.2),
        )

    assert before.status_code == 200
    assert took >= 0.2
    until_sent(control, "bob@example.com")


def test_other_endpoints_have_faults_too(tenant: TenantClient, control: ControlClient) -> None:
    """A JWKS fetch can fail."""
    control.script_fault(endpoint="/.well-known/jwks.json", status=503, shape="empty")

    assert tenant.get("/.well-known/jwks.json").status_code == 503
    assert tenant.get("/.well-known/jwks.json").status_code == 200


def test_faults_can_be_taken_back(tenant: TenantClient, control: ControlClient) -> None:
    """One by its number, or all."""
    number = control.script_fault(status=503, count=0)
    control.script_fault(status=502, count=0)
    control.clear_faults(number)
    second = tenant.start(email=ADA).status_code
    control.clear_faults()

    assert second == 502
    assert tenant.start(email=ADA).status_code == 200


@pytest.mark.parametrize(
    ("recipient", "answered", "sent"),
    [
        ("a+bad-email@example.com", (400, "bad.email"), 0),
        ("a+503-after@example.com", (503, "temporarily_unavailable"), 1),
        ("a+503-before@example.com", (503, "temporarily_unavailable"), 0),
        ("a+too-many-requests@example.com", (429, "too_many_requests"), 0),
        ("a+captcha@example.com", (400, "requires_verification"), 0),
        ("a+slow@example.com", (200, None), 1),
        ("a+newsletter@example.com", (200, None), 1),
    ],
)
def test_a_tagged_address_fails_by_itself(
    tenant: TenantClient, control: ControlClient, recipient: str, answered: tuple[int, str | None], sent: int
) -> None:
    """No script is needed: the address says it."""
    answer = tenant.start(email=recipient)

    assert (answer.status_code, answer.json().get("error")) == answered
    assert control.count(recipient) == sent


def test_a_magic_number_fails_by_itself(tenant: TenantClient, control: ControlClient) -> None:
    """Twilio's magic numbers, and more of the same kind."""
    invalid = tenant.start_sms("+15005550001")
    unavailable = tenant.start_sms("+15005550211")

    assert invalid.json()["error"] == "sms_provider_error"
    assert "21211" in invalid.json()["error_description"]
    assert (unavailable.status_code, control.count("+15005550211")) == (503, 1)


@pytest.mark.parametrize(
    ("tag", "status", "error"),
    [
        ("wrong-code", 403, "invalid_grant"),
        ("too-many-attempts", 429, "too_many_attempts"),
        ("mfa", 403, "mfa_required"),
        ("access-denied", 403, "access_denied"),
        ("endpoint-disabled", 404, "endpoint_disabled"),
        ("dpop-nonce", 400, "use_dpop_nonce"),
        ("token-503-after", 503, "temporarily_unavailable"),
    ],
)
def test_a_tagged_login_fails_by_itself(tenant: TenantClient, tag: str, status: int, error: str) -> None:
    """The send works, the login fails as the tag says."""
    recipient = f"a+{tag}@example.com"
    answer = tenant.login(recipient, tenant.sent_code(recipient))

    assert (answer.status_code, answer.json()["error"]) == (status, error)
    assert ("dpop-nonce" in answer.headers) == (tag == "dpop-nonce")


@pytest.mark.parametrize(
    ("tag", "text"),
    [("not-json", "<html>not what you wanted</html>"), ("empty-object", "{}"), ("empty", "")],
)
def test_a_token_response_can_be_nonsense(tenant: TenantClient, tag: str, text: str) -> None:
    """200 without tokens; the code is spent."""
    recipient = f"a+idtoken-{tag}@example.com"
    code = tenant.sent_code(recipient)
    answer = tenant.login(recipient, code)

    assert (answer.status_code, answer.text) == (200, text)
    assert tenant.login(recipient, code).status_code == 403


def test_a_scripted_token_fault(tenant: TenantClient, control: ControlClient) -> None:
    """A token fault can be scripted for the next login."""
    fault: dict[str, Any] = {"id_token": "lower-case-type"}
    control.script_fault(endpoint="/oauth/token", **fault)
    types = [tenant.login(ADA, tenant.sent_code(ADA)).json()["token_type"] for _ in range(2)]

    assert types == ["bearer", "Bearer"]
