"""Campaigns under way: start, pause, resume, cancel, change, retry."""

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Annotated, Any, Final

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from pydantic import Field, StrictBool

from gatepost.campaigns.report import Only
from gatepost.chunks import in_chunks
from gatepost_core.campaigns.model import LOWEST_RATE, Campaign, Status
from gatepost_core.campaigns.row import Row
from gatepost_core.errors import InvalidCommand
from gatepost_core.kinds import CAMPAIGN_KINDS
from gatepost_core.message_fields import IsNumber
from gatepost_core.points_in_time import PointInTime
from gatepost_core.reasons import Reason
from gatepost_core.states import RETRYABLE, State
from gatepost_operations.maintenance.api_keys import Scope
from gatepost_operations.planning.retry import RetryResult, parts_of, selection_of
from gatepost_operations.web.api import schemas
from gatepost_operations.web.api.access import Caller, CallerOf
from gatepost_operations.web.api.bodies import Body, BodyModel, read_json
from gatepost_operations.web.api.campaign_access import campaign_json, find_campaign
from gatepost_operations.web.api.campaigns import IdOfCampaign
from gatepost_operations.web.api.openapi import answer, json_body, model_body, problems
from gatepost_operations.web.api.problems import Problem, Type

router = APIRouter(tags=["campaigns"])
_CHUNK: Final = 256
_DONE: Final[dict[str, Any]] = {
    "responses": {200: answer(schemas.CampaignState), **problems(Type.NOT_FOUND, Type.CONFLICT)},
}
_WITH_BODY: Final = problems(Type.NOT_FOUND, Type.CONFLICT, Type.TOO_LARGE, Type.MEDIA)


def _act(caller: Caller, campaign_id: str, act: Callable[[Any, str], Campaign]) -> Response:
    find_campaign(caller, campaign_id, Scope.CAMPAIGNS)
    return JSONResponse(campaign_json(act(caller.services.campaigns, campaign_id)))


@router.post("/v1/campaigns/{campaign_id}/start", operation_id="start_campaign", **_DONE)
async def start_campaign(campaign_id: IdOfCampaign, caller: CallerOf) -> Response:
    """Start a draft. On a running campaign, this has no effect. Scope: `campaigns`."""
    return await caller.run(_act, caller, campaign_id, lambda all_, one: all_.start(one))


@router.post("/v1/campaigns/{campaign_id}/pause", operation_id="pause_campaign", **_DONE)
async def pause_campaign(campaign_id: IdOfCampaign, caller: CallerOf) -> Response:
    """Pause a campaign. Requests to Auth0 that have already begun still finish. Scope: `campaigns`."""
    return await caller.run(_act, caller, campaign_id, lambda all_, one: all_.pause(one))


@router.post("/v1/campaigns/{campaign_id}/resume", operation_id="resume_campaign", **_DONE)
async def resume_campaign(campaign_id: IdOfCampaign, caller: CallerOf) -> Response:
    """Resume a paused campaign. Scope: `campaigns`."""
    return await caller.run(_act, caller, campaign_id, lambda all_, one: all_.resume(one))


@router.post("/v1/campaigns/{campaign_id}/cancel", operation_id="cancel_campaign", **_DONE)
async def cancel_campaign(campaign_id: IdOfCampaign, caller: CallerOf) -> Response:
    """Cancel a campaign. Recipients who have not been sent a message become `cancelled`. Scope: `campaigns`."""
    return await caller.run(_act, caller, campaign_id, _cancel)


def _cancel(campaigns: Any, campaign_id: str) -> Campaign:
    found: Campaign = campaigns.status(campaign_id)
    if found.status in {Status.FINISHED, Status.CANCELLED}:
        return found
    cancelled: Campaign = campaigns.cancel(campaign_id)
    return cancelled


class Change(BodyModel):
    """The options to change; null removes one."""

    rate: Annotated[float, Field(ge=LOWEST_RATE, le=1e6), IsNumber] | None = None
    deadline: PointInTime | None = None


class Retry(BodyModel):
    """The recipients to retry: by default those that failed.

    Without `reasons`, recipients for whom a retry cannot succeed are skipped.

    Recipients in the state `unknown` are retried only if the state or their reason is named.
    """

    states: Annotated[frozenset[State], Field(min_length=1)] | None = None
    reasons: Annotated[frozenset[Reason], Field(min_length=1)] | None = None
    dry_run: StrictBool = False
    deadline: PointInTime | None = None


@router.post(
    "/v1/campaigns/{campaign_id}/change",
    operation_id="change_campaign",
    openapi_extra={"requestBody": json_body(model_body(Change))},
    responses={200: answer(schemas.CampaignState), **_WITH_BODY},
)
async def change_campaign(request: Request, campaign_id: IdOfCampaign, caller: CallerOf) -> Response:
    """Change the rate or the deadline of a campaign, even while it is running. Scope: `campaigns`."""
    return await caller.run(_change, caller, campaign_id, await read_json(request))


def _change(caller: Caller, campaign_id: str, body: Body) -> Response:
    changed, change = find_campaign(caller, campaign_id, Scope.CAMPAIGNS), body.read_as(Change)
    campaigns, given = caller.services.campaigns, change.model_fields_set
    if not given:
        raise InvalidCommand([("command", "has nothing to change; give rate or deadline")])
    if "rate" in given:
        changed = campaigns.change_rate(campaign_id, change.rate)
    if "deadline" in given:
        changed = campaigns.change_deadline(campaign_id, change.deadline)
    return JSONResponse(campaign_json(changed))


@router.post(
    "/v1/campaigns/{campaign_id}/retry",
    operation_id="retry_campaign",
    openapi_extra={"requestBody": json_body(model_body(Retry), required=False)},
    responses={200: answer(schemas.Retried), **_WITH_BODY},
)
async def retry_campaign(request: Request, campaign_id: IdOfCampaign, caller: CallerOf) -> Response:
    """Send the message again to recipients who failed. With `dry_run`, only count them.

    By default, the retry leaves out recipients whose failure would occur again, such as a wrong address. To retry such recipients, list the
    reasons of their failures in `reasons`. By default, the retry also leaves out recipients in the state `unknown`, because they may already
    have a message. To retry these recipients, list `unknown` in `states`, or list their reasons in `reasons`.
    Scope: `campaigns`.
    """
    return await caller.run(_retry, caller, campaign_id, await read_json(request))


def _retry(caller: Caller, campaign_id: str, body: Body) -> Response:
    campaign, retry = find_campaign(caller, campaign_id, Scope.CAMPAIGNS), body.read_as(Retry)
    selection = selection_of(retry.states, retry.reasons)
    if refused := sorted(selection.states - RETRYABLE):
        raise InvalidCommand([("states", f"must not have {', '.join(refused)}, which cannot be retried")])
    parts = parts_of(campaign, selection, retry.reasons)
    campaigns = caller.services.campaigns
    if not retry.dry_run:
        _require_time(campaign, retry, any(not part.skipped for part in parts))
        _count(caller, campaign, Only(selection.states, selection.reasons))
        if retry.deadline is not None:
            campaigns.change_deadline(campaign_id, retry.deadline)
    retried = campaigns.retry(campaign_id, selection.states, selection.reasons, dry_run=retry.dry_run)
    return JSONResponse(RetryResult(campaign, retried, parts).as_json())


def _count(caller: Caller, campaign: Campaign, only: Only) -> None:
    """Count a retry for each person. The key and the country were counted when the recipients were added."""
    key, usage, reports = caller.key, caller.services.usage, caller.services.campaigns.reports
    if key.grant.per_recipient is None:
        return
    rows = (one.row for one in reports.all_of(campaign.campaign_id, campaign.batches, only.states) if only.fits(one))
    for chunk in in_chunks(rows, _CHUNK):
        uses = [usage.of_repeat(key, CAMPAIGN_KINDS[row.kind], row.recipient) for row in chunk]
        standing, refusals = usage.take(key, uses, until_refused=True)
        if policy := next(filter(None, refusals), None):
            raise standing.exceeded(policy)


class Choice(BodyModel):
    """A choice of recipients by state and reason; all without both."""

    states: frozenset[State] | None = None
    reasons: frozenset[Reason] | None = None


@router.post(
    "/v1/campaigns/{campaign_id}/suppress",
    operation_id="suppress_recipients",
    openapi_extra={"requestBody": json_body(model_body(Choice))},
    responses={200: answer(schemas.SuppressedRecipients), **_WITH_BODY},
)
async def suppress_recipients(request: Request, campaign_id: IdOfCampaign, caller: CallerOf) -> Response:
    """Add all recipients of a campaign to the suppression list. To add only some recipients, select them with `states` and `reasons`.

    Scopes: `campaigns` and `suppressions`.
    """
    return await caller.run(_suppress, caller, campaign_id, await read_json(request))


def _suppress(caller: Caller, campaign_id: str, body: Body) -> Response:
    caller.require(Scope.SUPPRESSIONS)
    campaign, choice = find_campaign(caller, campaign_id, Scope.CAMPAIGNS), body.read_as(Choice)
    campaigns, only = caller.services.campaigns, Only(choice.states, choice.reasons)
    chosen = Counter[str]()

    def rows() -> Iterator[Row]:
        for one in campaigns.reports.all_of(campaign_id, campaign.batches, choice.states):
            if only.fits(one):
                chosen["rows"] += 1
                yield one.row

    new = campaigns.suppressions.import_rows(rows())
    return JSONResponse({"new": new, "recipients": chosen["rows"]})


def _require_time(campaign: Campaign, retry: Retry, some: bool) -> None:  # noqa: FBT001 - whether there are recipients
    old = campaign.options.deadline
    if some and old is not None and old <= datetime.now(UTC) and retry.deadline is None:
        raise Problem(
            Type.CONFLICT,
            "The campaign's deadline has passed, so the recipients would expire again; give a new deadline.",
        )
