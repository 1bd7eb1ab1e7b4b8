"""The console as an ASGI application.

A page is a module in `pages/` with a `router`, and with a `LINK` if it has a place in the navigation. `PAGES` lists the modules in the
order of the navigation. A handler gets the console as `ConsoleOf`, returns `render(request, "….html.j2", …)`, and is a plain `def` when it
reads Redis. Pages read counts and states from Redis through `console.campaigns`, `console.live` or `console.redis`; changes and
addresses go to the API through `console.api_of(request)`. Templates have no inline scripts or styles, because the content security policy
refuses them: drawings are SVG with attributes. A form includes `_token.html.j2`.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import httpx
from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles

from gatepost_core.redis.connections import connect
from gatepost_operations.web.console.context import Console
from gatepost_operations.web.console.failures import add_failure_pages
from gatepost_operations.web.console.pages import campaign, campaign_actions, campaigns, new_campaign, recipients
from gatepost_operations.web.console.rendering import build_templates
from gatepost_operations.web.console.security.operators import Identify, add_sign_in, no_one
from gatepost_operations.web.keyless import without_secrets

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from types import ModuleType

    from pydantic import SecretStr
    from starlette.responses import Response
    from starlette.types import Scope

    from gatepost_core.settings import Settings

PAGES: Final[tuple[ModuleType, ...]] = (campaigns, new_campaign, campaign, campaign_actions, recipients)
"""The modules of pages, in the order of the navigation."""
_STATIC: Final = Path(__file__).parent / "static"
# Uploads pass through, however long the check of a large file takes.
_TIMEOUT: Final = httpx.Timeout(30.0, connect=5.0, read=600.0)


def create_app(settings: Settings, api_url: str, api_key: SecretStr, *, identify: Identify = no_one) -> FastAPI:
    """Return the console.

    Args:
        settings: the configuration. Its keys and credentials are dropped.
        api_url: the base URL of the HTTP API.
        api_key: the console's key for the API.
        identify: returns the operator who sent a request; None if no one is signed in.

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
    app.state.templates = build_templates([page.LINK for page in PAGES if hasattr(page, "LINK")])
    for page in PAGES:
        app.include_router(page.router)
    app.mount("/static", _Static(directory=_STATIC), name="static")
    add_failure_pages(app)
    add_sign_in(app, identify)
    return app


class _Static(StaticFiles):
    """Static files. Their URLs name their contents, so browsers may keep them."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        """Return a file with a year's lifetime."""
        response = await super().get_response(path, scope)
        response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
        return response
