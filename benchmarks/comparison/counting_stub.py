"""A stub that counts the requests for each recipient: a kill of the sender afterwards does not change that a message was sent."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_BODY: Final = b'{"_id":"65f0c0ffee","email":"someone@example.com","email_verified":false}'


class CountingStub:
    """Answers each start after a delay, over http.

    Attributes:
        arrivals: the requests that arrived, by address.
        under_way: how many of them have no answer yet.
        last: when the newest request arrived, by `time.monotonic`.
    """

    def __init__(self, delay_s: float) -> None:
        self.arrivals: Counter[str] = Counter()
        self.under_way = 0
        self.last = time.monotonic()
        self._delay_s = delay_s
        self._port = 0

    def url(self, *, tls: bool) -> str:
        """Return the base URL, which is without TLS."""
        if tls:
            raise ValueError("the counting stub has no TLS")
        return f"http://127.0.0.1:{self._port}"

    @property
    def ca_file(self) -> Path:
        """Raise an error, because without TLS there is no certificate."""
        raise ValueError("the counting stub has no TLS")

    def serve(self, ready: threading.Event) -> None:
        """Answer until `stop`. Runs in a thread."""
        asyncio.run(self._serve(ready))

    def stop(self) -> None:
        """Stop to answer."""
        self._loop.call_soon_threadsafe(self._stopped.set)

    async def _serve(self, ready: threading.Event) -> None:
        self._loop, self._stopped = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(self._converse, "127.0.0.1", 0)
        self._port = server.sockets[0].getsockname()[1]
        ready.set()
        await self._stopped.wait()
        server.close()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                length = int(head.partition(b"content-length:")[2].split(b"\r\n")[0])
                body = json.loads(await reader.readexactly(length))
                self.arrivals[str(body["email"])] += 1
                self.last = time.monotonic()
                self.under_way += 1
                await asyncio.sleep(self._delay_s)
                self.under_way -= 1
                writer.write(_head() + _BODY)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            # Streams of Python 3.11 report a task that was cancelled at the end as a fault.
            return
        finally:
            writer.close()


def _head() -> bytes:
    return (
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(_BODY)}\r\nX-RateLimit-Limit: 1000000\r\nX-RateLimit-Remaining: 999999\r\n"
        f"X-RateLimit-Reset: {int(time.time()) + 1}\r\n\r\n"
    ).encode()


@contextmanager
def counting(delay_s: float) -> Iterator[CountingStub]:
    """Run a stub that answers after a delay."""
    stub, ready = CountingStub(delay_s), threading.Event()
    thread = threading.Thread(target=stub.serve, args=(ready,), daemon=True)
    thread.start()
    ready.wait()
    try:
        yield stub
    finally:
        stub.stop()
        thread.join()
