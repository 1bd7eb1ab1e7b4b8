"""The control API: everything that a tester can read and change."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from gatepost_simulator.control import ControlClient, ControlError
from gatepost_simulator.settings import DEV_CLIENT_SECRET

if TYPE_CHECKING:
    from gatepost_simulator.server import SimulatorServer
    from support.tenant_client import TenantClient


def test_describes_the_tenant(control: ControlClient, simulator: SimulatorServer) -> None:
    """Domain, issuer, clients and connections are there to configure a client by."""
    described = control.describe()

    assert described["domain"] == simulator.domain
    assert described["issuer"] == f"https://{simulator.domain}/"
    assert {"client_id": "gatepost-dev", "method": "client_secret"} in described["clients"]


def test_counts_duplicates(tenant: TenantClient, control: ControlClient) -> None:
    """Who got how many, by name and in total."""
    for recipient in ("a@example.com", "b@example.com", "b@example.com"):
        tenant.start(email=recipient)
    counts = control.counts()

    assert (counts["total"], counts["recipients"], counts["repeated"], counts["surplus"]) == (3, 2, 1, 1)
    assert counts["at_least"] == [{"connection": "email", "recipient": "b@example.com", "count": 2}]
    assert control.counts_of(["a@example.com", "B@example.com", "c@example.com"]) == {
        "a@example.com": 1,
        "B@example.com": 2,
        "c@example.com": 0,
    }


def test_outbox_is_searched_and_filtered(tenant: TenantClient, control: ControlClient) -> None:
    """By a part of the recipient, and by channel."""
    tenant.start(email="ada@example.com")
    tenant.start(email="bob@example.com")
    tenant.start_sms("+12015550123")

    assert [message["recipient"] for message in control.outbox()] == [
        "+12015550123",
        "bob@example.com",
        "ada@example.com",
    ]
    assert [message["recipient"] for message in control.outbox("ada")] == ["ada@example.com"]
    assert [message["recipient"] for message in control.outbox(channel="sms")] == ["+12015550123"]


def test_latest_code_of_somebody_unknown(control: ControlClient) -> None:
    """404, at once or after the wait."""
    with pytest.raises(ControlError) as unknown:
        control.latest_code("absent@example.com", wait_s=0.1)

    assert unknown.value.status == 404


def test_statistics_by_status(tenant: TenantClient, control: ControlClient) -> None:
    """Answers are counted by endpoint, status and error; a dropped connection is status 0."""
    tenant.login("ada@example.com", tenant.sent_code("ada@example.com"))
    tenant.start(email="bad")
    control.script_fault(drop="close")
    with pytest.raises(OSError, match="aborted"):
        tenant.start(email="ada@example.com")
    stats = control.stats()

    assert (stats["starts_accepted"], stats["tokens_issued"], stats["requests"]) == (1, 1, 4)
    assert stats["by_status"] == {"200": 2, "400": 1, "0": 1}
    assert {"endpoint": "/passwordless/start", "status": 400, "error": "bad.email", "count": 1} in stats["answers"]


def test_the_request_log_keeps_no_secret(tenant: TenantClient, control: ControlClient) -> None:
    """Parameters and telling headers are kept, client secrets and assertions are not."""
    tenant.start(email="ada@example.com", client_assertion="an.assertion.text", headers={"x-request-language": "de"})
    tenant.login("ada@example.com", "000000", form=True)
    log = control.request_log()
    text = json.dumps(log)

    assert [entry["path"] for entry in log] == ["/passwordless/start", "/oauth/token"]
    assert log[0]["headers"]["x-request-language"] == "de"
    assert log[0]["authentication"] == "client_secret"
    assert log[1]["parameters"]["otp"] == "000000"
    assert log[1]["event"] == "fepotpft"
    assert DEV_CLIENT_SECRET not in text
    assert "an.assertion.text" not in text


def test_request_log_is_filtered(tenant: TenantClient, control: ControlClient) -> None:
    """By endpoint and by recipient."""
    tenant.start(email="ada@example.com")
    tenant.login("ada@example.com", "000000")
    tenant.start(email="bob@example.com")

    assert len(control.request_log(path="/oauth/token")) == 1
    assert len(control.request_log(recipient="bob@example.com")) == 1


def test_settings_are_merged_and_checked(control: ControlClient) -> None:
    """One switch changes and its neighbours stay; a misspelt one is refused; secrets are masked."""
    before = control.settings()["open_points"]
    changed = control.change_settings(open_points={"missing_send": "refuse"})
    with pytest.raises(ControlError) as misspelt:
        control.change_settings(open_points={"missing_sent": "refuse"})
    with pytest.raises(ControlError) as unknown:
        control.change_settings(surprise=True)

    assert changed["open_points"] == {**before, "missing_send": "refuse"}
    assert (misspelt.value.status, unknown.value.status) == (422, 422)
    assert DEV_CLIENT_SECRET not in json.dumps(changed)


def test_changed_settings_keep_clients_and_codes(tenant: TenantClient, control: ControlClient) -> None:
    """A switch flipped between send and login leaves the code good and the client known."""
    code = tenant.sent_code("ada@example.com")
    control.change_settings(open_points={"scope_member": "always"})

    assert "scope" in tenant.login("ada@example.com", code, scope="openid").json()


def test_a_client_needs_a_real_key(control: ControlClient) -> None:
    """A key that is not RSA is refused when it is registered."""
    with pytest.raises(ControlError) as refused:
        control.register_client(client_id="app", method="private_key_jwt", public_keys=["no key"])

    assert refused.value.status == 422


def test_bucket_levels_and_unknown_buckets(control: ControlClient) -> None:
    """Levels are set by name; a name that does not exist is an error."""
    control.freeze_clock()
    levels = control.set_levels(tenant=3)["buckets"]["tenant"]["remaining"]
    with pytest.raises(ControlError) as unknown:
        control.set_levels(**{"/nowhere": 1})
    with pytest.raises(ControlError):
        control.foreign_traffic(1, endpoint="/nowhere")

    assert levels == 3
    assert unknown.value.status == 404


def test_keys_rotate(tenant: TenantClient, control: ControlClient) -> None:
    """The next token is signed by another key that the JWKS has."""
    before = tenant.get("/.well-known/jwks.json").json()["keys"]
    rotated = control.rotate_keys(revoke=True, prepublished=False)
    after = [key["kid"] for key in tenant.get("/.well-known/jwks.json").json()["keys"]]

    assert rotated["current"] in after
    assert rotated["current"] not in [key["kid"] for key in before]


def test_reset_forgets_what_happened(tenant: TenantClient, control: ControlClient) -> None:
    """Messages, faults, clock, quota and switches go; registered clients stay."""
    control.register_client(client_id="kept", client_secret="s3cret")
    tenant.start(email="ada@example.com")
    control.script_fault(status=503)
    control.advance_clock(1000)
    control.set_quota(plan="free")
    control.reset()

    assert control.counts()["total"] == 0
    assert control.faults() == []
    assert control.quota()["quota"]["plan"] == "unlimited"
    assert control.call("GET", "/clock")["offset_s"] == 0
    assert "kept" in [client["client_id"] for client in control.describe()["clients"]]


def test_the_control_api_costs_no_quota(tenant: TenantClient, control: ControlClient) -> None:
    """Reading the outbox is not a request to the tenant."""
    control.freeze_clock()
    before = control.quota()["buckets"]["tenant"]["remaining"]
    control.outbox()
    tenant.start(email="ada@example.com")

    assert control.quota()["buckets"]["tenant"]["remaining"] == before - 1


def test_tags_are_listed(control: ControlClient) -> None:
    """The tags and magic numbers can be looked up."""
    listed = control.call("GET", "/tags")

    assert "bad-email" in listed["email"]["/passwordless/start"]
    assert listed["sms"]["+15005550001"] == "invalid-number"


def test_only_http_urls_are_taken() -> None:
    """The client opens no files."""
    with pytest.raises(ValueError, match="http"):
        ControlClient("file:///etc/passwd")
