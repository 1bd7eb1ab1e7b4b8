"""Reads responses from the bytes of a connection with llhttp, and tells whether the connection may carry another request.

Interim responses are skipped before the parser sees them: llhttp reads a body after some of them.
"""

from __future__ import annotations

import zlib
from http import HTTPStatus
from http.client import BadStatusLine, HTTPException, IncompleteRead, RemoteDisconnected, UnknownProtocol
from typing import Any, Final

from httptools import HttpParserCallbackError, HttpParserError, HttpParserUpgrade, HttpResponseParser
from urllib3.exceptions import DecodeError

BODY_LIMIT: Final = 1 << 20
HEAD_LIMIT: Final = 1 << 16
HEADERS_LIMIT: Final = 100
INTERIM_LIMIT: Final = 16
_STATUS_LINE: Final = len(b"HTTP/1.1 200")
_LAST_CHUNK: Final = b"\r\n0\r\n\r\n"
_GZIP_OR_ZLIB: Final = 47
_PLAIN: Final = frozenset({"", "identity"})
_BODILESS: Final = (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED)
# The headers that are read. The others are not kept: there are twenty of them in each of Auth0's responses.
_KEPT: Final = frozenset(
    {
        b"content-encoding",
        b"date",
        b"retry-after",
        b"auth0-ratelimit",
        b"x-ratelimit-limit",
        b"x-ratelimit-remaining",
        b"x-ratelimit-reset",
    }
)


class Headers(dict[str, str]):
    """Headers by name, looked up without regard to case."""

    def get(self, name: str, default: Any = None) -> Any:
        """Return a header's value."""
        return super().get(name.lower(), default)

    def __getitem__(self, name: str) -> str:
        return super().__getitem__(name.lower())

    def __contains__(self, name: object) -> bool:
        return super().__contains__(str(name).lower())


class ResponseReader:
    """Reads one response at a time. `feed` until it returns True, then take the response; `begin` before the next.

    Attributes:
        status: the status of the final response; None before its headers are complete.
        headers: its headers.
    """

    def __init__(self) -> None:
        self._parser = HttpResponseParser(self)
        self.begin()

    def begin(self) -> None:
        """Forget the last response."""
        self.status: int | None = None
        self.headers = Headers()
        self._raw = b""
        self._parsing = self._complete = self._chunked = self._sized = False
        self._keep_alive = False
        self._interim = self._names = 0
        self._body: list[bytes] = []

    def feed(self, data: bytes) -> bool:
        """Take bytes, and return whether the response is complete.

        Raises:
            HTTPException: they are not a response, or too much of one.
        """
        raw = self._raw + data if self._raw else data
        if not self._parsing:
            raw = data = self._without_interim(raw)
            self._parsing = len(raw) >= _STATUS_LINE and not _is_interim(raw)
        self._raw = raw
        if len(raw) > (BODY_LIMIT if self.status else HEAD_LIMIT) + HEAD_LIMIT:
            raise BadStatusLine("the response is too large")
        if self._parsing:
            self._parse(data)
        return self._complete

    def end(self) -> None:
        """Take the end of the stream. Some responses end with it.

        Raises:
            HTTPException: the response is not complete.
        """
        if not self._raw:
            raise RemoteDisconnected("the connection was closed without a response")
        if self.status is None and b"\r\n" not in self._raw:
            raise BadStatusLine("the status line broke off")
        if self.status is None or self._chunked or self._sized:
            raise IncompleteRead(b"")

    @property
    def may_continue(self) -> bool:
        """Whether the response's end is certain, no byte follows it, and the server keeps the connection open."""
        if not self._keep_alive:
            return False
        if self._chunked:
            return self._raw.endswith(_LAST_CHUNK)
        return len(self._raw) == self._raw.index(b"\r\n\r\n") + 4 + sum(map(len, self._body))

    def body(self) -> bytes:
        """Return the body, decompressed.

        Raises:
            DecodeError: its coding is unknown, or it is not coded so, or it is too large.
        """
        body = self._body[0] if len(self._body) == 1 else b"".join(self._body)
        coding = self.headers.get("content-encoding", "").strip().lower()
        if coding in _PLAIN or not body:
            return body
        if coding not in {"gzip", "x-gzip", "deflate"}:
            raise DecodeError("the body has an unknown coding")
        inflater = zlib.decompressobj(_GZIP_OR_ZLIB)
        try:
            plain = inflater.decompress(body, BODY_LIMIT)
        except zlib.error:
            raise DecodeError("the body is not coded as its header says") from None
        if not inflater.eof:
            raise DecodeError("the body is too large, or breaks off")
        return plain

    def _without_interim(self, raw: bytes) -> bytes:
        """Return the bytes from the final response on."""
        while _is_interim(raw):
            if raw[9:12] == b"101":
                raise UnknownProtocol("101 Switching Protocols")
            end = raw.find(b"\r\n\r\n")
            if end < 0:
                break
            self._interim += 1
            if self._interim > INTERIM_LIMIT:
                raise BadStatusLine(f"more than {INTERIM_LIMIT} interim responses")
            raw = raw[end + 4 :]
        return raw

    def _parse(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except HttpParserUpgrade:
            raise UnknownProtocol("the response switches protocols") from None
        except (HttpParserError, HttpParserCallbackError):
            if self._complete:  # the bytes behind it are no response
                self._keep_alive = False
            elif self._names > HEADERS_LIMIT:
                raise HTTPException("too many headers") from None
            elif self.status is not None and (self._chunked or self._sized):
                raise IncompleteRead(b"") from None
            else:
                raise BadStatusLine("the response is not HTTP") from None

    # Called by the parser

    def on_message_begin(self) -> None:
        """Refuse a second response."""
        if self._complete:
            raise HTTPException("bytes follow the response")

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header."""
        self._names += 1
        if self._names > HEADERS_LIMIT or self._complete:
            raise HTTPException("too many headers")
        name = name.lower()
        if name in _KEPT:
            text, known = name.decode("ascii"), value.decode("latin-1")
            found = self.headers.get(text)
            self.headers[text] = known if found is None else f"{found}, {known}"
        elif name == b"content-length":
            self._sized = True
        elif name == b"transfer-encoding":
            self._chunked = True

    def on_headers_complete(self) -> None:
        """Keep the status."""
        self.status = self._parser.get_status_code()
        self._keep_alive = self._parser.should_keep_alive()
        if self.status in _BODILESS:
            self._chunked = False

    def on_body(self, body: bytes) -> None:
        """Keep a piece of the body."""
        self._body.append(body)

    def on_message_complete(self) -> None:
        """Note the end."""
        self._complete = True


def _is_interim(raw: bytes) -> bool:
    return raw[9:10] == b"1" and raw[:7] == b"HTTP/1." and len(raw) >= _STATUS_LINE
