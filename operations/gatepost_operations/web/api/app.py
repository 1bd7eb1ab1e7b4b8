"""Builds the HTTP API as a FastAPI app."""

from __future__ import annotations

from contextlib import asynccontextmanager
from functools import cache, partial
from typing import TYPE_CHECKING, Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.routing import compile_path

from gatepost_operations.web.api import (
    campaign_control,
    campaigns,
    dead_letters,
    health,
    lists,
    messages,
    operations,
    oversight,
    recipients,
    uploads,
)
from gatepost_operations.web.api.access import FailedTries, KnownKeys, OpenRequests, bare_problem
from gatepost_operations.web.api.openapi import document
from gatepost_operations.web.api.problems import Problem, Type
from gatepost_operations.web.api.services import open_services

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.responses import Response
    from starlette.types import ASGIApp, Receive, Scope, Send

    from gatepost_core.settings import Settings

ROUTERS: Final = tuple(
    module.router
    for module in (
        messages,
        operations,
        campaigns,
        campaign_control,
        uploads,
        recipients,
        lists,
        oversight,
        dead_letters,
        health,
    )
)
_BY_STATUS: Final = {
    404: Type.NOT_FOUND,
    405: Type.METHOD,
    400: Type.MALFORMED,
    408: Type.TOO_SLOW,
    413: Type.TOO_LARGE,
}


def create_app(settings: Settings) -> FastAPI:
    """Return the HTTP API. Its connections close when the server stops.

    Args:
        settings: the configuration, with the sealing keys.

    Raises:
        ConfigurationError: no sealing key, fingerprint key or tenant is configured.
    """
    services = open_services(settings)

    @asynccontextmanager
    async def closing(_app: FastAPI) -> AsyncIterator[None]:
        yield
        services.close()

    app = FastAPI(
        title="Gatepost", version="1", lifespan=closing, docs_url=None, redoc_url=None, openapi_url="/v1/openapi.json"
    )
    app.state.services = services
    app.state.known_keys, app.state.failed_tries = KnownKeys(services), FailedTries()
    app.state.open_requests = OpenRequests()
    for router in ROUTERS:
        app.include_router(router)
    app.add_exception_handler(Problem, _answer_problem)
    app.add_exception_handler(RequestValidationError, _answer_parameters)
    app.add_exception_handler(HTTPException, _answer_http)
    app.add_middleware(LastBoundary)
    app.openapi = cache(partial(document, app))  # type: ignore[method-assign] # as FastAPI documents it
    return app


class LastBoundary:
    """Answers every error that no handler expects, so that neither the server's log nor an error tracker sees its frames."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request."""
        begun = False

        async def noting(message: Any) -> None:
            nonlocal begun
            begun = begun or message["type"] == "http.response.start"
            await send(message)

        try:
            await self._app(scope, receive, noting)
        except Exception as error:  # noqa: BLE001 - the outermost frame
            problem = bare_problem(error)
        else:
            return
        if not begun and scope["type"] == "http":
            await problem.response()(scope, receive, send)


async def _answer_problem(_request: Request, problem: Exception) -> Response:
    return bare_problem(problem).response()


async def _answer_parameters(_request: Request, failure: Exception) -> Response:
    """Name the wrong parameters. FastAPI's own answer repeats their values."""
    found = failure.errors() if isinstance(failure, RequestValidationError) else []
    errors = [{"parameter": str(error["loc"][1]), "detail": _text(error)} for error in found]
    return Problem(Type.INVALID, errors=errors).response()


def _text(error: dict[str, Any]) -> str:
    # Only these texts are known to quote nothing of the input.
    if error["type"] in _QUOTE_NOTHING:
        return str(error["msg"]).replace("Input should", "must")
    return "is missing" if error["type"] == "missing" else "is not valid"


_QUOTE_NOTHING: Final = frozenset(
    {
        "enum", "literal_error", "greater_than_equal", "less_than_equal", "string_too_long", "string_too_short", "bool_parsing",
        "int_parsing", "timezone_aware",
    }
)  # fmt: skip


async def _answer_http(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    headers = dict(getattr(error, "headers", None) or {})
    if "Allow" in headers:
        # Starlette names the methods of the first route alone.
        headers["Allow"] = ", ".join(sorted(_methods_at(request)))
    return Problem(_BY_STATUS.get(status, Type.INTERNAL), headers=headers).response()


def _methods_at(request: Request) -> set[str]:
    """Return the methods of a path, as the OpenAPI document lists them."""
    for template, described in request.app.openapi()["paths"].items():
        if compile_path(template)[0].match(request.url.path):
            return {method.upper() for method in described}
    return set()
