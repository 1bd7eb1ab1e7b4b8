"""The payload of an event has its type's fields and no value that could be personal."""

from __future__ import annotations

import json

import pytest

from gatepost_core.webhooks.events import SUBSCRIBABLE, EventType, checked_data, payload
from support.sources import sources

PERSONAL = ["ana@example.com", "+447700900847", "447700900847", "123456", "a b", "", None, 1.5, ["ana"], {"a": "b"}]


def test_a_payload_has_type_time_and_data() -> None:
    """In the form of Standard Webhooks, with the time of the event in UTC."""
    body = payload(EventType.DEAD_LETTER_ARRIVED, 1_767_225_600_123, {"dead_letter_id": "a", "dead_letters": 2})

    assert json.loads(body) == {
        "type": "dead_letter.arrived",
        "timestamp": "2026-01-01T00:00:00.123Z",
        "data": {"dead_letter_id": "a", "dead_letters": 2},
    }


@pytest.mark.parametrize("value", PERSONAL, ids=repr)
def test_a_value_that_could_be_personal_is_neither_recorded_nor_sent(value: object) -> None:
    """Refused when an event is recorded, and left out if it is in the outbox all the same."""
    data = {"operation_id": value, "state": "accepted"}
    with pytest.raises(ValueError, match=r"operation_id of operation\.ended must be") as problem:
        checked_data(EventType.OPERATION_ENDED, data)

    assert not value or str(value) not in str(problem.value)
    assert json.loads(payload(EventType.OPERATION_ENDED, 0, data))["data"] == {"state": "accepted"}


def test_a_field_of_another_type_is_neither_recorded_nor_sent() -> None:
    """Each type names its fields."""
    with pytest.raises(ValueError, match=r"probe\.failed has no field recipient"):
        checked_data(EventType.PROBE_FAILED, {"recipient": "ana"})

    assert json.loads(payload(EventType.PROBE_FAILED, 0, {"recipient": "ana"}))["data"] == {}


def test_the_largest_payload_is_small() -> None:
    """Below the 20 kB that Standard Webhooks asks for."""
    counts = {f"state_{'x' * number}": 10**9 for number in range(40)}
    data = {"campaign_id": "c" * 128, "total": 10**9, "counts": counts, "reason": "r" * 128, "cause": "c" * 128}

    assert len(payload(EventType.CAMPAIGN_PAUSED, 10**13, data)) < 20_000


def test_scripts_record_only_types_that_exist() -> None:
    """The name of a type in Lua is that of the table."""
    named = {
        part.split("'")[0]
        for path in sources().values()
        if path.suffix in {".lua", ".py"}
        for part in path.read_text("utf-8").split("record_event('")[1:]
    }

    assert named <= set(SUBSCRIBABLE)
    assert named >= {"operation.ended", "campaign.finished", "campaign.paused", "dead_letter.arrived"}
