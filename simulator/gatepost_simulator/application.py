"""The whole simulator as one ASGI application: the Authentication API, and the control API under /simulator."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import FastAPI

from gatepost_simulator import fault_routes, outbox_routes, tenant_routes
from gatepost_simulator.authentication_api import AuthenticationApi

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from gatepost_simulator.tenant import Tenant

CONTROL = "/simulator"


def control_application(tenant: Tenant) -> FastAPI:
    """Make the control API for a tenant; its OpenAPI document is at `/simulator/openapi.json`."""
    application = FastAPI(
        title="Gatepost simulator: control API",
        docs_url=f"{CONTROL}/docs",
        redoc_url=None,
        openapi_url=f"{CONTROL}/openapi.json",
    )
    application.state.tenant = tenant
    for routes in (outbox_routes, fault_routes, tenant_routes):
        application.include_router(routes.router, prefix=CONTROL)
    return application


def simulator_application(tenant: Tenant) -> ASGIApp:
    """Make the application: the control API takes what is under `/simulator`, the Authentication API all else."""
    control = control_application(tenant)
    authentication = AuthenticationApi(tenant)

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        is_control = scope["type"] != "http" or scope["path"].startswith(CONTROL)
        await (control if is_control else authentication)(scope, receive, send)

    return application
