"""The console as an ASGI application.

A page is a module in `pages/` with a `router`, and with a `LINK` if it has a place in the navigation. `PAGES` lists the modules in the
order of the navigation. A handler gets the console as `ConsoleOf`, returns `render(request, "….html.j2", …)`, and is a plain `def` when it
reads Redis. Pages read counts and states from Redis through `console.campaigns`, `console.live` or `console.redis`; changes and
addresses go to the API through `console.api_of(request)`. Templates have no inline scripts or styles, because the content security policy
refuses them: drawings are SVG with attributes. A router declares its access level: `APIRouter(dependencies=[require(Level.OPERATOR)])`.
A route that declares none stops the start. A form includes `_token.html.j2`; an upload needs htmx, which sends the token in a header.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import httpx
from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from gatepost_core.redis.connections import connect
from gatepost_operations.web.console.context import Console
from gatepost_operations.web.console.failures import add_failure_pages, refusal_page
from gatepost_operations.web.console.pages import (
    audit,
    campaign,
    campaign_actions,
    campaigns,
    dead_letters,
    new_campaign,
    operations,
    quota,
    recipients,
    sign_in,
    suppression,
    workers,
)
from gatepost_operations.web.console.rendering import build_templates
from gatepost_operations.web.console.security.gate import Gate
from gatepost_operations.web.console.security.guard import Guard
from gatepost_operations.web.console.security.log_names import LogNames
from gatepost_operations.web.console.security.operators import require_levels
from gatepost_operations.web.console.security.settings import ConsoleSettings
from gatepost_operations.web.keyless import without_secrets

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from types import ModuleType

    from pydantic import SecretStr
    from starlette.responses import Response
    from starlette.types import Scope

    from gatepost_core.settings import Settings
    from gatepost_operations.web.console.security.gate import Identify

PAGES: Final[tuple[ModuleType, ...]] = (
    campaigns,
    new_campaign,
    campaign,
    campaign_actions,
    recipients,
    operations,
    dead_letters,
    workers,
    quota,
    suppression,
    audit,
)
"""The modules of pages, in the order of the navigation."""
_STATIC: Final = Path(__file__).parent / "static"
# Uploads pass through, however long the check of a large file takes.
_TIMEOUT: Final = httpx.Timeout(30.0, connect=5.0, read=600.0)


def create_app(
    settings: Settings,
    api_url: str,
    api_key: SecretStr,
    *,
    access: ConsoleSettings | None = None,
    identify: Identify | None = None,
) -> FastAPI:
    """Return the console.

    Args:
        settings: the configuration. Its keys and credentials are dropped.
        api_url: the base URL of the HTTP API.
        api_key: the console's key for the API.
        access: how operators sign in; without it, no one can.
        identify: finds the operator who sent a request, in place of the sessions.

    Raises:
        ConfigurationError: the URL of Redis is malformed.
    """
    settings = without_secrets(settings)
    client = connect(settings)
    api = httpx.AsyncClient(
        base_url=api_url, headers={"Authorization": f"Bearer {api_key.get_secret_value()}"}, timeout=_TIMEOUT
    )
    console = Console(settings, client, api)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        with console:
            yield
        await api.aclose()

    app = FastAPI(title="Gatepost console", lifespan=lifespan, openapi_url=None, docs_url=None, redoc_url=None)
    app.state.console = console
    app.state.log_names = LogNames(api_key)
    app.state.templates = build_templates([page.LINK for page in PAGES if hasattr(page, "LINK")])
    for page in (*PAGES, sign_in):
        app.include_router(page.router)
    app.mount("/static", _Static(directory=_STATIC), name="static")
    add_failure_pages(app)
    _guard(app, access or ConsoleSettings(), identify)
    require_levels(app)
    return app


def _guard(app: FastAPI, access: ConsoleSettings, identify: Identify | None) -> None:
    console: Console = app.state.console
    app.state.guard = Guard(access, console.redis, console.keys)
    app.add_middleware(Gate, url=access.url, identify=identify or app.state.guard.identify, refuse=refusal_page)
    if access.proxies:
        # Outside the gate, which reads the scheme and the browser's address.
        app.add_middleware(ProxyHeadersMiddleware, trusted_hosts=list(access.proxies))


class _Static(StaticFiles):
    """Static files. Their URLs name their contents, so browsers may keep them."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        """Return a file with a year's lifetime."""
        response = await super().get_response(path, scope)
        response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
        return response
