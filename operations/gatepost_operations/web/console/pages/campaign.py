"""One campaign: its progress now, over time, and why recipients failed."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Annotated, Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.sse import EventSourceResponse, ServerSentEvent
from pydantic import AfterValidator
from starlette.responses import Response

from gatepost_core.campaigns.model import Campaign
from gatepost_core.errors import CampaignNotFound, Unavailable
from gatepost_operations.planning.view_text import timezone_of
from gatepost_operations.web.console.campaign_text import DONE, steps
from gatepost_operations.web.console.chart import chart_of
from gatepost_operations.web.console.context import ConsoleOf, LiveConsole
from gatepost_operations.web.console.live import LiveView
from gatepost_operations.web.console.rendering import render, render_text
from gatepost_operations.web.console.security.operators import Level, require, signed_in

router: Final = APIRouter(dependencies=[require(Level.READ_ONLY)])
_PUSH_EVERY_S: Final = 1.0
# The browser then connects again, and its session is checked.
_LONGEST_STREAM_S: Final = 300.0


CampaignId = Annotated[str, AfterValidator(lambda text: str(UUID(text)))]
"""The campaign's id in the path, as the parameter `campaign_id` of a handler."""


def _found(console: ConsoleOf, campaign_id: CampaignId) -> Campaign:
    return console.campaigns.status(campaign_id)


CampaignOf = Annotated[Campaign, Depends(_found)]
"""The campaign in the path, as a parameter of a handler. It is read before the handler is called."""


@router.get("/campaigns/{campaign_id}")
def show_campaign(request: Request, console: LiveConsole, campaign_id: CampaignId, done: str = "") -> Response:
    """Show a campaign. While it can change by itself, the page follows the stream of `live`."""
    return render(
        request, "campaigns/page.html.j2", **_values(request, console.live.view(campaign_id)), done=DONE.get(done, "")
    )


@router.get("/campaigns/{campaign_id}/live", response_class=EventSourceResponse)
async def stream_campaign(
    request: Request, console: LiveConsole, campaign_id: CampaignId
) -> AsyncIterator[ServerSentEvent]:
    """Send the part of the page that changes, once a second, until the campaign changes only after an operator acts."""
    until = asyncio.get_running_loop().time() + _LONGEST_STREAM_S
    before = ""
    while asyncio.get_running_loop().time() < until and not console.live.is_closed:
        try:
            live = await run_in_threadpool(console.live.view, campaign_id)
        except (CampaignNotFound, Unavailable):
            yield ServerSentEvent(event="over", raw_data="gone")
            return
        now = render_text(request, "campaigns/_live.html.j2", **_values(request, live))
        if now != before:
            yield ServerSentEvent(raw_data=now)
            before = now
        if live.view.is_last:
            yield ServerSentEvent(event="over", raw_data="over")
            return
        await asyncio.sleep(_PUSH_EVERY_S)


def _values(request: Request, live: LiveView) -> dict[str, Any]:
    campaign = live.view.snapshot.campaign
    timezone = timezone_of(campaign)

    def local(at: datetime) -> datetime:
        return at.astimezone(ZoneInfo(timezone) if timezone else None)

    operator = signed_in(request)
    return {
        "view": live.view,
        "campaign": campaign,
        "timezone": timezone,
        "local": local,
        "chart": chart_of(live.samples, local),
        "steps": list(steps(live.view)),
        "may_act": operator is not None and operator.level >= Level.OPERATOR,
    }
