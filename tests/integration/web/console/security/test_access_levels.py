"""Every route of the console declares its access level, and keeps others out."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from fastapi import APIRouter, FastAPI
from pydantic import SecretStr

from gatepost_operations.web.console.app import create_app
from gatepost_operations.web.console.security.operators import (
    Level,
    Operator,
    declared_levels,
    require,
    require_levels,
    without_sign_in,
)
from support.console_server import TOKEN, WebServer

if TYPE_CHECKING:
    from gatepost_core.settings import Settings

PUBLIC = {"/health", "/sign-in", "/sign-in/provider", "/sign-in/callback", "/static"}
SAFE = {"GET", "HEAD"}


@pytest.fixture
def app(settings: Settings) -> FastAPI:
    """The whole console, with an operator whom a header names."""
    levels = {str(level): Operator("ada", level) for level in Level}
    return create_app(
        settings,
        "http://127.0.0.1:1",
        SecretStr("key"),
        identify=lambda request: (levels.get(request.headers.get("level", "")), TOKEN),
    )


def test_every_route_declares_a_level(app: FastAPI) -> None:
    """Only the routes of the sign-in, the health check and the static files are public."""
    declared = list(declared_levels(app))
    public = {path for _, path, level, _ in declared if level is None}

    assert len(declared) > 5
    assert all(declares for *_, declares in declared)
    assert public == PUBLIC


def test_what_changes_something_is_not_for_read_only(app: FastAPI) -> None:
    """Signing out is the exception."""
    levels = {
        path: level for method, path, level, _ in declared_levels(app) if method not in SAFE and level is not None
    }

    assert {path for path, level in levels.items() if level == Level.READ_ONLY} == {"/sign-out"}


def test_each_level_opens_its_routes_and_those_below(app: FastAPI) -> None:
    """Every route is asked by every level, and by a browser without a session."""
    wrong = []
    with WebServer(app) as server:
        for method, path, needed, _ in declared_levels(app):
            if needed is None:
                continue
            url = re.sub(r"\{[^}]+\}", "00000000-0000-4000-8000-000000000000", path)
            for level in (None, *Level):
                answer = server.browser.request(method, url, headers={"Level": str(level)})
                is_refused = answer.status_code == 403 or "/sign-in" in answer.headers.get("location", "")
                is_refused |= answer.status_code == 401
                is_allowed = level is not None and level >= needed
                if path != "/sign-out" and is_refused == is_allowed:
                    wrong.append((method, path, level, answer.status_code))

    assert not wrong


def test_a_route_without_a_level_stops_the_start(app: FastAPI) -> None:
    """Forgetting the level fails at once, and never opens a page."""
    router = APIRouter()
    router.add_api_route("/forgotten", lambda: None)
    app.include_router(router)

    with pytest.raises(RuntimeError, match="declare no access level: /forgotten"):
        require_levels(app)


def test_a_route_has_the_highest_level_that_it_declares() -> None:
    """A router's level is a minimum: its routes can need more, and a public route in it stays closed."""
    app, router = FastAPI(openapi_url=None), APIRouter(dependencies=[require(Level.OPERATOR)])
    router.add_api_route("/more", lambda: None, dependencies=[require(Level.ADMIN)])
    router.add_api_route("/less", lambda: None, dependencies=[require(Level.READ_ONLY)])
    router.add_api_route("/public", lambda: None, dependencies=[without_sign_in()])
    app.include_router(router)
    found = {path: level for _, path, level, _ in declared_levels(app) if path in {"/more", "/less", "/public"}}

    assert found == {"/more": Level.ADMIN, "/less": Level.OPERATOR, "/public": Level.OPERATOR}
