"""Pages for failures: not signed in, not found, Redis or the API away."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlencode

from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse

from gatepost_core.dead_letters import DeadLetterNotFound
from gatepost_core.errors import CampaignNotFound, CorruptRecord, GatepostError, SealError, Unavailable, Unusable
from gatepost_core.redis.errors import NOTHING_SENT
from gatepost_operations.web.console.api import ApiUnavailable, Problem
from gatepost_operations.web.console.rendering import render
from gatepost_operations.web.console.security.refusals import NotSignedIn, RequestRefused

if TYPE_CHECKING:
    from fastapi import FastAPI, Request
    from starlette.responses import Response

_TITLES = {403: "Not allowed", 404: "Not found", 405: "Not found", 409: "Not possible now"}


def add_failure_pages(app: FastAPI) -> None:
    """Answer exceptions with pages."""
    app.add_exception_handler(RequestRefused, refusal_page)

    @app.exception_handler(CampaignNotFound)
    def no_campaign(request: Request, _: Exception) -> Response:
        return _page(request, 404, "There is no such campaign. It may have been deleted.")

    @app.exception_handler(DeadLetterNotFound)
    def no_letter(request: Request, _: Exception) -> Response:
        return _page(
            request, 404, "There is no such dead letter. It may have been replayed or dropped, or it has expired."
        )

    @app.exception_handler(GatepostError)
    @app.exception_handler(CorruptRecord)
    @app.exception_handler(SealError)
    def unreadable(request: Request, failure: Exception) -> Response:
        return _page(request, 409, str(failure))

    @app.exception_handler(Unavailable)
    def no_redis(request: Request, failure: Exception) -> Response:
        return _page(
            request,
            503,
            _refusal_in(failure)
            or "Redis does not answer. Campaigns do not send meanwhile, and continue afterwards. Reload this page.",
        )

    @app.exception_handler(ApiUnavailable)
    def no_api(request: Request, _: Exception) -> Response:
        return _page(
            request,
            503,
            "The HTTP API does not answer, so the console can change nothing. Check `gatepost web --role api`.",
        )

    @app.exception_handler(Problem)
    def refused(request: Request, problem: Problem) -> Response:
        return _page(request, problem.status if problem.status < 500 else 502, problem.detail, problem.errors)  # noqa: PLR2004 - HTTP

    @app.exception_handler(RequestValidationError)
    def malformed(request: Request, failure: RequestValidationError) -> Response:
        # FastAPI's own answer repeats the values.
        places = [error["loc"] for error in failure.errors()]
        if any(place[0] == "path" for place in places):
            return _page(request, 404, "There is no such page.")
        return _page(
            request, 422, "Some fields are missing or not valid.", tuple((str(place[-1]), "") for place in places)
        )

    @app.exception_handler(HTTPException)
    def other(request: Request, failure: HTTPException) -> Response:
        return _page(request, failure.status_code, str(failure.detail))


def refusal_page(request: Request, failure: Exception) -> Response:
    """Answer a refused request. A browser without a session goes to the sign-in, and then to the page that it asked for."""
    if isinstance(failure, NotSignedIn):
        return _to_sign_in(request)
    if isinstance(failure, RequestRefused):
        return render(
            request, "failure.html.j2", status=failure.status, title=failure.title, sentence=str(failure), errors=()
        )
    if isinstance(failure, Unavailable):
        return _page(
            request,
            503,
            _refusal_in(failure)
            or "Redis does not answer, so the console cannot check your session. Reload this page.",
        )
    return _page(request, 500, "Something in the console went wrong. Its log names the place: console.request_failed.")


def _refusal_in(failure: Exception) -> str:
    """Return why Redis refuses the console; empty if it does not answer."""
    return str(failure).removesuffix(NOTHING_SENT).rstrip() if isinstance(failure, Unusable) else ""


def _to_sign_in(request: Request) -> Response:
    query = f"?{request.url.query}" if request.url.query else ""
    is_page = request.method == "GET" and "hx-request" not in request.headers
    path = "/sign-in?" + urlencode({"next": f"{request.url.path}{query}" if is_page else ""})
    if is_page and "text/event-stream" not in request.headers.get("accept", ""):
        return RedirectResponse(path, 303)
    response = render(
        request,
        "failure.html.j2",
        status=401,
        title="Sign in",
        sentence="Your session has ended. Sign in again.",
        errors=(),
    )
    response.headers["HX-Redirect"] = path
    return response


def _page(request: Request, status: int, sentence: str, errors: tuple[tuple[str, str], ...] = ()) -> Response:
    title = _TITLES.get(status, "Not available" if status >= 500 else "Not possible")  # noqa: PLR2004 - HTTP
    template = "_failure.html.j2" if "hx-request" in request.headers else "failure.html.j2"
    return render(request, template, status=status, title=title, sentence=sentence, errors=errors)
