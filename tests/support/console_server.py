"""A console over real HTTP, in a thread of the test."""

from __future__ import annotations

import socket
import threading
import time
from typing import TYPE_CHECKING, Self

import httpx
import uvicorn

if TYPE_CHECKING:
    from starlette.types import ASGIApp

TOKEN = "token-of-the-test"
"""The token that the browser sends with each request, for an `identify` that returns it."""


class WebServer:
    """Serves an ASGI application on loopback. Use it as a context manager.

    Attributes:
        url: its base URL.
        browser: an HTTP client that keeps cookies, follows no redirect, and sends what a page of the console sends.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self._server = uvicorn.Server(
            uvicorn.Config(app, log_config=None, proxy_headers=False, timeout_graceful_shutdown=1)
        )
        self._thread = threading.Thread(target=self._server.run, args=([self._socket],), daemon=True)
        headers = {"Sec-Fetch-Site": "same-origin", "X-CSRF-Token": TOKEN}
        self.browser = httpx.Client(base_url=self.url, timeout=30, headers=headers)

    def __enter__(self) -> Self:
        self._thread.start()
        while not self._server.started and self._thread.is_alive():
            time.sleep(0.01)
        return self

    def __exit__(self, *_: object) -> None:
        self.browser.close()
        self._server.should_exit = True
        self._thread.join(20)
        self._socket.close()
