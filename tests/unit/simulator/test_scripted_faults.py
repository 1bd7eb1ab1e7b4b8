"""Scripted faults: their recipients, their number, and their answers."""

from __future__ import annotations

from typing import Any

import pytest

from gatepost_simulator.faults import Fault, Faults, When
from support.simulated_requests import START, TOKEN, request


def queue(*faults: dict[str, Any]) -> Faults:
    found = Faults()
    for each in faults:
        found.script(Fault.model_validate(each))
    return found


def test_strikes_as_often_as_it_was_told() -> None:
    """A count of two strikes twice and is gone."""
    faults = queue({"status": 503, "count": 2})
    strikes = 0
    while (fault := faults.find(request())) is not None:
        faults.use(fault)
        strikes += 1

    assert strikes == 2
    assert not faults


def test_count_zero_stays_until_removed() -> None:
    """A fault without an end is removed by its number."""
    faults = Faults()
    scripted = faults.script(Fault(status=503, count=0))
    for _ in range(10):
        assert faults.find(request()) is scripted
        faults.use(scripted)

    assert scripted.struck == 10
    assert faults.remove(scripted.id)
    assert not faults.remove(scripted.id)


@pytest.mark.parametrize(
    ("fault", "strikes"),
    [
        ({}, True),
        ({"endpoint": START}, True),
        ({"endpoint": TOKEN}, False),
        ({"recipient": "ADA@example.com"}, True),
        ({"recipient": "bob@example.com"}, False),
        ({"client_id": "app"}, True),
        ({"client_id": "other"}, False),
    ],
)
def test_matches_endpoint_recipient_and_client(fault: dict[str, Any], strikes: bool) -> None:  # noqa: FBT001 - a table
    """Each condition is optional, and all that are given must hold."""
    found = queue(fault).find(request(client_id="app", email="ada@example.com"))

    assert (found is not None) == strikes


def test_the_first_that_matches_strikes() -> None:
    """Faults are a queue: a script of answers comes in its order."""
    faults = queue({"status": 503}, {"status": 502}, {"status": 500, "endpoint": TOKEN})
    found = []
    while (fault := faults.find(request())) is not None:
        found.append(fault.status)
        faults.use(fault)

    assert found == [503, 502]
    assert [fault.status for fault in faults.waiting()] == [500]


def test_replacement_has_the_body_and_headers_given() -> None:
    """Members join the JSON body, headers the answer; a raw body replaces the shape's."""
    shaped = Fault(status=403, error="mfa_required", members={"mfa_token": "t"}, headers={"DPoP-Nonce": "n"})
    raw = Fault(status=200, body="{}")
    first, second = shaped.replacement(), raw.replacement()

    assert first is not None
    assert b'"mfa_token":"t"' in first.body
    assert first.headers == ((b"dpop-nonce", b"n"),)
    assert second is not None
    assert second.body == b"{}"


def test_a_fault_without_an_answer_only_delays() -> None:
    """Neither status nor drop: the real answer comes, late."""
    fault = Fault(delay_s=1.0, when=When.AFTER)

    assert not fault.replaces
    assert fault.replacement() is None
