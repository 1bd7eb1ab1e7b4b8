"""How the control API's routes get at the tenant."""

from fastapi import Request

from gatepost_simulator.tenant import Tenant


def the_tenant(request: Request) -> Tenant:
    """Give the tenant that the application was made for."""
    tenant: Tenant = request.app.state.tenant
    return tenant
