"""GET /v1/health, for load balancers. It needs no key."""

import anyio.to_thread
from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from redis.exceptions import RedisError

from gatepost_operations.web.api import schemas
from gatepost_operations.web.api.openapi import answer
from gatepost_operations.web.api.services import services_of

router = APIRouter(tags=["health"])


@router.get(
    "/v1/health",
    operation_id="get_health",
    responses={200: answer(schemas.Health, "The api works"), 503: answer(schemas.Health, "Redis does not answer")},
)
async def get_health(request: Request) -> Response:
    """Return whether Redis answers."""
    try:
        await anyio.to_thread.run_sync(services_of(request).redis.ping)
    except RedisError:
        return JSONResponse({"healthy": False}, 503)
    return JSONResponse({"healthy": True})
