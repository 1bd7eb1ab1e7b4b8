"""An HTTP server that answers every request at once, so that it never limits a benchmark. Prints its port.

Arguments: a delay in seconds, and the body of the answers instead of that of a start.
"""

from __future__ import annotations

import asyncio
import sys
import time
from typing import cast

import uvloop

BODY = b'{"_id":"65f0c0ffee","email":"someone@example.com","email_verified":false}'


class Answers(asyncio.Protocol):
    """One connection. Answers every request with the headers of an unlimited quota."""

    delay_s = 0.0
    body = BODY

    def __init__(self) -> None:
        self._buffer = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Answer each whole request."""
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head = self._buffer[:end].lower()
            at = head.find(b"content-length:")
            length = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
            if len(self._buffer) < end + 4 + length:
                return
            self._buffer = self._buffer[end + 4 + length :]
            if self.delay_s:
                asyncio.get_running_loop().call_later(self.delay_s, self._answer)
            else:
                self._answer()

    def _answer(self) -> None:
        head = (
            "HTTP/1.1 200 OK\r\nContent-Type: application/json; charset=utf-8\r\n"
            f"Content-Length: {len(self.body)}\r\nX-RateLimit-Limit: 1000000\r\nX-RateLimit-Remaining: 999999\r\n"
            f"X-RateLimit-Reset: {int(time.time()) + 1}\r\n\r\n"
        )
        if self._transport is not None:
            self._transport.write(head.encode() + self.body)


async def serve() -> None:
    """Serve until killed."""
    server = await asyncio.get_running_loop().create_server(Answers, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    Answers.delay_s = float(sys.argv[1]) if len(sys.argv) > 1 else 0.0
    Answers.body = sys.argv[2].encode() if len(sys.argv) > 2 else BODY
    uvloop.run(serve())
