"""Control API, what the tenant is like: settings, clients, users, keys, reset."""

from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, HTTPException
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from gatepost_simulator.profiles import Mfa
from gatepost_simulator.settings import Client, SimulatorSettings
from gatepost_simulator.tenant import Tenant
from gatepost_simulator.tenant_access import the_tenant

router = APIRouter(tags=["what the tenant is like"])
TheTenant = Annotated[Tenant, Depends(the_tenant)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class User(_Body):
    """A user to make or change."""

    connection: str = "email"
    identifier: str
    blocked: bool = False
    verified: bool = False
    mfa: Mfa = "none"


class Rotation(_Body):
    """How to rotate the signing key: see `SigningKeys.rotate`."""

    revoke: bool = False
    prepublished: bool = True


@router.get("/")
async def describe(tenant: TheTenant) -> dict[str, Any]:
    """Give what a client needs in order to call this tenant."""
    clients = [{"client_id": client.client_id, "method": client.method} for client in tenant.clients.clients()]
    return {
        "domain": tenant.domain,
        "url": tenant.base_url,
        "issuer": f"https://{tenant.domain}/",
        "clients": clients,
        "connections": list(tenant.connections),
    }


@router.get("/settings")
async def read_settings(tenant: TheTenant) -> dict[str, Any]:
    """Give the settings; secrets are masked."""
    return tenant.settings.model_dump(mode="json")


@router.patch("/settings")
async def change_settings(tenant: TheTenant, changes: Annotated[dict[str, Any], Body()]) -> dict[str, Any]:
    """Change settings; objects are merged member by member, lists are replaced."""
    fields = SimulatorSettings.model_fields
    updated = {}
    for name, change in changes.items():
        if name not in fields or name == "domain":
            raise HTTPException(422, f"{name} is not a setting that can be changed")
        merged = _merged(getattr(tenant.settings, name), change)
        try:
            adapter: TypeAdapter[Any] = TypeAdapter(fields[name].rebuild_annotation())
            updated[name] = adapter.validate_python(merged)
        except ValidationError as error:
            raise HTTPException(422, error.errors(include_input=False, include_url=False)) from error
    tenant.change(tenant.settings.model_copy(update=updated))
    return await read_settings(tenant)


@router.put("/clients", status_code=201)
async def register_client(tenant: TheTenant, client: Client) -> dict[str, str]:
    """Add a client, or replace the one of the same id; it stays over a reset."""
    try:
        tenant.register_client(client)
    except ValueError as error:
        raise HTTPException(422, "public_keys must be RSA public keys in PEM form") from error
    return {"client_id": client.client_id, "method": client.method}


@router.put("/users")
async def put_user(tenant: TheTenant, user: User) -> dict[str, Any]:
    """Make a user, or change it."""
    connection = tenant.connections.get(user.connection)
    if connection is None:
        raise HTTPException(404, "There is no such connection")
    profile = tenant.profiles.ensure(connection.name, connection.strategy, tenant.fold(user.identifier))
    profile.blocked, profile.verified, profile.mfa = user.blocked, user.verified, user.mfa
    return {"user_id": profile.subject, "logins": profile.logins}


@router.post("/keys/rotate")
async def rotate_keys(tenant: TheTenant, rotation: Rotation) -> dict[str, Any]:
    """Sign with another key from now on."""
    tenant.keys.rotate(revoke=rotation.revoke, prepublished=rotation.prepublished)
    return {"current": tenant.keys.current.kid, "published": [key["kid"] for key in tenant.keys.jwks()["keys"]]}


@router.post("/reset", status_code=204)
async def reset(tenant: TheTenant) -> None:
    """Forget everything that happened and every change of settings, quota and clock; keys and added clients stay."""
    tenant.reset()


def _merged(current: Any, change: Any) -> Any:
    if isinstance(current, BaseModel):
        current = current.model_dump(exclude_unset=False)
    if isinstance(current, dict) and isinstance(change, dict):
        return {**current, **{name: _merged(current.get(name), value) for name, value in change.items()}}
    return change
