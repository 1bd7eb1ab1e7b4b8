"""The reference of webhooks lists every type of event with its fields, as the code has them."""

from __future__ import annotations

import json
import re

from gatepost_core.webhooks.events import EventType, payload
from support.checkout import CHECKOUT

PAGE = CHECKOUT / "docs" / "reference" / "webhooks.md"
_SECTION = re.compile(r"^### `(?P<type>[a-z_.]+)`\n\n(?P<summary>[^\n]+)\n\n(?P<table>(?:\|[^\n]*\n)+)", re.MULTILINE)
_FIELD = re.compile(r"^\| `(?P<field>[a-z_]+)` \| (?P<meaning>.+) \|$", re.MULTILINE)


def test_the_page_lists_every_event_as_the_code_has_it() -> None:
    """A new type or field is documented before it is sent."""
    page = PAGE.read_text(encoding="utf-8")
    documented = {
        section["type"]: (section["summary"], dict(_FIELD.findall(section["table"])))
        for section in _SECTION.finditer(page)
    }

    assert documented == {event.value: (event.summary, dict(event.fields)) for event in EventType}


def test_the_payload_on_the_page_is_one_that_gatepost_sends() -> None:
    """It passes the check of fields and values unchanged."""
    (shown,) = re.findall(r"```json\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    document = json.loads(shown)

    sent = json.loads(payload(EventType(document["type"]), 1_777_896_000_000, document["data"]))
    assert sent == document
