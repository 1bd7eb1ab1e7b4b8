"""A person is found in a foreign document, whatever form it has."""

from __future__ import annotations

import base64
import bz2
import gzip
import json
import lzma
import time
import zlib
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from gatepost_core.sealing import Key, Keyring, Purpose
from gatepost_operations.maintenance.person_search import PersonSearch
from gatepost_operations.maintenance.unpacking import LONGEST_UNPACKED

if TYPE_CHECKING:
    from collections.abc import Callable

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
    """What a file says in Unicode another system says in ASCII."""
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
    """With its country code; without one nobody knows whose it is."""
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


def narrow(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=9)
    return packer.compress(data) + packer.flush()


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def in_members(pack: Callable[[bytes], bytes]) -> Callable[[bytes], bytes]:
    return lambda data: pack(b"something else ") + pack(data)


@pytest.mark.parametrize(
    "pack",
    [
        zlib.compress,
        gzip.compress,
        bz2.compress,
        lzma.compress,
        partial(lzma.compress, format=lzma.FORMAT_ALONE),
        in_members(gzip.compress),
        in_members(bz2.compress),
        in_members(lzma.compress),
        lambda data: gzip.compress(gzip.compress(data)),
        lambda data: b"\r\n" + gzip.compress(data),
    ],
    ids=["zlib", "gzip", "bz2", "xz", "lzma", "gzips", "bz2s", "xzs", "twice", "line-end"],
)
def test_a_compressed_body_is_searched(pack: Callable[[bytes], bytes]) -> None:
    """Over Redis it is base64, over AMQP bytes, which are kept as halves of surrogate pairs; a cut-off one says what is left."""
    data = pack(json.dumps([[], {"command": {"email": ADDRESS}}, {}], ensure_ascii=False).encode())

    assert mentions({"body": encoded(data)})
    assert mentions({"body": data.decode("utf-8", "surrogateescape")})
    assert mentions({"raw": json.dumps({"body": encoded(data)})[:-3]})
    assert mentions({"headers": {"compression": "application/x-gzip"}, "body": encoded(data)})
    other = PersonSearch("other@example.com", unseal)
    assert other.is_in({"headers": {"compression": "gzip"}, "body": encoded(data)}) is False


def test_a_body_in_utf_16_is_searched() -> None:
    """As far as the address is ASCII."""
    body = json.dumps({"email": "ana@example.com"}).encode("utf-16")

    assert mentions({"body": encoded(body)}, "ana@example.com")
    assert mentions({"body": body.decode("utf-8", "surrogateescape")}, "ana@example.com")


@pytest.mark.parametrize(
    "document",
    [
        {"headers": {"compression": "application/x-brotli"}, "body": "?"},
        {"content_encoding": "rot13", "body": "nan@rknzcyr.pbz"},
        {"body": encoded(b"\x28\xb5\x2f\xfd" + bytes(20))},
        {"body": encoded(zlib.compress(bytes(LONGEST_UNPACKED + 1)))},
        {"body": encoded(gzip.compress(b"ana@example.com")[:-8] + bytes(8))},
        {"headers": {"compression": "deflate"}, "body": encoded(zlib.compress(b"ana@example.com")[2:-4])},
        {"headers": {"compression": "gzip, br"}, "body": encoded(zlib.compress(b"ana@example.com")[2:-4])},
        {"headers": {"compression": "application/x-gzip"}, "body": encoded(narrow(b"ana@example.com"))},
        {"body": [encoded(zlib.compress(bytes(LONGEST_UNPACKED // 3))) for _ in range(4)]},
        json.loads("[" * 80 + "]" * 80),
    ],
    ids=["brotli", "rot13", "zstandard", "bomb", "checksum", "raw", "several", "window", "bombs", "levels"],
)
def test_what_cannot_be_read_is_said(document: Any) -> None:
    """Nobody is told that a person is gone who may be there still."""
    assert PersonSearch(ADDRESS, unseal).is_in(document) is None
    assert mentions([document, ADDRESS])


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
