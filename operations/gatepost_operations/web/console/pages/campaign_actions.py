"""Start, pause, resume, cancel and change a campaign, and send a test message."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Final

from fastapi import APIRouter, Form, HTTPException, Request
from fastapi.concurrency import run_in_threadpool
from starlette.responses import RedirectResponse, Response

from gatepost_operations.web.console.api import Problem
from gatepost_operations.web.console.context import Console, ConsoleOf
from gatepost_operations.web.console.pages.campaign import CampaignId, CampaignOf
from gatepost_operations.web.console.rendering import render
from gatepost_operations.web.console.security.operators import Level, require

router: Final = APIRouter(prefix="/campaigns/{campaign_id}", dependencies=[require(Level.OPERATOR)])
Field = Annotated[str, Form(max_length=500)]


async def act(request: Request, console: Console, campaign_id: str, action: str, values: Mapping[str, Any]) -> Any:
    """Let the API carry out an action on a campaign, and read the campaign anew. Errors are those of `Api.call`."""
    answer = await console.api_of(request).call("POST", f"/v1/campaigns/{campaign_id}/{action}", json=dict(values))
    await run_in_threadpool(console.live.refresh, campaign_id)
    return answer


def back(campaign_id: str, done: str) -> Response:
    """Return to the page of a campaign, which shows the result."""
    return RedirectResponse(f"/campaigns/{campaign_id}?done={done}", 303)


@router.post("/start")
@router.post("/pause")
@router.post("/resume")
@router.post("/cancel")
async def act_at_once(request: Request, console: ConsoleOf, campaign_id: CampaignId) -> Response:
    """Start, pause, resume or cancel a campaign, as the last part of the path says."""
    action = request.url.path.rpartition("/")[2]
    await act(request, console, campaign_id, action, {})
    return back(campaign_id, action)


@router.get("/cancel")
def ask_to_cancel(request: Request, campaign: CampaignOf) -> Response:
    """Ask before a campaign is cancelled."""
    return render(request, "campaigns/cancel.html.j2", campaign=campaign)


@router.get("/change")
def show_change(request: Request, campaign: CampaignOf) -> Response:
    """Show the options that can be changed."""
    rate, deadline = campaign.options.rate, campaign.options.deadline
    given = {
        "rate": "" if rate is None else f"{rate:g}",
        "deadline": "" if deadline is None else f"{deadline.astimezone():%Y-%m-%dT%H:%M}",
    }
    return render(request, "campaigns/change.html.j2", campaign=campaign, given=given, errors=())


@router.post("/change")
async def change(
    request: Request, console: ConsoleOf, campaign_id: CampaignId, rate: Field = "", deadline: Field = ""
) -> Response:
    """Change the rate and the deadline."""
    given = {"rate": rate.strip(), "deadline": deadline.strip()}
    try:
        await act(request, console, campaign_id, "change", _changes(given))
    except Problem as problem:
        found = await run_in_threadpool(console.campaigns.status, campaign_id)
        values = {"campaign": found, "given": given, "errors": problem.lines}
        return render(request, "campaigns/change.html.j2", status=problem.status, **values)
    return back(campaign_id, "change")


def _changes(given: Mapping[str, str]) -> dict[str, Any]:
    try:
        rate = float(given["rate"].replace(",", ".")) if given["rate"] else None
    except ValueError:
        raise Problem(422, "", (("/rate", "must be a number of recipients a second, or empty for no limit"),)) from None
    return {"rate": rate, "deadline": local_time(given["deadline"], "deadline")}


def local_time(given: str, field: str) -> str | None:
    """Return a local time of a form as ISO 8601 with its offset; None for an empty field.

    Raises:
        Problem: it is not a time.
    """
    if not given:
        return None
    try:
        return datetime.fromisoformat(given).astimezone().isoformat()
    except (ValueError, OverflowError):
        raise Problem(422, "", ((f"/{field}", "must be a date and a time, such as 2027-03-28T16:00"),)) from None


@router.get("/test")
def show_test(request: Request, campaign: CampaignOf) -> Response:
    """Ask for the recipient of a test message."""
    return render(request, "campaigns/test.html.j2", campaign=campaign, errors=())


@router.post("/test")
async def send_test(request: Request, console: ConsoleOf, campaign_id: CampaignId, to: Field) -> Response:
    """Hand the address of a test message to the API. The console does not keep it."""
    try:
        await act(request, console, campaign_id, "test", {"to": [to.strip()]})
    except Problem as problem:
        found = await run_in_threadpool(console.campaigns.status, campaign_id)
        values = {"campaign": found, "errors": problem.lines}
        return render(request, "campaigns/test.html.j2", status=problem.status, **values)
    return back(campaign_id, "test")


@router.get("/plan")
async def show_plan(request: Request, console: ConsoleOf, campaign: CampaignOf) -> Response:
    """Show when the campaign would finish, and its share of the quota."""
    plan = await console.api_of(request).call("GET", f"/v1/campaigns/{campaign.campaign_id}/plan")
    if not isinstance(plan, dict):
        raise HTTPException(502, "The API gave no plan.")
    return render(request, "campaigns/plan.html.j2", campaign=campaign, plan=plan)
