"""Quotas and the suppression list."""

from datetime import datetime
from typing import Annotated, Final

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import JSONResponse
from pydantic import Field, SecretStr, WithJsonSchema

from gatepost.campaigns.suppression import SuppressionReason
from gatepost_core.kinds import Endpoint
from gatepost_core.points_in_time import PointInTime
from gatepost_operations.maintenance.api_keys import Scope
from gatepost_operations.web.api import schemas
from gatepost_operations.web.api.access import Caller, CallerOf
from gatepost_operations.web.api.bodies import Body, BodyModel, read_json, require_recipients
from gatepost_operations.web.api.campaign_access import open_limiter
from gatepost_operations.web.api.openapi import answer, json_body, model_body, problems
from gatepost_operations.web.api.problems import Type

router = APIRouter(tags=["lists"])
_WITH_BODY: Final = problems(Type.TOO_LARGE, Type.MEDIA)


@router.get("/v1/quota", operation_id="get_quota", responses={200: answer(schemas.Quotas)})
async def get_quota(
    caller: CallerOf,
    tenant: Annotated[str | None, Query(max_length=32, description="Only this tenant.")] = None,
    endpoint: Annotated[Endpoint | None, Query(description="Only this endpoint of Auth0.")] = None,
) -> Response:
    """Return the quota of each tenant, as Auth0 last reported it. Messages and logins have separate quotas. Scope: `read`."""
    caller.require(Scope.READ)
    return await caller.run(_quota, caller, tenant, endpoint)


def _quota(caller: Caller, tenant: str | None, endpoint: Endpoint | None) -> Response:
    allowed = caller.key.grant.tenants
    quotas, _ = open_limiter(caller).read(tenant, [endpoint] if endpoint else list(Endpoint))
    return JSONResponse({"quotas": [one.as_json() for one in quotas if not allowed or one.tenant in allowed]})


class Clearing(BodyModel):
    """The blocks to lift: of one tenant, of one endpoint, or all of them."""

    tenant: Annotated[str, Field(min_length=1, max_length=32)] | None = None
    endpoint: Endpoint | None = None


@router.post(
    "/v1/quota/clear",
    operation_id="clear_quota",
    openapi_extra={"requestBody": json_body(model_body(Clearing), required=False)},
    responses={200: answer(schemas.LiftedBlocks), **_WITH_BODY},
)
async def clear_quota(request: Request, caller: CallerOf) -> Response:
    """If workers wait because Auth0 answered 429, end this wait early. The workers send again within a minute.

    The audit log records the request. Scope: `console`.
    """
    caller.require(Scope.CONSOLE)
    return await caller.run(_clear, caller, await read_json(request))


def _clear(caller: Caller, body: Body) -> Response:
    wanted, services = body.read_as(Clearing), caller.services
    return JSONResponse({"cleared": open_limiter(caller).clear(services.audit, wanted.tenant, wanted.endpoint)})


class Person(BodyModel):
    """A person of the suppression list."""

    recipient: Annotated[
        SecretStr,
        WithJsonSchema({"type": "string", "description": "An address, or a number with its country code."}),
    ]


class SuppressionEntry(Person):
    """A new entry of the suppression list."""

    reason: SuppressionReason = SuppressionReason.MANUAL
    expires_at: PointInTime | None = None


@router.get("/v1/suppressions", operation_id="count_suppressions", responses={200: answer(schemas.Count)})
async def count_suppressions(caller: CallerOf) -> Response:
    """Return the number of people on the suppression list. Scope: `suppressions`."""
    caller.require(Scope.SUPPRESSIONS)
    return await caller.run(lambda: JSONResponse({"count": len(caller.services.campaigns.suppressions)}))


@router.post(
    "/v1/suppressions/find",
    operation_id="find_suppression",
    openapi_extra={"requestBody": json_body(model_body(Person))},
    responses={200: answer(schemas.Suppression), **_WITH_BODY},
)
async def find_suppression(request: Request, caller: CallerOf) -> Response:
    """Find a person on the suppression list, and return the person's entry. Scope: `suppressions`."""
    caller.require(Scope.SUPPRESSIONS)
    return await caller.run(_find, caller, await read_json(request))


def _find(caller: Caller, body: Body) -> Response:
    found = caller.services.campaigns.suppressions.find(_recipient(body.read_as(Person)))
    return JSONResponse(
        {
            "suppressed": found is not None,
            "reason": found and found.reason.value,
            "created_at": found and found.created_at.isoformat(),
            "expires_at": _text(found.expires_at) if found else None,
        }
    )


@router.post(
    "/v1/suppressions",
    operation_id="add_suppression",
    openapi_extra={"requestBody": json_body(model_body(SuppressionEntry))},
    responses={200: answer(schemas.NewSuppression), **_WITH_BODY},
)
async def add_suppression(request: Request, caller: CallerOf) -> Response:
    """Add a person to the suppression list, or change the person's entry. Scope: `suppressions`."""
    caller.require(Scope.SUPPRESSIONS)
    return await caller.run(_add, caller, await read_json(request))


def _add(caller: Caller, body: Body) -> Response:
    entry = body.read_as(SuppressionEntry)
    new = caller.services.campaigns.suppressions.add(_recipient(entry), entry.reason, expires_at=entry.expires_at)
    return JSONResponse({"new": new, "reason": entry.reason.value, "expires_at": _text(entry.expires_at)})


@router.delete(
    "/v1/suppressions",
    operation_id="remove_suppression",
    openapi_extra={"requestBody": json_body(model_body(Person))},
    responses={200: answer(schemas.Removed), **_WITH_BODY},
)
async def remove_suppression(request: Request, caller: CallerOf) -> Response:
    """Remove a person from the suppression list. Scope: `suppressions`."""
    caller.require(Scope.SUPPRESSIONS)
    return await caller.run(_remove, caller, await read_json(request))


def _remove(caller: Caller, body: Body) -> Response:
    removed = caller.services.campaigns.suppressions.remove(_recipient(body.read_as(Person)))
    return JSONResponse({"removed": removed})


def _text(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()


def _recipient(person: Person) -> str:
    text = person.recipient.get_secret_value()
    require_recipients([("recipient", text)])
    return text
