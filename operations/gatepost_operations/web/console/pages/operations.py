"""Single operations: find one by its id, and see how many are in each state. Tokens are never redeemed here."""

import uuid
from typing import Annotated, Final

from fastapi import APIRouter, Query, Request
from starlette.responses import RedirectResponse, Response

from gatepost_core.blocks import ACCEPT_OPERATIONS
from gatepost_core.errors import OperationNotFound
from gatepost_core.kinds import Kind
from gatepost_core.ledger import ledger_at
from gatepost_core.states import State
from gatepost_operations.web.console.context import ConsoleOf
from gatepost_operations.web.console.rendering import Link, render
from gatepost_operations.web.console.security.operators import Level, require

LINK: Final = Link("Operations", "/operations")
router: Final = APIRouter(prefix="/operations", dependencies=[require(Level.READ_ONLY)])
_NO_ID: Final = "This is not the id of an operation. An id looks like 0f8fad5b-d9cb-469f-a165-70867728950e."
_REFERENCE: Final = (
    "This is the reference of a login, which is a secret. The console needs only the id: the part before the point."
)
_NOT_FOUND: Final = "There is no such operation. Its record may have expired."


@router.get("")
def overview(
    request: Request,
    console: ConsoleOf,
    id: Annotated[str, Query(max_length=200)] = "",  # noqa: A002 - the query's name
) -> Response:
    """Show the counts by kind and state, and find an operation by its id."""
    given = id.strip()
    if given and (found := _id_in(given)):
        return RedirectResponse(f"/operations/{found}", 303)
    problem = "" if not given else _REFERENCE if "." in given else _NO_ID
    return _overview(request, console, problem, 404 if problem else 200)


@router.get("/{operation_id}")
def operation(request: Request, console: ConsoleOf, operation_id: str) -> Response:
    """Show the state of one operation."""
    if _id_in(operation_id) is None:
        return _overview(request, console, _NO_ID, 404)
    try:
        outcome = ledger_at(console.redis, console.settings).outcome(operation_id)
    except OperationNotFound:
        return _overview(request, console, _NOT_FOUND, 404)
    blocked = None if outcome.blocked is None else outcome.blocked.sentence(ACCEPT_OPERATIONS)
    return render(request, "operations/operation.html.j2", outcome=outcome, blocked=blocked)


def _overview(request: Request, console: ConsoleOf, problem: str, status: int) -> Response:
    counts = ledger_at(console.redis, console.settings).counts()
    states = [state for state in State if any((kind, state) in counts for kind in Kind)]
    return render(
        request,
        "operations/overview.html.j2",
        status=status,
        problem=problem,
        kinds=tuple(Kind),
        states=states,
        counts=counts,
    )


def _id_in(given: str) -> str | None:
    try:
        return str(uuid.UUID(given))
    except ValueError:
        return None
