"""The list of campaigns."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Final
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from gatepost_core.campaigns.model import Status
from gatepost_operations.web.console.context import ConsoleOf
from gatepost_operations.web.console.rendering import Link, render
from gatepost_operations.web.console.security.operators import Level, require

LINK: Final = Link("Campaigns", "/campaigns")
router: Final = APIRouter(dependencies=[require(Level.READ_ONLY)])
_PAGE: Final = 50


@dataclass(frozen=True, slots=True)
class Page:
    """One page of the list.

    Attributes:
        items: the names of its campaigns.
        number: its number, from 1 to `last`.
        last: the number of the last page.
        total: the number of campaigns in the whole list.
    """

    items: Sequence[str]
    number: int
    last: int
    total: int

    @classmethod
    def of(cls, items: Sequence[str], number: int) -> "Page":
        """Return a page of the list; the last one if there are fewer pages."""
        last = max(1, -(-len(items) // _PAGE))
        number = min(number, last)
        return cls(items[(number - 1) * _PAGE : number * _PAGE], number, last, len(items))

    @property
    def range_text(self) -> str:
        """`51 to 100 of 1,000`."""
        first = (self.number - 1) * _PAGE
        return f"{first + 1:,} to {first + len(self.items):,} of {self.total:,}" if self.items else "none"

    def link(self, number: int, **query: object) -> str:
        """Return the query of another page of the list."""
        return "?" + urlencode({name: str(value) for name, value in {**query, "page": number}.items() if value})


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
    shown = Page.of(found, page)
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
