"""Comes before all routes: checks the host and the origin, notes the operator, and adds the security headers to every answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import structlog
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import MutableHeaders
from starlette.requests import Request

from gatepost_core.error_boundary import account
from gatepost_core.errors import Unavailable
from gatepost_operations.web.console.security.csrf import SAFE_METHODS, is_from_own_page
from gatepost_operations.web.console.security.loopback import is_loopback
from gatepost_operations.web.console.security.refusals import ForgedRequest, WrongHost

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.responses import Response
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from gatepost_operations.web.console.security.operators import Operator
    from gatepost_operations.web.console.security.refusals import RequestRefused

    Identify = Callable[[Request], tuple[Operator | None, str]]
    """Returns the operator who sent a request, None if no one is signed in, and the token of the browser's forms, empty without a cookie."""

_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
# Not `no-referrer`: with it, browsers send `Origin: null` with the console's own forms. Nothing leaves for other sites with either.
HEADERS: Final = {
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}
"""The headers of every answer. Answers without a `Cache-Control` also get `no-store`."""
_log = structlog.stdlib.get_logger("gatepost.console")
_YEAR_S: Final = 31_536_000
STATIC: Final = "/static/"
HEALTH: Final = "/health"
"""The path that load balancers ask, under any host name."""


class Gate:
    """An ASGI middleware.

    Args:
        app: the app behind it.
        url: the URL under which browsers reach the console; None for this machine's browsers, on any port.
        identify: identifies the operator of a request.
        refuse: makes the answer to a request that is refused.
    """

    def __init__(
        self, app: ASGIApp, *, url: str | None, identify: Identify, refuse: Callable[[Request, Exception], Response]
    ) -> None:
        self._app = app
        self._url = url
        self._identify = identify
        self._refuse = refuse
        is_secure = url is not None and url.startswith("https://")
        self._headers = HEADERS | ({"strict-transport-security": f"max-age={_YEAR_S}"} if is_secure else {})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check a request, and pass it on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        begun = False

        async def send_with_headers(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                headers = MutableHeaders(scope=message)
                headers.update(self._headers)
                headers.setdefault("cache-control", "no-store")
            await send(message)

        request = Request(scope, receive)
        if request.url.path == HEALTH:
            await self._app(scope, receive, send_with_headers)
            return
        if refusal := self._refusal_of(request):
            await self._refuse(request, refusal)(scope, receive, send_with_headers)
            return
        try:
            # Static files are public, and a page about a lost Redis needs them.
            if not request.url.path.startswith(STATIC):
                request.state.operator, request.state.token = await run_in_threadpool(self._identify, request)
        except Unavailable as failure:
            await self._refuse(request, failure)(scope, receive, send_with_headers)
            return
        try:
            await self._app(scope, receive, send_with_headers)
        except Exception as failure:  # noqa: BLE001 - the outermost frame: the server would log the error's text
            _log.error("console.request_failed", error=account(failure))
            if not begun:
                await self._refuse(request, failure)(scope, receive, send_with_headers)

    def _refusal_of(self, request: Request) -> RequestRefused | None:
        origin = origin_of(request, self._url)
        # Another site's name that resolves to this machine would otherwise give its pages the rights of the console's own.
        if origin is None:
            return WrongHost(self._url or "http://127.0.0.1")
        return None if is_from_own_page(request.method, request.headers, origin) else ForgedRequest()


def origin_of(request: Request, url: str | None) -> str | None:
    """Return the console's origin in a browser; None if the request names another host.

    Args:
        request: the request.
        url: the URL under which browsers reach the console; None for this machine's browsers, on any port.
    """
    host = request.headers.get("host", "")
    if url is not None:
        return url if host == urlsplit(url).netloc else None
    try:
        name = urlsplit(f"//{host}").hostname
    except ValueError:
        return None
    return f"http://{host}" if name is not None and is_loopback(name) else None


def is_action(request: Request) -> bool:
    """Return whether a person made the request, and not a page that refreshes itself."""
    mode = request.headers.get("sec-fetch-mode", "navigate")
    return request.method not in SAFE_METHODS or mode == "navigate"
