"""The control API under /simulator: reads sent messages, scripts faults, and changes the tenant."""

from itertools import islice
from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, FastAPI, HTTPException, Query, Request
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from gatepost_simulator.buckets import Arrivals
from gatepost_simulator.faults import Fault, ScriptedFault
from gatepost_simulator.profiles import Mfa
from gatepost_simulator.settings import Client, Quota, SimulatorSettings
from gatepost_simulator.tagged_recipients import MAGIC_PHONE_PREFIX, phone_tags, tags
from gatepost_simulator.tenant import Tenant

CONTROL = "/simulator"

outbox = APIRouter(tags=["sent messages and requests"])
faults = APIRouter(tags=["faults, quota and clock"])
settings = APIRouter(tags=["tenant"])


def _tenant_of(request: Request) -> Tenant:
    tenant: Tenant = request.app.state.tenant
    return tenant


TheTenant = Annotated[Tenant, Depends(_tenant_of)]
Limit = Annotated[int, Query(ge=1, le=100_000)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class CountsOf(BaseModel):
    """A question for the counts of named recipients."""

    recipients: list[str]
    connection: str | None = None


class ForeignTrafficRate(_Body):
    """Foreign requests: `rate` a second, also against the bucket of `endpoint` if given."""

    rate: Annotated[float, Field(ge=0, le=1_000_000)]
    endpoint: str | None = None
    arrivals: Arrivals = Arrivals.POISSON


class ClockChange(_Body):
    """A move of the clock."""

    advance_s: Annotated[float, Field(ge=0)] = 0.0
    frozen: bool | None = None


class User(_Body):
    """A user to create or change."""

    connection: str = "email"
    identifier: str
    blocked: bool = False
    verified: bool = False
    mfa: Mfa = "none"


class Rotation(_Body):
    """How to rotate the signing key: see `SigningKeys.rotate`."""

    revoke: bool = False
    prepublished: bool = True


@outbox.get("/outbox")
async def read_outbox(
    tenant: TheTenant, search: str = "", channel: str | None = None, limit: Limit = 100
) -> dict[str, Any]:
    """Return the newest messages, of recipients that contain `search`, over `channel` (`email` or `sms`)."""
    found = (message for message in tenant.outbox.search(search) if channel in (None, message.channel))
    return {"total": tenant.outbox.total, "messages": [message.document() for message in islice(found, limit)]}


@outbox.get("/outbox/{recipient}")
async def read_messages(
    tenant: TheTenant, recipient: str, channel: str | None = None, limit: Limit = 100
) -> dict[str, Any]:
    """Return a recipient's count (exact) and its newest messages (the most recent ones are kept)."""
    recipient = tenant.fold(recipient)
    messages = [message.document() for message in islice(tenant.outbox.latest(recipient, channel), limit)]
    return {"recipient": recipient, "count": tenant.outbox.count(recipient), "messages": messages}


@outbox.get("/codes/{recipient}")
async def read_code(tenant: TheTenant, recipient: str, channel: str | None = None) -> dict[str, Any]:
    """Return the recipient's newest code, which may have expired."""
    recipient = tenant.fold(recipient)
    for connection in tenant.connections.values():
        live = tenant.codes(connection).find(recipient)
        if live is not None and channel in (None, connection.strategy):
            return {
                "recipient": recipient,
                "connection": connection.name,
                "code": live.code,
                "expires_at": live.expires_at,
                "tries_left": live.tries_left,
                "live": live.tries_left > 0 and tenant.clock.now() < live.expires_at,
            }
    raise HTTPException(404, "No code was sent to this recipient, or it has been used")


@outbox.get("/counts")
async def read_counts(tenant: TheTenant, minimum: int = 2, limit: Limit = 1000) -> dict[str, Any]:
    """Return totals, and the recipients of at least `minimum` messages. `repeated` counts recipients of two or more."""
    outbox = tenant.outbox
    named = [
        {"connection": connection, "recipient": recipient, "count": count}
        for connection, recipient, count in islice(outbox.counts(minimum), limit)
    ]
    return {
        "total": outbox.total,
        "recipients": outbox.distinct(),
        "repeated": outbox.repeated,
        "surplus": outbox.total - outbox.distinct(),
        "histogram": outbox.histogram(),
        "at_least": named,
    }


@outbox.post("/counts")
async def count_recipients(tenant: TheTenant, question: CountsOf) -> dict[str, int]:
    """Return the count of each recipient named."""
    return {
        recipient: tenant.outbox.count(tenant.fold(recipient), question.connection) for recipient in question.recipients
    }


@outbox.get("/request-log")
async def read_request_log(
    tenant: TheTenant, endpoint: str | None = None, recipient: str | None = None, limit: Limit = 1000
) -> dict[str, Any]:
    """Return the newest requests, oldest first. It never contains client secrets or assertions."""
    entries = [
        entry
        for entry in tenant.request_log.entries()
        if endpoint in (None, entry["path"]) and recipient in (None, entry["recipient"])
    ]
    return {"requests": entries[-limit:]}


@outbox.get("/stats")
async def read_statistics(tenant: TheTenant) -> dict[str, Any]:
    """Return counts of answers by endpoint, status and error."""
    return tenant.statistics.document()


@faults.post("/faults", status_code=201)
async def script_fault(tenant: TheTenant, fault: Fault) -> ScriptedFault:
    """Put a fault at the end of the queue."""
    return tenant.faults.script(fault)


@faults.get("/faults")
async def read_faults(tenant: TheTenant) -> list[ScriptedFault]:
    """Return the faults still in the queue."""
    return tenant.faults.waiting()


@faults.delete("/faults", status_code=204)
async def clear_faults(tenant: TheTenant) -> None:
    """Empty the queue."""
    tenant.faults.clear()


@faults.delete("/faults/{number}", status_code=204)
async def remove_fault(tenant: TheTenant, number: int) -> None:
    """Take one fault out of the queue."""
    if not tenant.faults.remove(number):
        raise HTTPException(404, "There is no such fault in the queue")


@faults.get("/tags")
async def read_tags() -> dict[str, Any]:
    """Return the tags that make a recipient fail, and the magic phone numbers."""
    phones = {MAGIC_PHONE_PREFIX + digits: tag for digits, tag in phone_tags().items()}
    return {"email": tags(), "sms": phones}


@faults.get("/foreign-traffic")
async def read_foreign_traffic(tenant: TheTenant) -> dict[str, Any]:
    """Return the rate of foreign requests, and the numbers of accepted and refused ones, by bucket."""
    foreign = {name: bucket.foreign for name, bucket in tenant.limits.named(tenant.clock.now()).items()}
    return {name: {"rate": one.rate, "accepted": one.accepted, "refused": one.refused} for name, one in foreign.items()}


@faults.put("/foreign-traffic")
async def set_foreign_traffic(tenant: TheTenant, wanted: ForeignTrafficRate) -> dict[str, Any]:
    """Change the rate of foreign requests."""
    if wanted.endpoint is not None and wanted.endpoint not in tenant.limits.endpoints:
        raise HTTPException(404, "This endpoint has no separate bucket")
    tenant.limits.set_foreign_traffic(wanted.rate, wanted.endpoint, tenant.clock.now(), wanted.arrivals)
    return await read_foreign_traffic(tenant)


@faults.get("/quota")
async def read_quota(tenant: TheTenant) -> dict[str, Any]:
    """Return the quota and the level of each bucket."""
    buckets = {
        name: {
            "size": bucket.size,
            "refill": bucket.refill,
            "period_s": bucket.period_s,
            "remaining": bucket.remaining(),
        }
        for name, bucket in tenant.limits.named(tenant.clock.now()).items()
    }
    return {"quota": tenant.settings.quota, "buckets": buckets}


@faults.put("/quota")
async def set_quota(tenant: TheTenant, quota: Quota) -> dict[str, Any]:
    """Change the quota; every bucket starts full and without foreign traffic."""
    tenant.change(tenant.settings.model_copy(update={"quota": quota}))
    return await read_quota(tenant)


@faults.put("/quota/levels")
async def set_levels(tenant: TheTenant, levels: dict[str, float]) -> dict[str, Any]:
    """Set the tokens left in buckets, by name (`tenant` or a path)."""
    now = tenant.clock.now()
    named = tenant.limits.named(now)
    for name, level in levels.items():
        if name not in named:
            raise HTTPException(404, f"There is no bucket {name}")
        named[name].set_level(level, now)
    return await read_quota(tenant)


@faults.get("/clock")
async def read_clock(tenant: TheTenant) -> dict[str, Any]:
    """Return the simulated time."""
    clock = tenant.clock
    return {"now": clock.now(), "offset_s": clock.offset_s, "frozen": clock.frozen}


@faults.post("/clock")
async def move_clock(tenant: TheTenant, change: ClockChange) -> dict[str, Any]:
    """Freeze or thaw the clock, then move it forward."""
    if change.frozen is True:
        tenant.clock.freeze()
    elif change.frozen is False:
        tenant.clock.thaw()
    tenant.clock.advance(change.advance_s)
    return await read_clock(tenant)


@settings.get("/")
async def describe(tenant: TheTenant) -> dict[str, Any]:
    """Return the domain, issuer, clients and connections of the tenant."""
    clients = [{"client_id": client.client_id, "method": client.method} for client in tenant.clients.clients()]
    return {
        "domain": tenant.domain,
        "url": tenant.base_url,
        "issuer": f"https://{tenant.domain}/",
        "clients": clients,
        "connections": list(tenant.connections),
    }


@settings.get("/settings")
async def read_settings(tenant: TheTenant) -> dict[str, Any]:
    """Return the settings; secrets are masked."""
    return tenant.settings.model_dump(mode="json")


@settings.patch("/settings")
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


@settings.put("/clients", status_code=201)
async def register_client(tenant: TheTenant, client: Client) -> dict[str, str]:
    """Add or replace a client; it survives a reset."""
    try:
        tenant.register_client(client)
    except ValueError as error:
        raise HTTPException(422, "public_keys must be RSA public keys in PEM form") from error
    return {"client_id": client.client_id, "method": client.method}


@settings.put("/users")
async def put_user(tenant: TheTenant, user: User) -> dict[str, Any]:
    """Create or change a user."""
    connection = tenant.connections.get(user.connection)
    if connection is None:
        raise HTTPException(404, "There is no such connection")
    profile = tenant.profiles.ensure(connection.name, connection.strategy, tenant.fold(user.identifier))
    profile.blocked, profile.verified, profile.mfa = user.blocked, user.verified, user.mfa
    return {"user_id": profile.subject, "logins": profile.logins}


@settings.post("/keys/rotate")
async def rotate_keys(tenant: TheTenant, rotation: Rotation) -> dict[str, Any]:
    """Sign with another key from now on."""
    tenant.keys.rotate(revoke=rotation.revoke, prepublished=rotation.prepublished)
    return {"current": tenant.keys.current.kid, "published": [key["kid"] for key in tenant.keys.jwks()["keys"]]}


@settings.post("/reset", status_code=204)
async def reset(tenant: TheTenant) -> None:
    """Forget all events and all changes of settings, quota and clock; keys and added clients stay."""
    tenant.reset()


def control_application(tenant: Tenant) -> FastAPI:
    """Return the control API of a tenant; its OpenAPI document is at `/simulator/openapi.json`."""
    application = FastAPI(
        title="Gatepost simulator: control API",
        docs_url=f"{CONTROL}/docs",
        redoc_url=None,
        openapi_url=f"{CONTROL}/openapi.json",
    )
    application.state.tenant = tenant
    for routes in (outbox, faults, settings):
        application.include_router(routes, prefix=CONTROL)
    return application


def _merged(current: Any, change: Any) -> Any:
    if isinstance(current, BaseModel):
        current = current.model_dump(exclude_unset=False)
    if isinstance(current, dict) and isinstance(change, dict):
        return {**current, **{name: _merged(current.get(name), value) for name, value in change.items()}}
    return change
