"""Unmodified official SDKs for node work against the simulator, over https."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from gatepost_simulator.settings import DEV_CLIENT_ID, DEV_CLIENT_SECRET
from support.node_packages import installed, run_script

if TYPE_CHECKING:
    from gatepost_simulator.server import SimulatorServer

HERE = Path(__file__).parent


def environment(simulator: SimulatorServer) -> dict[str, str]:
    return {
        "NODE_EXTRA_CA_CERTS": str(simulator.ca_file),
        "SIMULATOR_DOMAIN": simulator.domain,
        "CLIENT_ID": DEV_CLIENT_ID,
        "CLIENT_SECRET": DEV_CLIENT_SECRET,
    }


@pytest.fixture
def node_auth0(simulator: SimulatorServer, pytestconfig: pytest.Config) -> dict[str, Any]:
    """What node-auth0's four Passwordless methods gave."""
    assert pytestconfig.cache is not None
    directory = installed(pytestconfig.cache.mkdir("node-auth0"), "auth0", "7.1.0")
    return run_script(directory, HERE / "node_auth0.mjs", environment(simulator))


def test_node_auth0_sends_and_logs_in_by_email_and_sms(node_auth0: dict[str, Any], simulator: SimulatorServer) -> None:
    """All four Passwordless methods succeed, and their id_tokens pass the SDK's own validation."""
    counts = simulator.control.counts_of(["node@example.com", "+12015550100"])

    assert node_auth0["sentEmail"] == {"status": 200, "limit": "1000000"}
    assert node_auth0["sentSms"] == {"status": 200}
    assert set(node_auth0["emailLogin"]) >= {"access_token", "id_token", "refresh_token", "token_type", "expires_in"}
    assert node_auth0["smsLogin"]["id_token"].count(".") == 2
    assert counts == {"node@example.com": 1, "+12015550100": 1}


def test_node_auth0_understands_the_simulators_refusals(node_auth0: dict[str, Any]) -> None:
    """The SDK reads error and status from a refused code and a refused address."""
    assert node_auth0["wrongCode"] == {
        "name": "AuthApiError",
        "error": "invalid_grant",
        "description": "Wrong email or verification code.",
        "status": 403,
    }
    assert node_auth0["badEmail"]["error"] == "bad.email"


def test_node_auth0_refuses_an_id_token_for_somebody_else(node_auth0: dict[str, Any]) -> None:
    """The SDK's validation is really at work: a wrong audience does not pass it."""
    assert node_auth0["badToken"] is not None
    assert node_auth0["badToken"].get("status") is None


def test_auth0_auth_js_sends_and_logs_in_by_email_and_sms(
    simulator: SimulatorServer, pytestconfig: pytest.Config
) -> None:
    """The SDK that took over authentication from node-auth0 discovers the tenant, sends, and logs in."""
    assert pytestconfig.cache is not None
    directory = installed(pytestconfig.cache.mkdir("auth0-auth-js"), "@auth0/auth0-auth-js", "1.16.0")

    printed = run_script(directory, HERE / "node_auth0_auth_js.mjs", environment(simulator))

    assert printed["emailLogin"]["claims"]["email"] == "auth-js@example.com"
    assert printed["smsLogin"]["claims"]["phone_number"] == "+12015550101"
    assert simulator.control.messages("auth-js@example.com")[0]["language"] == "fr-CA"
