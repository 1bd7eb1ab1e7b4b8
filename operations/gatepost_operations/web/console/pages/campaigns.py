"""The list of campaigns."""

from typing import Annotated, Final

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from gatepost_core.campaigns.model import Status
from gatepost_operations.web.console.context import ConsoleOf
from gatepost_operations.web.console.paging import Page
from gatepost_operations.web.console.rendering import Link, render
from gatepost_operations.web.console.security.operators import Level, require

LINK: Final = Link("Campaigns", "/campaigns")
router: Final = APIRouter(dependencies=[require(Level.READ_ONLY)])
_PAGE: Final = 50


@router.get("/campaigns")
def list_campaigns(
    request: Request,
    console: ConsoleOf,
    find: Annotated[str, Query(max_length=200)] = "",
    status: str = "",
    page: Annotated[int, Query(ge=1, le=100_000)] = 1,
) -> Response:
    """Show campaigns, the newest first."""
    wanted = Status(status) if status in set(Status) else None
    found = console.campaigns.find(find, wanted)
    shown = Page.of(found, page, size=_PAGE)
    campaigns = console.campaigns.live(shown.items)
    return render(
        request,
        "campaigns/list.html.j2",
        campaigns=list(campaigns.values()),
        unreadable=len(shown.items) - len(campaigns),
        shown=shown,
        find=find,
        wanted_status=wanted,
        statuses=tuple(Status),
    )
