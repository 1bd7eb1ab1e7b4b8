"""A TCP proxy between a worker and a server, which can be slow, cut connections in the middle of a command, or let nothing through."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from random import Random
    from typing import Any

_LOOPBACK = "127.0.0.1"
# The cost of a lost packet: the sender waits this long for its acknowledgement.
_RETRANSMISSION_S = 0.25
_CHUNK = 1 << 16
NO_ANSWER = "the whole request and no answer"
CUTS = ("half the request", NO_ANSWER, "half the answer")
"""Where a connection can be cut."""


class Proxy:
    """Forwards every connection to one port of this machine. Use it as a context manager.

    Args:
        target_port: where to forward to.
        host: the address to listen on.

    Attributes:
        latency_s: how long everything takes, each way.
        cuts: how many connections were cut in the middle of a command.
    """

    def __init__(self, target_port: int, host: str = _LOOPBACK) -> None:
        self._target_port = target_port
        self._host = host
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._open = asyncio.Event()
        self._random: Random | None = None
        self._next: tuple[bytes, str] | None = None
        self._lossy: Random | None = None
        self._loss = 0.0
        self._share = 0.0
        self._places: tuple[str, ...] = CUTS
        self._marker = b""
        self.latency_s = 0.0
        self.cuts = 0
        self.port = 0

    def cut_at_random(self, random: Random, share: float, marker: bytes, places: tuple[str, ...] = CUTS) -> None:
        """From now on cut this share of the connections over which a request with this marker goes, at one of the places."""
        self._random, self._share, self._marker, self._places = random, share, marker, places

    def cut_next(self, marker: bytes, place: str) -> None:
        """Cut the connection of the next request with this marker, once."""
        self._next = (marker, place)

    def cut_no_more(self) -> None:
        self._random = None

    def lose(self, random: Random, share: float) -> None:
        """From now on lose this share of the packets, which TCP sends again later."""
        self._lossy, self._loss = random, share

    def cut_all(self) -> None:
        """Reset every connection there is."""
        self._call(self._reset_all())

    def part(self) -> None:
        """Let nothing through, and say nothing of it, as a partition does: connections stay open and silent."""
        self._loop.call_soon_threadsafe(self._open.clear)

    def join(self) -> None:
        """Forward everything again, delayed data included."""
        self._loop.call_soon_threadsafe(self._open.set)

    def __enter__(self) -> Self:
        self._thread.start()
        self._open.set()
        self._server = self._call(self._listen())
        return self

    def __exit__(self, *_: object) -> None:
        self._call(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def _call(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _listen(self) -> asyncio.Server:
        server = await asyncio.start_server(self._serve, self._host, 0)
        self.port = server.sockets[0].getsockname()[1]
        return server

    async def _close(self) -> None:
        self._server.close()
        await self._reset_all()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _reset_all(self) -> None:
        for writer in list(self._writers):
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._open.wait()
            onward_reader, onward = await asyncio.open_connection(_LOOPBACK, self._target_port)
        except OSError:
            writer.transport.abort()
            return
        link = _Link(self, reader, writer, onward_reader, onward)
        self._writers |= {writer, onward}
        task = asyncio.current_task()
        if task is not None:
            self._tasks.add(task)
        try:
            await link.run()
        finally:
            self._writers -= {writer, onward}
            if task is not None:
                self._tasks.discard(task)

    async def pass_on(self) -> None:
        """Wait as long as a chunk takes."""
        lost = self._lossy is not None and self._lossy.random() < self._loss
        if lost or self.latency_s:
            await asyncio.sleep(self.latency_s + lost * _RETRANSMISSION_S)
        await self._open.wait()

    def drawn_cut(self, request: bytes) -> str | None:
        """Return where this request's connection is to be cut, if it is."""
        if self._next is not None and self._next[0] in request:
            (_, place), self._next = self._next, None
            self.cuts += 1
            return place
        if self._random is None or self._marker not in request or self._random.random() >= self._share:
            return None
        self.cuts += 1
        return self._random.choice(self._places)


class _Link:
    """One connection and the one behind it."""

    def __init__(
        self,
        proxy: Proxy,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        onward_reader: asyncio.StreamReader,
        onward: asyncio.StreamWriter,
    ) -> None:
        self._proxy = proxy
        self._reader, self._writer = reader, writer
        self._onward_reader, self._onward = onward_reader, onward
        self._cut: str | None = None

    async def run(self) -> None:
        ways = [asyncio.ensure_future(self._requests()), asyncio.ensure_future(self._answers())]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            for writer in (self._writer, self._onward):
                writer.transport.abort() if self._cut else writer.close()

    async def _requests(self) -> None:
        with contextlib.suppress(OSError):
            while chunk := await self._reader.read(_CHUNK):
                await self._proxy.pass_on()
                self._cut = self._proxy.drawn_cut(chunk)
                if self._cut == "half the request":
                    self._onward.write(chunk[: len(chunk) // 2])
                    await self._onward.drain()
                    return
                self._onward.write(chunk)
                await self._onward.drain()

    async def _answers(self) -> None:
        with contextlib.suppress(OSError):
            while chunk := await self._onward_reader.read(_CHUNK):
                await self._proxy.pass_on()
                if self._cut:
                    self._writer.write(chunk[: len(chunk) // 2] if self._cut == "half the answer" else b"")
                    await self._writer.drain()
                    return
                self._writer.write(chunk)
                await self._writer.drain()
