"""Brute-force protection, and Auth0's answers when the SMS provider fails."""

from __future__ import annotations

import pytest

from gatepost_simulator.codes import BruteForceProtection
from gatepost_simulator.settings import BruteForce, Providers
from gatepost_simulator.start_endpoint import call_sms_provider

NOW = 1_000_000.0


def failed(protection: BruteForceProtection, times: int) -> None:
    for _ in range(times):
        protection.failed("192.0.2.1", "ada@example.com", NOW)


def test_blocks_after_the_tenth_failure() -> None:
    """Nine failures pass, the tenth blocks this IP for this identifier only."""
    protection = BruteForceProtection(BruteForce())
    failed(protection, 9)
    before = protection.blocks("192.0.2.1", "ada@example.com", NOW)
    failed(protection, 1)

    assert not before
    assert protection.blocks("192.0.2.1", "ada@example.com", NOW)
    assert not protection.blocks("192.0.2.2", "ada@example.com", NOW)
    assert not protection.blocks("192.0.2.1", "bob@example.com", NOW)


def test_a_block_ends() -> None:
    """After 30 days the identifier is free again."""
    protection = BruteForceProtection(BruteForce())
    failed(protection, 10)

    assert protection.blocks("192.0.2.1", "ada@example.com", NOW + 29 * 86_400)
    assert not protection.blocks("192.0.2.1", "ada@example.com", NOW + 31 * 86_400)


def test_a_success_forgets_the_failures() -> None:
    """Failures count in a row."""
    protection = BruteForceProtection(BruteForce(failures=2))
    failed(protection, 1)
    protection.succeeded("192.0.2.1", "ada@example.com")
    failed(protection, 1)

    assert not protection.blocks("192.0.2.1", "ada@example.com", NOW)


def test_can_be_off() -> None:
    """Switched off, nothing blocks."""
    protection = BruteForceProtection(BruteForce(enabled=False, failures=1))
    failed(protection, 5)

    assert not protection.blocks("192.0.2.1", "ada@example.com", NOW)


@pytest.mark.parametrize(
    ("fault", "text"),
    [
        ("21211", "(Code: 21211)"),
        ("21408", "(Code: 21408)"),
        ("99999", "(Code: 99999)"),
        ("status:503", "Unexpected response while calling the SMS gateway: 503"),
        ("status:401", "Authentication failed while calling the SMS gateway: 401"),
        ("timeout", "Timeout while calling the SMS gateway: ESOCKETTIMEDOUT"),
    ],
)
def test_provider_faults_have_auth0s_texts(fault: str, text: str) -> None:
    """Each failure of the provider is a 400 sms_provider_error with its own text."""
    refusal = call_sms_provider(Providers(sms_fault=fault))

    assert refusal is not None
    assert (refusal.answer.status, refusal.error) == (400, "sms_provider_error")
    assert text in refusal.description


def test_a_timeout_takes_its_time() -> None:
    """Auth0 waits for the gateway before it answers; a working provider answers nothing bad."""
    refusal = call_sms_provider(Providers(sms_fault="timeout", timeout_s=30))

    assert refusal is not None
    assert refusal.answer.delay_s == 30
    assert call_sms_provider(Providers()) is None
