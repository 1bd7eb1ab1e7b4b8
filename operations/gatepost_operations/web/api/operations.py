"""Operations: their state, redemption and cancellation, for the API key that asked for the operation."""

import re
from typing import Annotated, Any, Final

from fastapi import APIRouter, Header, Path, Request, Response
from fastapi.responses import JSONResponse
from pydantic import Field

from gatepost.handles import AsyncHandle
from gatepost_core.errors import MfaRequired, NotFinished, OperationNotFound, Rejected
from gatepost_core.outcomes import Outcome
from gatepost_operations.maintenance.api_keys import Scope
from gatepost_operations.maintenance.cancellation import cancel_operation
from gatepost_operations.web.api import schemas
from gatepost_operations.web.api.access import Caller, CallerOf, bare_problem, is_id
from gatepost_operations.web.api.bodies import Body, BodyModel, read_json
from gatepost_operations.web.api.openapi import answer, json_body, model_body, problems
from gatepost_operations.web.api.problems import Type

LONGEST_WAIT_S: Final = 60
"""Seconds that a request may wait for the end of an operation."""
_WAIT: Final = re.compile(r"(?:^|[,;\s])wait\s*=\s*\"?(\d{1,6})\"?(?=$|[,;\s])", re.IGNORECASE)

router = APIRouter(tags=["operations"])
IdOfOperation = Annotated[str, Path(description="The operation's id.", max_length=64)]


@router.get(
    "/v1/operations/{operation_id}",
    operation_id="get_operation",
    responses={200: answer(schemas.Operation), **problems(Type.NOT_FOUND)},
)
async def get_operation(
    operation_id: IdOfOperation,
    caller: CallerOf,
    prefer: Annotated[
        str | None,
        Header(description="`wait=20` waits up to 20 s, at most 60, for the end of the operation (RFC 7240)."),
    ] = None,
) -> Response:
    """Return the state of a message or login.

    With the header `Prefer: wait=20`, the API waits up to 20 seconds for the end of the operation. The longest possible wait is 60 seconds.
    """
    outcome = await caller.run(_owned, caller, operation_id)
    waits = _WAIT.search(prefer or "")
    headers = {}
    if waits and not outcome.state.is_terminal:
        seconds = min(int(waits[1]), LONGEST_WAIT_S)
        headers["Preference-Applied"] = f"wait={seconds}"
        outcome = await _ended(caller, operation_id, seconds) or outcome
    return JSONResponse(outcome.as_json(), headers=headers)


async def _ended(caller: Caller, operation_id: str, seconds: int) -> Outcome | None:
    handle = AsyncHandle(caller.services.producer.handle(operation_id))
    try:
        return await handle.wait(seconds)
    except NotFinished:
        return None
    except Exception as error:  # noqa: BLE001 - as in `Caller.run`
        failure = bare_problem(error)
    raise failure


@router.post(
    "/v1/operations/{operation_id}/cancel",
    operation_id="cancel_operation",
    responses={200: answer(schemas.Operation), **problems(Type.NOT_FOUND, Type.CONFLICT)},
)
async def cancel(operation_id: IdOfOperation, caller: CallerOf) -> Response:
    """Cancel a message or login that waits in a queue.

    If Auth0 may have carried out an earlier request of Gatepost, the state becomes `unknown` instead of `cancelled`. If a request to Auth0 is
    under way, or the operation has ended, the status is 409. Only the API key that created the operation can cancel it.
    """
    return await caller.run(_cancelled, caller, operation_id)


def _cancelled(caller: Caller, operation_id: str) -> Response:
    producer = caller.services.producer
    if not is_id(operation_id) or producer.ledger.owner(operation_id) != caller.key.id:
        raise OperationNotFound
    return JSONResponse(cancel_operation(producer.handle(operation_id)).as_json())


class Redemption(BodyModel):
    """The redeem token of a login."""

    redeem_token: Annotated[str, Field(json_schema_extra={"pattern": "^[A-Za-z0-9_-]{43}$"})]


@router.post(
    "/v1/operations/{operation_id}/redeem",
    operation_id="redeem_login",
    openapi_extra={"requestBody": json_body(model_body(Redemption))},
    responses={
        200: answer(schemas.Redeemed),
        **problems(Type.NOT_FOUND, Type.NOT_FINISHED, Type.NOTHING_TO_REDEEM, Type.TOO_LARGE, Type.MEDIA),
    },
)
async def redeem(request: Request, operation_id: IdOfOperation, caller: CallerOf) -> Response:
    """Return the token set of a login. Each token set is returned only once. The body contains the login's redeem token. Scope: `redeem`."""
    caller.require(Scope.REDEEM)
    body = await read_json(request)
    return await caller.run(_redeemed, caller, operation_id, body)


def _redeemed(caller: Caller, operation_id: str, body: Body) -> Response:
    _owned(caller, operation_id)
    handle = caller.services.producer.handle(f"{operation_id}.{body.read_as(Redemption).redeem_token}")
    try:
        found: Any = handle.open_result(handle.final_look())
    except MfaRequired as required:
        found = required.challenge
        if found is None:
            raise
    except Rejected as rejected:
        if rejected.description is None:
            raise
        return _once({"type": "denial", "description": rejected.description.get_secret_value()})
    return _once(found.revealed())


def _once(document: dict[str, Any]) -> Response:
    # Tokens must not stay in a cache (RFC 6749, 5.1).
    return JSONResponse(document, headers={"Cache-Control": "no-store"})


def _owned(caller: Caller, operation_id: str) -> Outcome:
    """Return an operation's outcome. An operation of another key is as unknown as one that never was."""
    ledger = caller.services.producer.ledger
    if not is_id(operation_id) or not (caller.sees_all or caller.owns(ledger.owner(operation_id))):
        raise OperationNotFound
    return ledger.outcome(operation_id)
