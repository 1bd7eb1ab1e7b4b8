"""The audit log, for the console."""

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import JSONResponse

from gatepost_operations.maintenance.api_keys import Scope
from gatepost_operations.web.api import schemas
from gatepost_operations.web.api.access import Caller, CallerOf
from gatepost_operations.web.api.bodies import Body, BodyModel, read_json
from gatepost_operations.web.api.openapi import answer, json_body, model_body, problems
from gatepost_operations.web.api.problems import Type

router = APIRouter(tags=["oversight"])
Limit = Annotated[int, Query(ge=1, le=500)]


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


class SignIn(BodyModel):
    """A sign-in to the console."""

    level: Literal["read-only", "operator", "admin"]
    way: Literal["password", "oidc"]


@router.post(
    "/v1/audit/sign-ins",
    operation_id="record_sign_in",
    openapi_extra={"requestBody": json_body(model_body(SignIn))},
    responses={200: answer(schemas.AuditEntry), **problems(Type.TOO_LARGE, Type.MEDIA)},
)
async def record_sign_in(request: Request, caller: CallerOf) -> Response:
    """Record a sign-in to the console in the audit log. The header `Gatepost-Actor` names the person. Scope: `console`."""
    caller.require(Scope.CONSOLE)
    return await caller.run(_record_sign_in, caller, await read_json(request))


def _record_sign_in(caller: Caller, body: Body) -> Response:
    sign_in = body.read_as(SignIn)
    entry = caller.services.audit.record("console.sign_in", level=sign_in.level, way=sign_in.way)
    return JSONResponse(entry.as_json())
