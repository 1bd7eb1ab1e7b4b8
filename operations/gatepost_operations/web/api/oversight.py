"""The audit log and the dead letters, for the console."""

from itertools import islice
from typing import Annotated, Final, Literal

from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict

from gatepost_core.points_in_time import PointInTime
from gatepost_operations.maintenance.api_keys import Scope
from gatepost_operations.maintenance.dead_letters import DeadLetterNotFound, Selection
from gatepost_operations.web.api import schemas
from gatepost_operations.web.api.access import Caller, CallerOf
from gatepost_operations.web.api.bodies import Body, read_json
from gatepost_operations.web.api.openapi import answer, json_body, model_body, problems
from gatepost_operations.web.api.problems import Type

router = APIRouter(tags=["oversight"])
Limit = Annotated[int, Query(ge=1, le=500)]
IdOfLetter = Annotated[str, Path(description="The letter's id.", max_length=64)]
_LETTER: Final = {200: answer(schemas.Report), **problems(Type.NOT_FOUND)}


@router.get("/v1/audit", operation_id="list_audit_entries", responses={200: answer(schemas.AuditPage)})
async def list_audit_entries(
    caller: CallerOf,
    limit: Limit = 100,
    before: Annotated[int | None, Query(ge=0, le=1 << 40, description="`next_before` of the page before.")] = None,
) -> Response:
    """Return entries of the audit log, the newest first. Scope: `console`."""
    caller.require(Scope.CONSOLE)
    return await caller.run(_audit, caller, limit, before)


def _audit(caller: Caller, limit: int, before: int | None) -> Response:
    entries, following = caller.services.audit.page(limit, before)
    return JSONResponse({"entries": [entry.as_json() for entry in entries], "next_before": following})


class SignIn(BaseModel):
    """A sign-in to the console."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    level: Literal["read-only", "operator", "admin"]
    way: Literal["password", "oidc"]


@router.post(
    "/v1/audit/sign-ins",
    operation_id="record_sign_in",
    openapi_extra={"requestBody": json_body(model_body(SignIn))},
    responses={200: answer(schemas.AuditEntry), **problems(Type.TOO_LARGE, Type.MEDIA)},
)
async def record_sign_in(request: Request, caller: CallerOf) -> Response:
    """Record that the person in `Gatepost-Actor` signed in to the console. Scope: `console`."""
    caller.require(Scope.CONSOLE)
    return await caller.run(_record_sign_in, caller, await read_json(request))


def _record_sign_in(caller: Caller, body: Body) -> Response:
    sign_in = body.read_as(SignIn)
    entry = caller.services.audit.record("console.sign_in", level=sign_in.level, way=sign_in.way)
    return JSONResponse(entry.as_json())


@router.get("/v1/dead-letters", operation_id="list_dead_letters", responses={200: answer(schemas.Report)})
async def list_dead_letters(
    caller: CallerOf,
    limit: Limit = 100,
    reason: Annotated[str | None, Query(max_length=200, description="Only those whose reason contains this.")] = None,
    since: Annotated[PointInTime | None, Query(description="Only those refused at this time or later.")] = None,
    until: Annotated[PointInTime | None, Query(description="Only those refused at this time or earlier.")] = None,
) -> Response:
    """Return dead letters without their contents, the newest first. `reason`, `since` and `until` select them. Scope: `console`."""
    caller.require(Scope.CONSOLE)
    return await caller.run(_letters, caller, limit, Selection(reason or None, since=since, until=until))


def _letters(caller: Caller, limit: int, selection: Selection) -> Response:
    found = islice(caller.services.dead_letters.letters.select(selection), limit)
    return JSONResponse({"letters": [letter.as_json() for letter in found]})


@router.post("/v1/dead-letters/{letter_id}/replay", operation_id="replay_dead_letter", responses=_LETTER)
async def replay_dead_letter(letter_id: IdOfLetter, caller: CallerOf) -> Response:
    """Put a dead letter back on its queue. Scope: `console`."""
    caller.require(Scope.CONSOLE)
    return await caller.run(_replay, caller, letter_id)


def _replay(caller: Caller, letter_id: str) -> Response:
    chosen = _chosen(caller, letter_id)
    return JSONResponse(caller.services.dead_letters.replay(chosen).as_json())


@router.post("/v1/dead-letters/{letter_id}/drop", operation_id="drop_dead_letter", responses=_LETTER)
async def drop_dead_letter(letter_id: IdOfLetter, caller: CallerOf) -> Response:
    """Delete a dead letter. Scope: `console`."""
    caller.require(Scope.CONSOLE)
    return await caller.run(_drop, caller, letter_id)


def _drop(caller: Caller, letter_id: str) -> Response:
    chosen = _chosen(caller, letter_id)
    return JSONResponse({"dropped": caller.services.dead_letters.drop(chosen)})


def _chosen(caller: Caller, letter_id: str) -> Selection:
    chosen = Selection(ids=frozenset({letter_id}))
    if not any(caller.services.dead_letters.letters.select(chosen)):
        raise DeadLetterNotFound
    return chosen
