"""POST /v1/messages and /v1/logins: one item, or up to 1,000 with a result for each."""

from collections.abc import Sequence
from typing import Annotated, Any, Final

from fastapi import APIRouter, Header, Request, Response
from fastapi.responses import JSONResponse

from gatepost_core.enqueue import Enqueued
from gatepost_core.kinds import Kind
from gatepost_operations.web.api.access import Caller, CallerOf
from gatepost_operations.web.api.bodies import Body, read_json
from gatepost_operations.web.api.idempotency import read_idempotency_key
from gatepost_operations.web.api.items import Full, read_item, record_items
from gatepost_operations.web.api.openapi import batch_body
from gatepost_operations.web.api.problems import Problem, Type, problem_of
from gatepost_operations.web.api.usage import Standing

# Modules with endpoints have no `from __future__ import annotations`: FastAPI reads the annotations as objects.

MOST_ITEMS: Final = 1000
"""Items of one request."""
_CHUNK: Final = 100
_ACCEPTED: Final = 202
MESSAGES: Final = tuple(kind for kind in Kind if not kind.is_login)
LOGINS: Final = tuple(kind for kind in Kind if kind.is_login)

router = APIRouter(tags=["messages"])

KeyHeader = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        description="1 to 256 characters, quoted or bare. An item without a key gets one made from it.",
    ),
]


@router.post("/v1/messages", operation_id="send_messages", status_code=_ACCEPTED, **batch_body(MESSAGES))
async def send_messages(request: Request, caller: CallerOf, idempotency_key: KeyHeader = None) -> Response:
    """Send a one-time code or a magic link by e-mail or SMS. The body is one message, or a list of up to 1,000."""
    return await _enqueue(request, caller, idempotency_key, MESSAGES)


@router.post("/v1/logins", operation_id="log_in", status_code=_ACCEPTED, **batch_body(LOGINS))
async def log_in(request: Request, caller: CallerOf, idempotency_key: KeyHeader = None) -> Response:
    """Log a person in with a one-time code, in the background. The result is a token set.

    The body is one login, or a list of up to 1,000.
    """
    return await _enqueue(request, caller, idempotency_key, LOGINS)


async def _enqueue(request: Request, caller: Caller, header: str | None, kinds: tuple[Kind, ...]) -> Response:
    key = read_idempotency_key(header)
    if not set(kinds) & caller.key.grant.kinds:
        raise Problem(Type.NOT_ALLOWED, f"The API key allows none of these kinds: {', '.join(kinds)}.")
    body = await read_json(request)
    return await caller.run(_answer, caller, body, key, kinds)


def _answer(caller: Caller, body: Body, key: str | None, kinds: tuple[Kind, ...]) -> Response:
    given = body.parsed()
    if not isinstance(given, list):
        return _single(caller, given, key, kinds)
    if not 0 < len(given) <= MOST_ITEMS:
        errors = [{"pointer": "", "detail": f"must have 1 to {MOST_ITEMS:,} items"}]
        raise Problem(
            Type.TOO_LARGE if given else Type.INVALID, f"A request has 1 to {MOST_ITEMS:,} items.", errors=errors
        )
    items = [
        read_item(caller, item, None if key is None else f"{key}#{number}", kinds) for number, item in enumerate(given)
    ]
    standing, results = None, []
    for first in range(0, len(items), _CHUNK):
        standing, found = record_items(caller, items[first : first + _CHUNK])
        results += [_result(one, f"/{first + number}") for number, one in enumerate(found)]
    return JSONResponse({"results": results}, _ACCEPTED, headers=standing.headers if standing else {})


def _single(caller: Caller, given: Any, key: str | None, kinds: tuple[Kind, ...]) -> Response:
    standing, (found,) = record_items(caller, [read_item(caller, given, key, kinds)])
    if isinstance(found, Full):
        raise standing.exceeded(found.policy)
    if isinstance(found, Exception):
        problem = problem_of(found)
        problem.headers.update(standing.headers)
        raise problem
    result = _result(found, "")
    headers = {"Location": f"/v1/operations/{found.operation_id}", **standing.headers}
    if found.existed:
        headers["Idempotency-Replayed"] = "true"
    del result["status"]
    return JSONResponse(result, _ACCEPTED, headers=headers)


def results_response(standing: Standing, found: Sequence[Enqueued | Exception | Full]) -> Response:
    """Return the answer with a result for each of a few items."""
    results = [_result(one, f"/{number}") for number, one in enumerate(found)]
    return JSONResponse({"results": results}, _ACCEPTED, headers=standing.headers)


def _result(found: Enqueued | Exception | Full, pointer: str) -> dict[str, Any]:
    if isinstance(found, Full):
        found = found.standing.exceeded(found.policy)
    if isinstance(found, Exception):
        problem = problem_of(found, pointer).document
        return {"status": problem["status"], "problem": problem}
    result: dict[str, Any] = {
        "status": _ACCEPTED,
        "operation_id": found.operation_id,
        "existing": found.existed,
    }
    if found.redeem_token is not None:
        result["redeem_token"] = found.redeem_token.get_secret_value()
    return result
