"""The recipients of a campaign: page through them by state and reason, and export them."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Response
from fastapi.responses import JSONResponse, StreamingResponse

from gatepost.campaigns.report import NumberedReport, Only, RecipientReport
from gatepost_core.reasons import Reason
from gatepost_core.states import State
from gatepost_operations.files.export import ExportFormat, export_lines
from gatepost_operations.maintenance.api_keys import Scope
from gatepost_operations.web.api import schemas
from gatepost_operations.web.api.access import Caller, CallerOf
from gatepost_operations.web.api.campaign_access import find_campaign
from gatepost_operations.web.api.campaigns import IdOfCampaign
from gatepost_operations.web.api.openapi import answer, problems
from gatepost_operations.web.api.problems import Type
from gatepost_operations.web.api.uploads import NDJSON

_LINES: Final = 256

router = APIRouter(tags=["recipients"])
States = Annotated[list[State] | None, Query(alias="state", description="Only these states; repeatable.")]
Reasons = Annotated[list[Reason] | None, Query(alias="reason", description="Only these reasons; repeatable.")]


def _only(states: list[State] | None, reasons: list[Reason] | None) -> Only:
    return Only(frozenset(states) if states else None, frozenset(reasons) if reasons else None)


@router.get(
    "/v1/campaigns/{campaign_id}/recipients",
    operation_id="list_recipients",
    responses={200: answer(schemas.RecipientPage), **problems(Type.NOT_FOUND)},
)
async def list_recipients(
    campaign_id: IdOfCampaign,
    caller: CallerOf,
    *,
    states: States = None,
    reasons: Reasons = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    cursor: Annotated[int, Query(ge=0, le=1 << 40, description="`next_cursor` of the page before.")] = 0,
    reveal: Annotated[bool, Query(description="Addresses in clear; needs the scope `reveal`, and is audited.")] = False,
) -> Response:
    """Return a page of a campaign's recipients. `state` and `reason` filter the recipients, and `reveal=true` adds their addresses.

    Pass `next_cursor` of each page as `cursor` to get the next page, until `next_cursor` is null. A page can be empty although
    more pages follow. Scope: `read`. For addresses, the key needs the scope `reveal` too.
    """
    return await caller.run(_list, caller, campaign_id, _Page(_only(states, reasons), limit, cursor, reveal))


@dataclass(frozen=True, slots=True)
class _Page:
    """The parameters of a page."""

    only: Only
    limit: int
    start: int
    reveal: bool


def _list(caller: Caller, campaign_id: str, asked: _Page) -> Response:
    if asked.reveal:
        caller.require(Scope.REVEAL)
    campaign, services = find_campaign(caller, campaign_id), caller.services
    if asked.reveal:
        services.audit.record("campaign.reveal", campaign=campaign_id, start=asked.start, limit=asked.limit)
    page, following = services.campaigns.reports.page(
        campaign_id, campaign.batches, start=asked.start, limit=asked.limit, only=asked.only, opened=asked.reveal
    )
    headers = {"Cache-Control": "no-store"} if asked.reveal else {}
    return JSONResponse({"recipients": list(map(_recipient, page)), "next_cursor": following}, headers=headers)


def _recipient(one: NumberedReport) -> dict[str, Any]:
    found: dict[str, Any] = {"number": one.number, "recipient": None, "channel": None, **one.report.outcome()}
    if one.row is not None:
        found |= {"recipient": one.row.recipient, "channel": one.row.kind.value}
    return found


@router.get(
    "/v1/campaigns/{campaign_id}/export",
    operation_id="export_campaign",
    response_class=StreamingResponse,
    responses={
        200: {
            "description": "One line for each recipient, with the address in clear",
            "content": {NDJSON: {"schema": {"type": "string"}}, "text/csv": {"schema": {"type": "string"}}},
        },
        **problems(Type.NOT_FOUND),
    },
)
async def export_campaign(
    campaign_id: IdOfCampaign,
    caller: CallerOf,
    states: States = None,
    reasons: Reasons = None,
    how: Annotated[ExportFormat, Query(alias="format")] = ExportFormat.NDJSON,
) -> Response:
    """Return a campaign's recipients with their addresses and outcomes, as a stream. The audit log records the export.

    Scopes: `read` and `reveal`.
    """
    reports = await caller.run(_export, caller, campaign_id, _only(states, reasons))
    media = NDJSON if how is ExportFormat.NDJSON else "text/csv; charset=utf-8"
    return StreamingResponse(_in_blocks(reports, how), media_type=media, headers={"Cache-Control": "no-store"})


def _export(caller: Caller, campaign_id: str, only: Only) -> Iterator[RecipientReport]:
    caller.require(Scope.REVEAL)
    find_campaign(caller, campaign_id)
    reports = caller.services.campaigns.export(campaign_id, only.states)
    return (one for one in reports if only.fits(one))


def _in_blocks(reports: Iterator[RecipientReport], how: ExportFormat) -> Iterator[str]:
    lines: list[str] = []
    for line in export_lines(reports, how):
        lines.append(line)
        if len(lines) == _LINES:
            yield "".join(lines)
            lines.clear()
    yield "".join(lines)
