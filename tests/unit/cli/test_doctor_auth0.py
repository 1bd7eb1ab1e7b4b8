"""How the doctor judges Auth0's answer to a start that sends nothing."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import SecretStr

from gatepost_core.settings.tenants import Tenant
from gatepost_operations.cli.doctor.auth0 import judge_answer
from gatepost_operations.cli.doctor.checks import Check, Status
from gatepost_worker.authentication import CredentialCheck, RateLimits, StartProbe

NOW = 1_777_000_000.0
TENANT = Tenant(
    name="default", domain="tenant.example.com", client_id="client", client_secret=SecretStr("s"), clock_tolerance=60
)


def judge(
    *, credentials: str = "accepted", status: int = 400, code: str = "bad.connection", **limits: Any
) -> list[Check]:
    headers = {"limit": 100, "remaining": 99, "date_epoch_s": NOW} | limits
    answer = StartProbe(
        credentials=CredentialCheck(credentials), rate_limits=RateLimits(**headers), status=status, code=code
    )
    return list(judge_answer(TENANT, answer, now_epoch_s=NOW))


def test_an_accepted_credential_and_a_quota_are_well() -> None:
    """Each is a separate line, under the tenant's name."""
    checks = judge()

    assert {check.status for check in checks} == {Status.OK}
    assert [check.found for check in checks] == ["accepted by tenant.example.com", "99 of 100 left", "within 2 s"]


@pytest.mark.parametrize(
    ("change", "name", "status", "configuration"),
    [
        ({"credentials": "rejected", "code": "invalid_client"}, "default: credentials", Status.FAILED, True),
        ({"credentials": "unknown", "status": 502}, "default: credentials", Status.WARNING, False),
        ({"limit": None, "remaining": None}, "default: quota", Status.WARNING, False),
        ({"remaining": 0}, "default: quota", Status.WARNING, False),
        ({"date_epoch_s": NOW + 75}, "default: clock against Auth0", Status.FAILED, False),
    ],
)
def test_a_refused_credential_is_a_failure_of_configuration(
    change: dict[str, Any], name: str, status: Status, *, configuration: bool
) -> None:
    """Other findings are not, and each has advice."""
    check = next(one for one in judge(**change) if one.name == name)

    assert (check.status, check.configuration) == (status, configuration)
    assert check.advice


def test_a_missing_date_gives_no_check_of_the_clock() -> None:
    """An answer of a proxy may lack the header."""
    assert [check.name for check in judge(date_epoch_s=None)] == ["default: credentials", "default: quota"]
