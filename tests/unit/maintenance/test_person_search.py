"""A person is found in a foreign document, whatever form it has."""

from __future__ import annotations

import base64
import json
import time
from typing import Any

import pytest

from gatepost_core.sealing import Key, Keyring, Purpose
from gatepost_operations.maintenance.person_search import PersonSearch

RING = Keyring([Key("k", bytes(32))])
ADDRESS = "ana.gómez@example.com"
SEALED = RING.seal(json.dumps({"email": ADDRESS}).encode(), Purpose.submission())
BODY = base64.b64encode(json.dumps([[], {"command": {"email": ADDRESS, "extra": "x" * 60}}, {}]).encode()).decode()


def unseal(text: str) -> str | None:
    return RING.open(text, Purpose.submission()).decode() if text == SEALED else None


def mentions(document: Any, recipient: str = ADDRESS) -> bool:
    return bool(PersonSearch(recipient, unseal).is_in(document))


@pytest.mark.parametrize(
    "document",
    [
        {"headers": {"x": ADDRESS}},
        {"headers": {ADDRESS: 1}},
        ["Ana Gómez <ANA.GÓMEZ@EXAMPLE.COM>"],
        "ana.go\u0301mez@example.com",
        json.dumps({"email": ADDRESS}),
        json.dumps(json.dumps({"email": ADDRESS})),
        {"body": json.dumps([[], {"command": {"email": "Ana.Gómez@Example.com"}}, {}])},
        {"raw": json.dumps({"body": BODY, "headers": {}})},
        {"raw": json.dumps({"body": BODY, "headers": {}})[:-20]},
        {"body": json.dumps([[], {"command": SEALED}, {}])},
        base64.urlsafe_b64encode(f"??>>{ADDRESS}??>>".encode()).decode().rstrip("="),
        "https://example.com/?email=ana.g%C3%B3mez%40example.com",
    ],
    ids=[
        "value",
        "key",
        "case",
        "composed",
        "json",
        "json-twice",
        "body",
        "envelope",
        "cut-off",
        "sealed",
        "url64",
        "percent",
    ],
)
def test_an_address_is_found(document: Any) -> None:
    """As a sender may have written it."""
    assert mentions(document)


@pytest.mark.parametrize("written", ["ana@xn--bcher-kva.example", "ana@BÜCHER.example", '"x" <ana@bücher.example>,'])
def test_a_domain_is_found_in_either_spelling(written: str) -> None:
    """A file may write a domain in Unicode, another system in ASCII."""
    assert mentions({"to": written}, "ana@bücher.example")


@pytest.mark.parametrize(
    "document",
    [
        "+447700900123",
        "+44 7700 900-123",
        "0044 (7700) 900123",
        {"phone": 447700900123},
        {"raw": "tel:+44.7700.900.123"},
    ],
)
def test_a_number_is_found_however_it_is_grouped(document: Any) -> None:
    """With its country code; without one the number is ambiguous."""
    assert mentions(document, "+447700900123")


@pytest.mark.parametrize(
    "document",
    [
        {"email": "other@example.com"},
        "ana.gomez@example.com",
        "@" * 200,
        "7700 900123",
        {"a": [None, 1.5, True]},
        "[" * 100_000,
        RING.seal(b"{}", Purpose.command("x")),
        "x^2 + y^2 = z^2",
        {"content-encoding": "utf-8", "content_encoding": "UTF-16LE", "body": "BZhello"},
    ],
    ids=["other", "accent", "signs", "national", "scalars", "deep", "foreign-seal", "formula", "plain"],
)
def test_somebody_else_is_not(document: Any) -> None:
    """And nothing that a stranger writes makes the search fail."""
    assert PersonSearch(ADDRESS, unseal).is_in(document) is False
    assert PersonSearch("+447700900124", unseal).is_in(document) is False


def test_a_body_in_utf_16_is_searched() -> None:
    """As far as the address is ASCII."""
    body = json.dumps({"email": "ana@example.com"}).encode("utf-16")

    assert mentions({"body": base64.b64encode(body).decode()}, "ana@example.com")


def test_what_is_too_deep_is_said() -> None:
    """The search claims nothing about a document that it did not read to its end."""
    deep = json.loads("[" * 80 + "]" * 80)

    assert PersonSearch(ADDRESS, unseal).is_in(deep) is None
    assert mentions([deep, ADDRESS])


@pytest.mark.parametrize(
    "text",
    [
        "a" * 1_000_000,
        "eyJ" * 300_000,
        "a@" * 400_000,
        "a.b-" * 250_000,
        "(" * 1_000_000,
        "\u0301\u0316" * 200_000,
        "\u0f73\u0f75" * 200_000,
    ],
)
def test_a_long_document_is_searched_in_time(text: str) -> None:
    """No text makes the search take longer than its length accounts for; a minute would be a thousand times too long."""
    started = time.process_time()

    assert not mentions({"raw": text})
    assert time.process_time() - started < 30
