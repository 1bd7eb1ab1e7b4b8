"""A refused message is stored so that a person can be found in it."""

from __future__ import annotations

import base64
import bz2
import gzip
import json
import lzma
import zlib
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from gatepost_core.dead_letter_contents import contents_of
from gatepost_operations.maintenance.person_search import PersonSearch

if TYPE_CHECKING:
    from collections.abc import Callable

ADDRESS = "ana@example.com"
BODY = json.dumps([[], {"command": {"email": ADDRESS}}, {}]).encode()


def stored(message: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(contents_of(message))
    return found


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def mentions(message: dict[str, Any]) -> bool:
    return bool(PersonSearch(ADDRESS, lambda _: None).is_in(stored(message)))


@pytest.mark.parametrize(
    "message",
    [
        {"headers": {"task": "x"}, "body": BODY.decode(), "content_encoding": "utf-8"},
        {"headers": {"task": "x"}, "body": encoded(BODY)},
        {"headers": {ADDRESS: 1}, "properties": {"priority": 0}},
        {"raw": json.dumps({"body": encoded(BODY), "properties": {"body_encoding": "base64"}, "headers": {}})},
        {"raw": f"to: {ADDRESS}"},
        {"raw": json.dumps({"to": ADDRESS})[:-2]},
    ],
    ids=["body", "base64", "header", "envelope", "text", "cut-off"],
)
def test_a_message_that_can_be_searched_is_stored_as_it_came(message: dict[str, Any]) -> None:
    """A replay or a person who looks at it has all of it, and an erasure finds the address."""
    assert stored(message) == message
    assert mentions(message)


@pytest.mark.parametrize(
    "pack",
    [
        zlib.compress,
        partial(zlib.compress, level=1),
        partial(zlib.compress, level=9),
        gzip.compress,
        bz2.compress,
        lzma.compress,
        partial(lzma.compress, format=lzma.FORMAT_ALONE),
        lambda data: b"\x28\xb5\x2f\xfd" + data,
        lambda data: b"\x04\x22\x4d\x18" + data,
        lambda data: zlib.compress(data)[2:-4],
        lambda data: data.decode().encode("utf-16"),
        lambda data: bytes(byte ^ 0x55 for byte in data),
    ],
    ids=["zlib", "fast", "best", "gzip", "bz2", "xz", "lzma", "zstd", "lz4", "deflate", "utf-16", "unknown"],
)
def test_a_body_that_cannot_be_searched_is_not_stored(pack: Callable[[bytes], bytes]) -> None:
    """Whether it comes as bytes over AMQP or as base64 over Redis; the headers stay."""
    headers = {"task": "x", "id": "y"}
    as_bytes = stored({"headers": headers, "body": pack(BODY).decode("utf-8", "surrogateescape")})
    as_base64 = stored({"headers": headers, "body": encoded(pack(BODY))})
    envelope = stored({"raw": json.dumps({"headers": headers, "body": encoded(pack(BODY))})})

    assert (as_bytes["headers"], as_bytes["body"]) == (headers, "")
    assert (as_base64["headers"], as_base64["body"]) == (headers, "")
    assert envelope["raw"] == ""
    assert "cannot be searched" in envelope["note"]


@pytest.mark.parametrize("pack", [zlib.compress, gzip.compress, bz2.compress, lzma.compress])
def test_a_packed_value_inside_json_is_not_stored(pack: Callable[[bytes], bytes]) -> None:
    """In a body it costs the body; in a header it costs the whole message."""
    value = encoded(pack(ADDRESS.encode()))
    in_body = stored({"headers": {}, "body": json.dumps([[], {"command": value}, {}])})
    in_base64 = stored({"headers": {}, "body": encoded(json.dumps([[], {"command": value}, {}]).encode())})
    in_header = stored({"headers": {"x": value}, "body": "[]"})

    assert in_body["body"] == in_base64["body"] == ""
    assert set(in_header) == {"raw", "note"}


@pytest.mark.parametrize(
    "message",
    [
        {"headers": {"compression": "application/x-brotli"}, "body": "[]"},
        {"headers": {}, "content_encoding": "rot13", "body": json.dumps("nan@rknzcyr.pbz")},
        {"headers": {"Content-Encoding": "br"}, "body": "[]"},
    ],
    ids=["brotli", "rot13", "header"],
)
def test_a_body_in_a_named_encoding_is_not_stored(message: dict[str, Any]) -> None:
    """Text may hide a person as well as bytes do."""
    assert stored(message)["body"] == ""


@pytest.mark.parametrize(
    "message",
    [{"raw": "\x01" * (7 << 20)}, {"headers": {(1,): 2}}, {"raw": "\udc8b"}, {"body": "[" * 100_000, "headers": {}}],
    ids=["long", "not JSON", "bytes", "deep"],
)
def test_storing_never_fails(message: dict[str, Any]) -> None:
    """A worker must be rid of any message."""
    assert "cannot be searched" in stored(message)["note"]
