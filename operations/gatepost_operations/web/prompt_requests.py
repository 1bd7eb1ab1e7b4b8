"""Closes connections that take too long to send the head of a request. Without an API key, they could otherwise take all the server has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

if TYPE_CHECKING:
    import asyncio

    from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

HEAD_S: Final = 10.0
"""Seconds from the first byte of a request, or from the connection, to the end of its head."""


class PromptProtocol(HttpToolsProtocol):
    """uvicorn's protocol for HTTP/1.1, with a time limit for the head of a request. uvicorn limits only the time between two requests."""

    def __init__(self, *arguments: Any, head_s: float = HEAD_S, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._head_s = head_s
        self._limit: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as in uvicorn
        """Begin to wait for the first request."""
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        """Read on. After an answer, further bytes begin another request, or are the rest of a refused body."""
        super().data_received(data)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop to wait."""
        self._stop()
        super().connection_lost(exc)

    def _watch(self) -> None:
        if self._is_answering():
            self._stop()
        elif self._limit is None:
            self._limit = self.loop.call_later(self._head_s, self._give_up)

    def _is_answering(self) -> bool:
        cycle: RequestResponseCycle | None = self.cycle
        return cycle is not None and not cycle.response_complete

    def _stop(self) -> None:
        if self._limit is not None:
            self._limit.cancel()
            self._limit = None

    def _give_up(self) -> None:
        self._limit = None
        if not self._is_answering():
            self.transport.close()
