"""The audit log: who did what, and when."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated, Final

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from gatepost_core.audit_log import AuditUnreadable, Entry, read_page
from gatepost_operations.maintenance.audit_text import facts_of
from gatepost_operations.web.console.context import Console, ConsoleOf
from gatepost_operations.web.console.rendering import Link, render
from gatepost_operations.web.console.security.operators import Level, require

LINK: Final = Link("Audit", "/audit")
router: Final = APIRouter(dependencies=[require(Level.READ_ONLY)])
_PAGE: Final = 100
# Pages that one request searches for entries that match.
_MOST_PAGES: Final = 20


@router.get("/audit")
def audit(
    request: Request,
    console: ConsoleOf,
    action: Annotated[str, Query(max_length=100)] = "",
    who: Annotated[str, Query(max_length=200)] = "",
    before: Annotated[int | None, Query(ge=0, le=1 << 40)] = None,
) -> Response:
    """Show entries, the newest first."""
    entries: list[Entry] = []
    damaged = False
    try:
        for _ in range(_MOST_PAGES):
            page, before = read_page(console.redis, console.keys.audit, _PAGE, before)
            entries += [one for one in page if one.action.startswith(action) and who.casefold() in one.who.casefold()]
            if len(entries) >= _PAGE or before is None:
                break
    except AuditUnreadable:
        damaged, before = True, None
    return render(
        request,
        "audit/audit.html.j2",
        entries=list(_shown(console, entries)),
        action=action,
        who=who,
        before=before,
        damaged=damaged,
    )


def _shown(console: Console, entries: list[Entry]) -> Iterator[tuple[Entry, datetime, str]]:
    ids = {str(one.about["campaign"]) for one in entries if "campaign" in one.about}
    names = console.campaigns.names(sorted(ids))
    for one in entries:
        yield one, datetime.fromtimestamp(one.at_ms / 1000, UTC), ", ".join(facts_of(one.about, names))
