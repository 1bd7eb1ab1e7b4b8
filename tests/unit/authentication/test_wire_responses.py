"""Responses in bytes: where each ends, and whether its connection may carry another request."""

from __future__ import annotations

import gzip
from http.client import HTTPException

import pytest
from urllib3.exceptions import DecodeError

from gatepost_worker.authentication.wire_response import HEADERS_LIMIT, INTERIM_LIMIT, ResponseReader

SIZED = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"
HINTS = b"HTTP/1.1 103 Early Hints\r\nContent-Length: 5\r\n\r\n"


def read(*pieces: bytes) -> ResponseReader:
    reader = ResponseReader()
    complete = [reader.feed(piece) for piece in pieces]

    assert complete == [False] * (len(pieces) - 1) + [True]
    return reader


@pytest.mark.parametrize(
    ("raw", "may_continue"),
    [
        (SIZED, True),
        (CHUNKED, True),
        (HINTS * 3 + SIZED, True),
        (b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", True),
        (SIZED + b"\r\n", False),
        (CHUNKED + b"\r\n", False),
        (SIZED + SIZED, False),
        (SIZED + b"noise", False),
        (b"HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\n{}", False),
        (SIZED.replace(b"\r\n\r\n", b"\r\nConnection: keep-alive\r\nConnection: Close\r\n\r\n"), False),
        (SIZED.replace(b"1.1", b"1.0"), False),
    ],
)
def test_a_connection_is_used_again_only_if_the_response_ended_and_no_byte_is_left(
    raw: bytes, *, may_continue: bool
) -> None:
    """Whatever frames the response, and whatever follows it."""
    assert read(raw).may_continue is may_continue


@pytest.mark.parametrize("raw", [SIZED, CHUNKED, HINTS + SIZED])
def test_a_response_may_come_in_any_pieces(raw: bytes) -> None:
    """A byte at a time."""
    reader = read(*(raw[at : at + 1] for at in range(len(raw))))

    assert (reader.status, reader.body(), reader.may_continue) == (200, b"{}", True)


def test_a_reader_reads_one_response_after_the_other() -> None:
    """The facts about the first are forgotten."""
    reader = read(SIZED.replace(b"\r\n\r\n", b"\r\nX-RateLimit-Limit: 5\r\n\r\n"))
    limits = [reader.headers.get("X-RateLimit-Limit")]
    reader.begin()
    reader.feed(CHUNKED)
    limits.append(reader.headers.get("X-RateLimit-Limit"))

    assert limits == ["5", None]
    assert reader.body() == b"{}"


@pytest.mark.parametrize(
    "raw",
    [
        HINTS * (INTERIM_LIMIT + 1) + SIZED,
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * (HEADERS_LIMIT + 1) + b"\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * (1 << 18) + b"\r\n\r\n",
        SIZED.replace(b": 2", b": 4000000").ljust(3_000_000),
        SIZED.replace(b": 2", b": 2\r\nContent-Length: 3"),
        b"SSH-2.0-OpenSSH_9.6\r\n",
    ],
    ids=["interim", "101", "headers", "long header", "body", "two lengths", "SSH"],
)
def test_what_is_too_much_or_no_response_is_refused(raw: bytes) -> None:
    """Before it fills the memory."""
    with pytest.raises(HTTPException):
        ResponseReader().feed(raw)


@pytest.mark.parametrize("raw", [b"", b"HTTP/1.1 20", SIZED[:-1], CHUNKED[:-2], SIZED[:30]])
def test_the_end_of_the_stream_ends_no_other_response(raw: bytes) -> None:
    """Only a response without length and chunks ends with its connection."""
    reader = ResponseReader()
    if raw:
        assert not reader.feed(raw)
    endless = ResponseReader()
    assert not endless.feed(b"HTTP/1.1 200 OK\r\n\r\n{}")
    endless.end()

    assert endless.body() == b"{}"
    with pytest.raises(HTTPException):
        reader.end()


def test_a_compressed_body_is_inflated_within_the_limit() -> None:
    """A body of a megabyte is not Auth0's."""

    def answer(coding: bytes, body: bytes) -> ResponseReader:
        return read(
            b"HTTP/1.1 200 OK\r\nContent-Encoding: %b\r\nContent-Length: %d\r\n\r\n%b" % (coding, len(body), body)
        )

    assert answer(b"gzip", gzip.compress(b"{}")).body() == b"{}"
    for coding, body in ((b"gzip", b"nope"), (b"gzip", gzip.compress(bytes(2_000_000))), (b"br", b"nope")):
        with pytest.raises(DecodeError):
            answer(coding, body).body()
