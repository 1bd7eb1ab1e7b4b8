"""The tenants' quotas, as the limiter has learned them."""

from typing import Final

from fastapi import APIRouter, Request
from starlette.responses import Response

from gatepost_operations.web.console.context import ConsoleOf
from gatepost_operations.web.console.rendering import Link, render
from gatepost_operations.web.console.security.operators import Level, require

LINK: Final = Link("Quota", "/quota")
router: Final = APIRouter(dependencies=[require(Level.READ_ONLY)])


@router.get("/quota")
def quota(request: Request, console: ConsoleOf) -> Response:
    """Show the quota of each endpoint of each tenant."""
    return render(request, "quota/quota.html.j2", quotas=console.quotas.all())
