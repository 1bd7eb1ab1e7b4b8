"""The routes before and around the sign-in."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Annotated, Final

import structlog
from anyio import fail_after, from_thread
from fastapi import APIRouter, Form, Query, Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from gatepost_operations.web.console.api import ApiUnavailable, Problem
from gatepost_operations.web.console.rendering import render
from gatepost_operations.web.console.security.csrf import csrf_token
from gatepost_operations.web.console.security.gate import HEALTH
from gatepost_operations.web.console.security.oidc import CALLBACK
from gatepost_operations.web.console.security.operators import Level, require, signed_in, without_sign_in
from gatepost_operations.web.console.security.refusals import SignInFailed, TooManyTries

if TYPE_CHECKING:
    from gatepost_operations.web.console.context import Console
    from gatepost_operations.web.console.security.guard import Guard
    from gatepost_operations.web.console.security.log_names import LogNames
    from gatepost_operations.web.console.security.operators import Operator

router: Final = APIRouter()
_ROOT: Final = "/"
_START: Final = "/campaigns"
_RECORDED_WITHIN_S: Final = 5
_log = structlog.stdlib.get_logger("gatepost.console")


@router.get(_ROOT, dependencies=[require(Level.READ_ONLY)])
def root() -> Response:
    """Go to the first page."""
    return RedirectResponse(_START, 303)


@router.get(HEALTH, dependencies=[without_sign_in()])
def health() -> Response:
    """Tell a load balancer that the console runs."""
    return JSONResponse({"healthy": True})


@router.get("/sign-in", dependencies=[without_sign_in()])
def sign_in_page(request: Request, next: Annotated[str, Query(max_length=2000)] = "") -> Response:  # noqa: A002 - the query's name
    """Show the ways to sign in."""
    if signed_in(request):
        return RedirectResponse(local_path(next), 303)
    return _page(request, local_path(next))


@router.post("/sign-in", dependencies=[without_sign_in()])
def sign_in_with_password(
    request: Request,
    name: Annotated[str, Form(max_length=200)] = "",
    password: Annotated[str, Form(max_length=4096)] = "",
    next: Annotated[str, Form(max_length=2000)] = "",  # noqa: A002 - the field's name
) -> Response:
    """Sign in with a local account."""
    guard = _guard_of(request)
    try:
        operator = guard.password_sign_in(name, password, _address_of(request))
    except SignInFailed as failure:
        _log_failure(request, failure)
        response = _page(request, local_path(next), str(failure), status=failure.status)
        if isinstance(failure, TooManyTries):
            response.headers["Retry-After"] = str(failure.wait_s)
        return response
    return _signed_in(request, operator, local_path(next))


@router.get("/sign-in/provider", dependencies=[without_sign_in()])
def sign_in_at_provider(request: Request, next: Annotated[str, Query(max_length=2000)] = "") -> Response:  # noqa: A002 - the query's name
    """Send the browser to the identity provider."""
    guard = _guard_of(request)
    browser = guard.browser_cookie.read(request) or secrets.token_urlsafe(32)
    response = RedirectResponse(guard.provider().begin(browser, guard.callback_of(request), local_path(next)), 303)
    guard.browser_cookie.set(request, response, browser)
    return response


@router.get(CALLBACK, dependencies=[without_sign_in()])
def return_from_provider(request: Request) -> Response:
    """Sign in the operator whom the identity provider names."""
    guard = _guard_of(request)
    try:
        browser = guard.browser_cookie.read(request) or ""
        finished = guard.provider().finish(browser, guard.callback_of(request), request.query_params)
    except SignInFailed as failure:
        _log_failure(request, failure)
        raise
    return _signed_in(request, finished.operator, finished.path)


@router.post("/sign-out", dependencies=[require(Level.READ_ONLY)])
def sign_out(request: Request) -> Response:
    """End the session."""
    guard = _guard_of(request)
    session_id = guard.session_cookie.read(request)
    if session_id:
        guard.sessions.end(session_id)
    response = RedirectResponse("/sign-in", 303)
    guard.session_cookie.delete(request, response)
    return response


def local_path(given: str) -> str:
    """Return a path of the console; its start page if the text could lead to another site."""
    is_local = given.startswith("/") and not given.startswith(("//", "/\\", "/sign-")) and given.isprintable()
    return given if is_local else _START


def _page(request: Request, path: str, problem: str = "", *, status: int = 200) -> Response:
    guard = _guard_of(request)
    browser = guard.browser_cookie.read(request) or secrets.token_urlsafe(32)
    request.state.token = csrf_token(browser)
    response = render(
        request,
        "sign_in/sign_in.html.j2",
        status=status,
        problem=problem,
        next=path,
        has_passwords=guard.has_passwords,
        has_provider=guard.has_provider,
    )
    guard.browser_cookie.set(request, response, browser)
    return response


def _signed_in(request: Request, operator: Operator, path: str) -> Response:
    guard = _guard_of(request)
    from_thread.run(_record, request, operator)
    # A new id, so that an id that someone planted before the sign-in opens nothing.
    if before := guard.session_cookie.read(request):
        guard.sessions.end(before)
    response = RedirectResponse(path, 303)
    guard.session_cookie.set(request, response, guard.sessions.open(operator))
    guard.browser_cookie.delete(request, response)
    named = _names_of(request).operator(operator)
    _log.info("console.signed_in", operator=named, access_level=str(operator.level))
    return response


async def _record(request: Request, operator: Operator) -> None:
    """Let the API add an entry to the audit log. Without the API, pages can be read and nothing can be changed, so people may still sign in."""
    console: Console = request.app.state.console
    entry = {"level": str(operator.level), "way": operator.account.partition(":")[0]}
    try:
        with fail_after(_RECORDED_WITHIN_S):
            await console.api_as(operator.name).call("POST", "/v1/audit/sign-ins", json=entry)
    except (ApiUnavailable, Problem, TimeoutError) as failure:
        _log.warning(
            "console.sign_in_not_recorded", operator=_names_of(request).operator(operator), error=type(failure).__name__
        )


def _log_failure(request: Request, failure: SignInFailed) -> None:
    browser = _names_of(request).browser(_address_of(request))
    _log.warning("console.sign_in_failed", address=browser, error=type(failure).__name__)


def _address_of(request: Request) -> str:
    return request.client.host if request.client else ""


def _names_of(request: Request) -> LogNames:
    names: LogNames = request.app.state.log_names
    return names


def _guard_of(request: Request) -> Guard:
    guard: Guard = request.app.state.guard
    return guard
