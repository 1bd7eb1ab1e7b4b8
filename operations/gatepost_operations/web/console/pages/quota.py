"""The tenants' quotas, as the limiter has learned them."""

from typing import Annotated, Final

from fastapi import APIRouter, Form, Request
from starlette.responses import RedirectResponse, Response

from gatepost_core.kinds import Endpoint
from gatepost_operations.web.console.context import ConsoleOf
from gatepost_operations.web.console.rendering import Link, render
from gatepost_operations.web.console.security.operators import Level, require

LINK: Final = Link("Quota", "/quota")
router: Final = APIRouter(dependencies=[require(Level.READ_ONLY)])


@router.get("/quota")
def quota(request: Request, console: ConsoleOf, done: str = "") -> Response:
    """Show the quota of each endpoint of each tenant."""
    return render(request, "quota/quota.html.j2", quotas=console.quotas.all(), done=done)


@router.post("/quota/clear", dependencies=[require(Level.OPERATOR)])
async def clear(
    request: Request,
    console: ConsoleOf,
    tenant: Annotated[str, Form(max_length=32)],
    endpoint: Annotated[Endpoint, Form()],
) -> Response:
    """Let the API lift the block after a 429."""
    block = {"tenant": tenant, "endpoint": endpoint.value}
    await console.api_of(request).call("POST", "/v1/quota/clear", json=block)
    return RedirectResponse("/quota?done=clear", 303)
