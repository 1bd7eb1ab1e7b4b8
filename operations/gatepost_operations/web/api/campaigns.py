"""Campaigns: list, create, read, plan, test."""

import uuid
from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.responses import JSONResponse
from pydantic import Field

from gatepost.campaigns.creation import MOST_GUESTS
from gatepost_core.campaigns.model import Campaign, Status
from gatepost_core.commands import COMMANDS, build
from gatepost_core.errors import CampaignConflict, CampaignNotFound, InvalidCommand
from gatepost_core.kinds import CAMPAIGN_KINDS, Channel, Endpoint
from gatepost_operations.maintenance.api_keys import Scope
from gatepost_operations.planning.campaign_pages import campaign_page
from gatepost_operations.planning.campaign_plan import plan_of_campaign
from gatepost_operations.planning.sample import message_of
from gatepost_operations.web.api import schemas
from gatepost_operations.web.api.access import Caller, CallerOf
from gatepost_operations.web.api.bodies import Body, BodyModel, read_json, require_recipients
from gatepost_operations.web.api.campaign_access import campaign_json, find_campaign, open_limiter, read_options
from gatepost_operations.web.api.idempotency import read_idempotency_key
from gatepost_operations.web.api.items import Item, check_command, record_items
from gatepost_operations.web.api.messages import KeyHeader, results_response
from gatepost_operations.web.api.openapi import answer, campaign_body, json_body, model_body, problems
from gatepost_operations.web.api.problems import Problem, Type

MOST_TESTS: Final = 10
"""Addresses of one test send."""
_CREATED: Final = 201
_ACCEPTED: Final = 202

router = APIRouter(tags=["campaigns"])
IdOfCampaign = Annotated[str, Path(description="The campaign's id.", max_length=64)]
_FOUND: Final = problems(Type.NOT_FOUND)
_WITH_BODY: Final = problems(Type.TOO_LARGE, Type.MEDIA)


@router.get("/v1/campaigns", operation_id="list_campaigns", responses={200: answer(schemas.CampaignPage)})
async def list_campaigns(
    caller: CallerOf,
    state: Annotated[list[Status] | None, Query(description="Only campaigns with this status; repeatable.")] = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 50,
    cursor: Annotated[str | None, Query(max_length=64, description="`next_cursor` of the page before.")] = None,
) -> Response:
    """Return a list of campaigns, the newest first. Scope: `read`."""
    return await caller.run(_list, caller, state or [], limit, cursor)


def _list(caller: Caller, statuses: list[Status], limit: int, cursor: str | None) -> Response:
    caller.require(Scope.READ)
    owner = None if caller.sees_all else caller.key.id
    campaigns = caller.services.campaigns
    ids, following = campaign_page(campaigns.store, limit=limit, after=cursor, statuses=statuses, owner=owner)
    found = []
    for campaign_id in ids:
        try:
            found.append(campaign_json(campaigns.status(campaign_id)))
        except CampaignNotFound:  # deleted meanwhile
            continue
    return JSONResponse({"campaigns": found, "next_cursor": following})


@router.post(
    "/v1/campaigns",
    operation_id="create_campaign",
    status_code=_CREATED,
    openapi_extra={"requestBody": json_body(campaign_body())},
    responses={_CREATED: answer(schemas.CampaignState, "Created, as a draft"), **problems(Type.CONFLICT), **_WITH_BODY},
)
async def create_campaign(request: Request, caller: CallerOf, idempotency_key: KeyHeader = None) -> Response:
    """Create a campaign as a draft. Scope: `campaigns`."""
    key = read_idempotency_key(idempotency_key)
    caller.require(Scope.CAMPAIGNS)
    return await caller.run(_create, caller, await read_json(request), key)


def _create(caller: Caller, body: Body, key: str | None) -> Response:
    fields = body.mapping()
    name, guests = fields.pop("name", None), _read_guests(fields.pop("guest_list", None))
    if not isinstance(name, str):
        raise InvalidCommand([("name", "is needed, as a text")])
    options, campaigns = read_options(caller, fields), caller.services.campaigns
    campaign_id = None if key is None else _id_of(caller, key)
    before = None if campaign_id is None else _existing(caller, campaign_id)
    try:
        created = campaigns.create(name, options, guest_list=guests, campaign_id=campaign_id, owner=caller.key.id)
    except CampaignConflict:
        created = None
    if created is None or (before is not None and before.name != name):
        raise Problem(Type.KEY_REUSED)
    headers = {"Location": f"/v1/campaigns/{created}"}
    if before is not None:
        headers["Idempotency-Replayed"] = "true"
    return JSONResponse(campaign_json(campaigns.status(created)), _CREATED, headers=headers)


def _read_guests(given: Any) -> list[str] | None:
    if given is None:
        return None
    if not isinstance(given, list) or len(given) > MOST_GUESTS or not all(isinstance(guest, str) for guest in given):
        raise InvalidCommand([("guest_list", f"must be a list of at most {MOST_GUESTS:,} addresses and numbers")])
    require_recipients((f"guest_list.{place}", guest) for place, guest in enumerate(given))
    return given


def _id_of(caller: Caller, key: str) -> str:
    """Return the campaign's id for an idempotency key: it names the campaign for as long as that exists."""
    digest = caller.services.settings.fingerprints().digest("http campaign", caller.key.id, key)
    return str(uuid.UUID(bytes=digest[:16], version=4))


def _existing(caller: Caller, campaign_id: str) -> Campaign | None:
    try:
        return caller.services.campaigns.status(campaign_id)
    except CampaignNotFound:
        return None


@router.get(
    "/v1/campaigns/{campaign_id}",
    operation_id="get_campaign",
    responses={200: answer(schemas.CampaignState), **_FOUND},
)
async def get_campaign(campaign_id: IdOfCampaign, caller: CallerOf) -> Response:
    """Return the status of a campaign.

    The answer has the number of recipients in each state, the rate, the expected finish time, and the cause if the campaign is paused.
    Scope: `read`.
    """
    return await caller.run(lambda: JSONResponse(campaign_json(find_campaign(caller, campaign_id))))


@router.get(
    "/v1/campaigns/{campaign_id}/plan",
    operation_id="plan_campaign",
    responses={200: answer(schemas.Report), **_FOUND},
)
async def plan_campaign(campaign_id: IdOfCampaign, caller: CallerOf) -> Response:
    """Return an estimate of when the campaign will finish. Scope: `read`."""
    return await caller.run(_plan, caller, campaign_id)


def _plan(caller: Caller, campaign_id: str) -> Response:
    campaign = find_campaign(caller, campaign_id)
    tenant = caller.services.settings.tenant_name(campaign.options.tenant)
    quotas, _ = open_limiter(caller).read(tenant, [Endpoint.START])
    made = plan_of_campaign(caller.services.campaigns, campaign, quotas[0])
    return JSONResponse(made.as_json())


class SampleSend(BodyModel):
    """Addresses and numbers of your team, and the language of the message."""

    to: Annotated[list[str], Field(min_length=1, max_length=MOST_TESTS)]
    language: str | None = None


@router.post(
    "/v1/campaigns/{campaign_id}/test",
    operation_id="test_campaign",
    status_code=_ACCEPTED,
    openapi_extra={"requestBody": json_body(model_body(SampleSend))},
    responses={_ACCEPTED: answer(schemas.Results, "Recorded"), **_FOUND, **_WITH_BODY},
)
async def test_campaign(request: Request, campaign_id: IdOfCampaign, caller: CallerOf) -> Response:
    """Send a test of the campaign's message to up to ten addresses. The campaign itself does not start. Scope: `campaigns`."""
    return await caller.run(_test, caller, campaign_id, await read_json(request))


def _test(caller: Caller, campaign_id: str, body: Body) -> Response:
    campaign, test = find_campaign(caller, campaign_id, Scope.CAMPAIGNS), body.read_as(SampleSend)
    params = caller.services.campaigns.auth_params(campaign_id)
    options = campaign.options.model_copy(update={"auth_params": params})
    items = []
    for place, one in enumerate(test.to):
        kind = CAMPAIGN_KINDS[Channel.EMAIL if "@" in one else Channel.SMS]
        message: dict[str, Any] = {**message_of(kind.channel, options), str(kind.identifier): one}
        try:
            command = build(
                COMMANDS[kind], message if test.language is None else {**message, "language": test.language}
            )
        except InvalidCommand as failure:
            # The body has no field of this name.
            places = {str(kind.identifier): f"to.{place}"}
            raise InvalidCommand([(places.get(it.field, it.field), it.problem) for it in failure.problems]) from None
        check_command(caller, command)
        items.append(Item(command))
    return results_response(*record_items(caller, items))
