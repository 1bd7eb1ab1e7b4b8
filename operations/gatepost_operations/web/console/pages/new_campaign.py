"""Create a campaign from a file, and add recipients to one. Files pass through to the API; the console does not keep them.

The browser sends a file as the body of the request and the fields of its form in the query. A form of several parts would be stored by
the parser.
"""

from typing import Annotated, Any, Final
from urllib.parse import urlencode
from uuid import uuid4

from fastapi import APIRouter, Depends, Request
from fastapi.concurrency import run_in_threadpool
from starlette.responses import Response

from gatepost_operations.web.console.api import Problem
from gatepost_operations.web.console.context import Console, ConsoleOf
from gatepost_operations.web.console.pages.campaign import CampaignId, CampaignOf
from gatepost_operations.web.console.pages.campaign_actions import local_time
from gatepost_operations.web.console.rendering import render
from gatepost_operations.web.console.security.operators import Level, require

router: Final = APIRouter(prefix="/campaigns", dependencies=[require(Level.OPERATOR)])
_READING: Final = ("channel", "region", "numbers", "allow_landlines", "encoding", "delimiter", "sheet", "skip_invalid")
"""How a file is read."""
_OPTIONS: Final = ("send", "tenant", "connection", "rate", "start_at", "deadline", "hours", "timezone")
"""The options of a new campaign that the page offers."""
_TIMES: Final = ("start_at", "deadline")
_ANYTHING: Final = "application/octet-stream"


def _fields(request: Request) -> dict[str, str]:
    return {name: value.strip() for name, value in request.query_params.items() if value.strip()}


Fields = Annotated[dict[str, str], Depends(_fields)]
"""The filled fields of the form."""


@router.get("/new")
def show_new(request: Request, fields: Fields) -> Response:
    """Ask for a file."""
    return render(request, "campaigns/new.html.j2", given=fields)


@router.post("/check")
async def check(request: Request, console: ConsoleOf, fields: Fields) -> Response:
    """Let the API check the file, and show its report. Nothing is created."""
    return await _check(request, console, {"request_id": str(uuid4()), **fields}, adds=None)


@router.post("/create")
async def create(request: Request, console: ConsoleOf, fields: Fields) -> Response:
    """Create a draft, and add the recipients of the file to it. Repeated with the same id, it adds the missing ones."""
    try:
        # The id in the form makes a repeated request find the campaign that it made.
        key = {"Idempotency-Key": fields.get("request_id") or str(uuid4())}
        values = _new_campaign(fields)
        created = await console.api_of(request).call("POST", "/v1/campaigns", json=values, headers=key)
        campaign_id = str(created["campaign_id"])
        await _send_file(request, console, f"/v1/campaigns/{campaign_id}/recipients", fields)
    except Problem as problem:
        return render(request, "campaigns/_refused.html.j2", status=problem.status, errors=problem.lines)
    return await _to_campaign(console, campaign_id, "created")


@router.get("/{campaign_id}/add")
def show_add(request: Request, campaign: CampaignOf, fields: Fields) -> Response:
    """Ask for a file with further recipients."""
    return render(request, "campaigns/add.html.j2", campaign=campaign, given=fields)


@router.post("/{campaign_id}/check")
async def check_for(request: Request, console: ConsoleOf, campaign_id: CampaignId, fields: Fields) -> Response:
    """Let the API check a file with further recipients."""
    return await _check(request, console, fields, adds=campaign_id)


async def _check(request: Request, console: Console, fields: dict[str, str], *, adds: str | None) -> Response:
    try:
        report = await _send_file(request, console, "/v1/recipient-files/check", fields)
    except Problem as problem:
        return render(request, "campaigns/_refused.html.j2", status=problem.status, errors=problem.lines)
    return render(request, "campaigns/_report.html.j2", report=report, given=fields, adds=adds)


@router.post("/{campaign_id}/add")
async def add(request: Request, console: ConsoleOf, campaign_id: CampaignId, fields: Fields) -> Response:
    """Add the recipients of the file. Those that the campaign already has are not added again."""
    try:
        await _send_file(request, console, f"/v1/campaigns/{campaign_id}/recipients", fields)
    except Problem as problem:
        return render(request, "campaigns/_refused.html.j2", status=problem.status, errors=problem.lines)
    return await _to_campaign(console, campaign_id, "added")


async def _send_file(request: Request, console: Console, path: str, fields: dict[str, str]) -> Any:
    params: dict[str, str] = {name: fields[name] for name in _READING if name in fields}
    kind = request.headers.get("content-type") or _ANYTHING
    return await console.api_of(request).call(
        "POST", path, params=params, content=request.stream(), headers={"Content-Type": kind}
    )


def _new_campaign(fields: dict[str, str]) -> dict[str, Any]:
    """Return the body with which the API creates a campaign."""
    options: dict[str, Any] = {name: fields[name] for name in _OPTIONS if name in fields and name not in _TIMES}
    options |= {name: local_time(fields[name], name) for name in _TIMES if name in fields}
    if "rate" in options:
        options["rate"] = _number(options["rate"])
    hours, timezone = options.pop("hours", None), options.pop("timezone", None)
    if hours:
        options["hours"] = f"{hours} {timezone or ''}".strip()
    if channel := fields.get("channel"):
        options["channel"] = channel
    return {"name": fields.get("name", ""), **options}


def _number(text: str) -> float:
    try:
        return float(text.replace(",", "."))
    except ValueError:
        raise Problem(422, "", (("rate", "must be a number of recipients a second"),)) from None


async def _to_campaign(console: Console, campaign_id: str, done: str) -> Response:
    await run_in_threadpool(console.live.refresh, campaign_id)
    return Response(headers={"HX-Redirect": f"/campaigns/{campaign_id}?{urlencode({'done': done})}"})
