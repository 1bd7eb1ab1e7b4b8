"""Limits the body of every request: its time, and the size of a form. Without a key or a session, a client could otherwise hold a request open."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import anyio
from starlette.exceptions import HTTPException
from starlette.requests import Request

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

BODY_S: Final = 60.0
"""Seconds that a server waits for a body. Each 500 bytes that arrive add a second, as with Apache's `RequestReadTimeout … MinRate=500`."""
BYTES_A_SECOND: Final = 500
MOST_FORM: Final = 1 << 20
"""Bytes of a form. Other bodies are limited where they are read."""
_FORMS: Final = ("application/x-www-form-urlencoded", "multipart/form-data")


class BodyLimits:
    """An ASGI middleware: answers a body that comes too slowly with 408, and a form that is too large with 413.

    Args:
        app: the app behind it.
        body_s: seconds that the server waits for a body without bytes.
    """

    def __init__(self, app: ASGIApp, *, body_s: float = BODY_S) -> None:
        self._app, self._body_s = app, body_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] == "http":
            headers = Request(scope).headers
            if "content-length" in headers or "transfer-encoding" in headers:
                is_form = headers.get("content-type", "").strip().lower().startswith(_FORMS)
                receive = _Body(receive, self._body_s, MOST_FORM if is_form else None).receive
        await self._app(scope, receive, send)


class _Body:
    def __init__(self, receive: Receive, left_s: float, most: int | None) -> None:
        self._receive, self._left_s, self._most = receive, left_s, most
        self._size = 0
        self._has_ended = False

    async def receive(self) -> Message:
        """Return the next part of the body. Only the time that the app waits for it counts.

        Raises:
            HTTPException: the body comes too slowly, or is too large.
        """
        if self._has_ended:
            return await self._receive()
        begun = anyio.current_time()
        message: Message | None = None
        with anyio.move_on_after(self._left_s):
            message = await self._receive()
        if message is None:
            raise HTTPException(408, "The body of the request came too slowly.")
        size = len(message.get("body", b""))
        self._left_s += size / BYTES_A_SECOND - (anyio.current_time() - begun)
        self._size += size
        self._has_ended = not message.get("more_body", False)
        if self._most is not None and self._size > self._most:
            raise HTTPException(413, f"A form has at most {self._most >> 20} MiB.")
        return message
