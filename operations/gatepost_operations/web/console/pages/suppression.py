"""The suppression list: how many entries it has, and the entry of one person. The API looks it up, because that needs a key."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final

from fastapi import APIRouter, Form, Request
from fastapi.concurrency import run_in_threadpool
from starlette.responses import Response

from gatepost.campaigns.suppression import SuppressionReason
from gatepost_core.redis.errors import translated_errors
from gatepost_operations.web.console.api import Problem
from gatepost_operations.web.console.context import Console, ConsoleOf
from gatepost_operations.web.console.rendering import Link, render
from gatepost_operations.web.console.security.operators import Level, require

LINK: Final = Link("Suppression", "/suppression")
router: Final = APIRouter(prefix="/suppression", dependencies=[require(Level.READ_ONLY)])
_CALLS: Final = {
    "find": ("POST", "/v1/suppressions/find"),
    "add": ("POST", "/v1/suppressions"),
    "remove": ("DELETE", "/v1/suppressions"),
}
_MOST_DAYS: Final = 3650
Recipient = Annotated[str, Form(max_length=320)]


@router.get("")
def suppression(request: Request, console: ConsoleOf) -> Response:
    """Show the number of entries."""
    return _page(request, console)


@router.post("/find", dependencies=[require(Level.OPERATOR)])
async def find(request: Request, console: ConsoleOf, recipient: Recipient = "") -> Response:
    """Show a person's entry. The page does not repeat the address."""
    return await _answered(request, console, "find", {"recipient": recipient})


@router.post("/add", dependencies=[require(Level.OPERATOR)])
async def add(
    request: Request,
    console: ConsoleOf,
    recipient: Recipient = "",
    reason: Annotated[str, Form()] = SuppressionReason.MANUAL.value,
    days: Annotated[str, Form(max_length=6)] = "",
) -> Response:
    """Add a person, or change the entry."""
    person: dict[str, Any] = {"recipient": recipient, "reason": reason}
    if days.strip():
        if not (days.isascii() and days.strip().isdigit() and 1 <= int(days) <= _MOST_DAYS):
            problem = Problem(422, "", (("days", f"must be a number from 1 to {_MOST_DAYS:,}, or empty"),))
            return await run_in_threadpool(_page, request, console, problem=problem)
        person["expires_at"] = (datetime.now(UTC) + timedelta(days=int(days))).isoformat()
    return await _answered(request, console, "add", person)


@router.post("/remove", dependencies=[require(Level.ADMIN)])
async def remove(request: Request, console: ConsoleOf, recipient: Recipient = "") -> Response:
    """Remove a person."""
    return await _answered(request, console, "remove", {"recipient": recipient})


async def _answered(request: Request, console: Console, action: str, person: dict[str, Any]) -> Response:
    """Let the API act, and show its answer, or why it refused."""
    method, path = _CALLS[action]
    answer, problem = None, None
    try:
        answer = await console.api_of(request).call(method, path, json=person)
    except Problem as refused:
        problem = refused
    return await run_in_threadpool(_page, request, console, action=action, answer=answer, problem=problem)


def _size(console: Console) -> int:
    with translated_errors():
        return int(console.redis.hget(console.keys.suppression, "index_size") or 0)


def _page(
    request: Request, console: Console, *, action: str = "", answer: Any = None, problem: Problem | None = None
) -> Response:
    expires = (answer or {}).get("expires_at")
    return render(
        request,
        "suppression/suppression.html.j2",
        status=200 if problem is None else 422,
        size=_size(console),
        reasons=tuple(SuppressionReason),
        action=action,
        answer=answer,
        expires_at=datetime.fromisoformat(expires) if expires else None,
        problem=problem,
    )
