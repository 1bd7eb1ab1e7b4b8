"""One HTTP answer, and whether its connection may carry another request.

`http.client` takes any interim answer but 100 for the final one, and forgets the bytes it read beyond an answer's end. On a kept connection
either gives the next request the answer to this one.
"""

from __future__ import annotations

from contextlib import suppress
from http import HTTPStatus
from http.client import BadStatusLine, HTTPResponse, UnknownProtocol, parse_headers
from typing import TYPE_CHECKING, Any, Final

from gatepost_worker.authentication.sockets import is_silent

if TYPE_CHECKING:
    import socket

MOST_INTERIM: Final = 16
_INTERIM: Final = range(100, 200)
_BODILESS: Final = (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED)


class Answer(HTTPResponse):
    """Skips interim answers, and closes the socket unless the answer's end is certain and nothing follows it.

    Source: RFC 9110, section 15.2; RFC 9112, section 6.3.
    """

    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self._sock = sock

    def begin(self) -> None:
        """Read the final answer's status line and headers.

        Raises:
            HTTPException: they are not HTTP, or do not say where the answer ends.
        """
        if self.headers is not None:
            return
        super().begin()
        lengths = self.headers.get_all("Content-Length", [])
        codings = self.headers.get_all("Transfer-Encoding", [])
        if len(set(lengths)) > 1 or not all(length.isascii() and length.isdigit() for length in lengths):
            raise BadStatusLine("the answer's length is not one number")
        if self.status in _BODILESS:
            self.chunked, self.length = False, 0
        plain = not codings or (len(codings) == 1 and self.chunked and not lengths)
        # http.client reads the first of several Connection headers alone.
        ends = any("close" in options.lower() for options in self.headers.get_all("Connection", []))
        if not plain or len(lengths) > 1 or self.headers.defects or ends:
            self.will_close = True

    def _read_status(self) -> tuple[str, int, str]:
        for _ in range(MOST_INTERIM):
            version, status, reason = super()._read_status()  # type: ignore[misc]  # typeshed leaves it out
            if status not in _INTERIM:
                return version, status, reason
            if status == HTTPStatus.SWITCHING_PROTOCOLS:
                raise UnknownProtocol("101 Switching Protocols")
            parse_headers(self.fp)
        raise BadStatusLine("more interim answers than a server has reason to send")

    def _close_conn(self) -> None:
        silent = False
        with suppress(OSError, ValueError):
            silent = is_silent(self._sock, self.fp.read)
        super()._close_conn()  # type: ignore[misc]  # as above
        if not silent:
            self._sock.close()
