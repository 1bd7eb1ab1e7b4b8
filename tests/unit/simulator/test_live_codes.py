"""Live codes: one for each recipient, for a while, for three tries, once."""

from __future__ import annotations

from typing import Any

from gatepost_simulator.codes import CodeCheck, LiveCodes
from gatepost_simulator.settings import Connection

NOW = 1_000_000.0
ADA = "ada@example.com"


def codes(*, across: bool = False, **connection: Any) -> LiveCodes:
    return LiveCodes(Connection(name="email", strategy="email", **connection), tries_across_resends=across)


def wrong(code: str) -> str:
    return "0" * len(code) if set(code) != {"0"} else "1" * len(code)


def test_a_good_code_works_once() -> None:
    """The first use is good, the second is as wrong as any other code."""
    live = codes()
    code = live.issue(ADA, NOW).code
    verdicts = [live.check(ADA, code, NOW), live.check(ADA, code, NOW)]

    assert verdicts == [CodeCheck.GOOD, CodeCheck.WRONG]


def test_a_newer_code_voids_the_older() -> None:
    """Only the last code sent is good."""
    live = codes(digits=12)
    older, newer = live.issue(ADA, NOW).code, live.issue(ADA, NOW).code

    assert live.check(ADA, older, NOW) is CodeCheck.WRONG
    assert live.check(ADA, newer, NOW) is CodeCheck.GOOD


def test_a_code_expires_after_its_lifetime() -> None:
    """At 180 seconds it is gone, at 179 it is good."""
    live = codes()
    first = live.issue(ADA, NOW).code
    expired = live.check(ADA, first, NOW + 180)
    second = live.issue(ADA, NOW).code

    assert expired is CodeCheck.EXPIRED
    assert live.check(ADA, second, NOW + 179.9) is CodeCheck.GOOD


def test_the_right_code_fails_after_three_wrong_tries() -> None:
    """Three wrong tries use a code up, even for who knows it."""
    live = codes()
    code = live.issue(ADA, NOW).code
    verdicts = [live.check(ADA, wrong(code), NOW) for _ in range(3)]

    assert verdicts == [CodeCheck.WRONG] * 3
    assert live.check(ADA, code, NOW) is CodeCheck.EXHAUSTED


def test_tries_start_anew_with_a_new_code() -> None:
    """By default tries count for a code."""
    live = codes()
    code = live.issue(ADA, NOW).code
    for _ in range(3):
        live.check(ADA, wrong(code), NOW)

    assert live.check(ADA, live.issue(ADA, NOW).code, NOW) is CodeCheck.GOOD


def test_tries_can_count_across_resends() -> None:
    """In the strict reading a new code inherits the tries left, until the older would have expired."""
    live = codes(across=True)
    code = live.issue(ADA, NOW).code
    for _ in range(3):
        live.check(ADA, wrong(code), NOW)
    inherited = live.check(ADA, live.issue(ADA, NOW + 1).code, NOW + 1)

    assert inherited is CodeCheck.EXHAUSTED
    assert live.check(ADA, live.issue(ADA, NOW + 500).code, NOW + 500) is CodeCheck.GOOD


def test_a_try_can_be_spent_without_a_verdict() -> None:
    """A rate-limited request costs a try if the switch is set."""
    live = codes()
    code = live.issue(ADA, NOW).code
    for _ in range(3):
        live.spend_try(ADA)
    live.spend_try("absent@example.com")

    assert live.check(ADA, code, NOW) is CodeCheck.EXHAUSTED


def test_codes_have_the_connections_length() -> None:
    """Digits are the connection's, leading zeros kept."""
    live = codes(digits=8)
    found = {live.issue(f"{number}@example.com", NOW).code for number in range(200)}

    assert {len(code) for code in found} == {8}
    assert len(found) > 190


def test_codes_long_dead_are_forgotten() -> None:
    """Memory holds the codes of some minutes, not all that ever were."""
    live = codes()
    for number in range(1000):
        live.issue(f"{number}@example.com", NOW)
    for number in range(600):
        live.issue(f"late-{number}@example.com", NOW + 10_000)

    assert len(live) == 600
