"""The types of events, and the payload of each: ids, counts, states and reasons, never a person."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, Self

from gatepost_core.redis.keys import moment

if TYPE_CHECKING:
    from collections.abc import Mapping

STORED_VERSION: Final = "1"
"""The version of a stored event."""
# No `@` and no `+`, and no text of digits alone: neither an address nor a phone number nor a code.
_WORD: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.:-]{0,127}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_FIELD: Final = re.compile(r"[a-z][a-z_]{0,63}")
# A name from the settings, which may be a number.
_TENANT: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")
# The ids of other clients' operations.
_OTHER_ID: Final = re.compile(r"(?=.*[A-Za-z])(?=.*[0-9])[A-Za-z0-9_-]{16,64}")

_OF_CAMPAIGN: Final = {
    "campaign_id": "the id of the campaign",
    "total": "the number of the campaign's recipients",
    "counts": "the number of recipients in each state",
}


@dataclass(frozen=True, slots=True)
class Entry:
    """One type of event.

    Attributes:
        name: the `type` in the payload.
        summary: when it is recorded.
        fields: the fields of `data`, each with its meaning.
    """

    name: str
    summary: str
    fields: Mapping[str, str]


class EventType(StrEnum):
    """The kind of event. The attributes are those of its entry."""

    summary: str
    fields: Mapping[str, str]

    def __new__(cls, entry: Any) -> Self:
        """Make a member of its entry."""
        event = str.__new__(cls, entry.name)
        event._value_ = entry.name
        event.summary, event.fields = entry.summary, entry.fields
        return event

    CAMPAIGN_FINISHED = Entry(
        "campaign.finished",
        "A campaign is finished or cancelled, so each of its recipients has a final state.",
        {**_OF_CAMPAIGN, "status": "`finished` or `cancelled`"},
    )
    CAMPAIGN_PAUSED = Entry(
        "campaign.paused",
        "Gatepost has paused a campaign because of errors.",
        {
            **_OF_CAMPAIGN,
            "reason": "why Gatepost paused the campaign: `refused`, `failures_in_a_row` or `error_share`",
            "cause": "the last [failure](failures.md#exceptions) before the pause, such as `client_rejected`",
        },
    )
    CAMPAIGN_THRESHOLD_REACHED = Entry(
        "campaign.threshold_reached",
        "A campaign has reached one of these percentages: 25, 50 or 75 percent of its recipients have a final state, or 1, 5, 10, 25 or 50 percent have failed.",
        {
            **_OF_CAMPAIGN,
            "measure": "`ended` for the percentage of recipients in a final state, `failed` for the percentage of failed recipients",
            "percent": "the percentage, such as 25",
        },
    )
    OPERATION_ENDED = Entry(
        "operation.ended",
        "A single send or a login has ended.",
        {
            "operation_id": "the id of the send or login",
            "kind": "the kind, such as `send_email`",
            "state": "the final [state](glossary.md#states)",
            "reason": "the [reason](failures.md#exceptions) for the state, such as `code_expired`; absent if there is none",
        },
    )
    DEAD_LETTER_ARRIVED = Entry(
        "dead_letter.arrived",
        "Gatepost stored a message from the queue as a [dead letter](glossary.md#dead-letter), because no worker could accept it.",
        {
            "dead_letter_id": "the id of the dead letter",
            "dead_letters": "the number of dead letters, including this one",
        },
    )
    PROBE_FAILED = Entry(
        "probe.failed",
        "The [login probe](../how-to/probe-logins.md) failed.",
        {
            "tenant": "the name of the tenant that the probe used",
            "channel": "`email` or `sms`",
            "step": "the step that failed: `mailbox`, `send`, `arrival`, `login` or `tokens`",
            "reason": "why the probe failed, such as `mailbox_unreachable`: see [all reasons](../how-to/runbook/login-probe.md#the-login-probe-fails)",
        },
    )
    TEST = Entry(
        "webhook.test",
        "An operator ran `gatepost webhooks test`. Only the tested endpoint gets this event.",
        {"endpoint_id": "the id of the endpoint"},
    )


SUBSCRIBABLE: Final = tuple(event for event in EventType if event is not EventType.TEST)
"""The types that an endpoint can subscribe to. Each endpoint gets its own tests."""


def checked_data(event: EventType, data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the data of an event.

    Args:
        event: its type.
        data: its fields: numbers, words, or numbers by word.

    Raises:
        ValueError: a field does not belong to the type, or its value could be personal. The message names the field, never the value.
    """
    for name, value in data.items():
        if name not in event.fields:
            raise ValueError(f"{event} has no field {name}")
        if not _is_impersonal(name, value):
            raise ValueError(f"{name} of {event} must be a number, a word or numbers by word")
    return dict(data)


def payload(event: EventType, at_ms: int, data: Mapping[str, Any]) -> bytes:
    """Return the body of a webhook: JSON with `type`, `timestamp` and `data`. Fields that the type does not have are left out.

    Source: Standard Webhooks 1.0.0, "Payload structure".
    """
    known = {name: data[name] for name in event.fields if name in data and _is_impersonal(name, data[name])}
    timestamp = moment(at_ms).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return json.dumps({"type": event.value, "timestamp": timestamp, "data": known}, separators=(",", ":")).encode()


def _is_impersonal(name: str, value: Any) -> bool:
    if name == "tenant":
        return isinstance(value, str) and _TENANT.fullmatch(value) is not None
    if isinstance(value, dict):
        return all(
            isinstance(name, str) and _FIELD.fullmatch(name) and type(count) is int for name, count in value.items()
        )
    return type(value) is int or (
        isinstance(value, str) and (_WORD.fullmatch(value) or _OTHER_ID.fullmatch(value)) is not None
    )
