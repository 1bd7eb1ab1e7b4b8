"""Control API, what goes wrong: scripted faults, tagged recipients, foreign traffic, quota, clock."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException
from pydantic import BaseModel, ConfigDict, Field

from gatepost_simulator.buckets import Arrivals
from gatepost_simulator.faults import Fault, ScriptedFault
from gatepost_simulator.settings import Quota
from gatepost_simulator.tagged_recipients import MAGIC_PHONE_PREFIX, phone_tags, tags
from gatepost_simulator.tenant import Tenant
from gatepost_simulator.tenant_access import the_tenant

router = APIRouter(tags=["what goes wrong"])
TheTenant = Annotated[Tenant, Depends(the_tenant)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ForeignTrafficRate(_Body):
    """Everybody else's requests: `rate` a second, also against one endpoint's own bucket if named."""

    rate: Annotated[float, Field(ge=0, le=1_000_000)]
    endpoint: str | None = None
    arrivals: Arrivals = Arrivals.POISSON


class ClockChange(_Body):
    """A move of the clock."""

    advance_s: Annotated[float, Field(ge=0)] = 0.0
    frozen: bool | None = None


@router.post("/faults", status_code=201)
async def script_fault(tenant: TheTenant, fault: Fault) -> ScriptedFault:
    """Put a fault at the end of the queue."""
    return tenant.faults.script(fault)


@router.get("/faults")
async def read_faults(tenant: TheTenant) -> list[ScriptedFault]:
    """Give the faults that have not been used up."""
    return tenant.faults.waiting()


@router.delete("/faults", status_code=204)
async def clear_faults(tenant: TheTenant) -> None:
    """Empty the queue."""
    tenant.faults.clear()


@router.delete("/faults/{number}", status_code=204)
async def remove_fault(tenant: TheTenant, number: int) -> None:
    """Take one fault out of the queue."""
    if not tenant.faults.remove(number):
        raise HTTPException(404, "There is no such fault in the queue")


@router.get("/tags")
async def read_tags() -> dict[str, Any]:
    """Give the tags that make a recipient fail, and the magic phone numbers."""
    phones = {MAGIC_PHONE_PREFIX + digits: tag for digits, tag in phone_tags().items()}
    return {"email": tags(), "sms": phones}


@router.get("/foreign-traffic")
async def read_foreign_traffic(tenant: TheTenant) -> dict[str, Any]:
    """Give, by bucket, the rate of foreign requests and how many were served and refused."""
    now = tenant.clock.now()
    found = {}
    for name, bucket in tenant.limits.named().items():
        bucket.settle(now)
        foreign = bucket.foreign
        found[name] = {"rate": foreign.rate, "accepted": foreign.accepted, "refused": foreign.refused}
    return found


@router.put("/foreign-traffic")
async def set_foreign_traffic(tenant: TheTenant, wanted: ForeignTrafficRate) -> dict[str, Any]:
    """Change the rate of foreign requests."""
    if wanted.endpoint is not None and wanted.endpoint not in tenant.limits.endpoints:
        raise HTTPException(404, "This endpoint has no bucket of its own")
    tenant.limits.set_foreign_traffic(wanted.rate, wanted.endpoint, tenant.clock.now(), wanted.arrivals)
    return await read_foreign_traffic(tenant)


@router.get("/quota")
async def read_quota(tenant: TheTenant) -> dict[str, Any]:
    """Give the quota and what is left in each bucket."""
    now = tenant.clock.now()
    buckets = {}
    for name, bucket in tenant.limits.named().items():
        bucket.settle(now)
        buckets[name] = {
            "size": bucket.size,
            "refill": bucket.refill,
            "period_s": bucket.period_s,
            "remaining": bucket.remaining(),
        }
    return {"quota": tenant.settings.quota, "buckets": buckets}


@router.put("/quota")
async def set_quota(tenant: TheTenant, quota: Quota) -> dict[str, Any]:
    """Change the quota; every bucket starts full and without foreign traffic."""
    tenant.change(tenant.settings.model_copy(update={"quota": quota}))
    return await read_quota(tenant)


@router.put("/quota/levels")
async def set_levels(tenant: TheTenant, levels: dict[str, float]) -> dict[str, Any]:
    """Set the tokens left in buckets, by name (`tenant` or a path)."""
    named = tenant.limits.named()
    for name, level in levels.items():
        if name not in named:
            raise HTTPException(404, f"There is no bucket {name}")
        named[name].set_level(level, tenant.clock.now())
    return await read_quota(tenant)


@router.get("/clock")
async def read_clock(tenant: TheTenant) -> dict[str, Any]:
    """Give the simulated time."""
    clock = tenant.clock
    return {"now": clock.now(), "offset_s": clock.offset_s, "frozen": clock.frozen}


@router.post("/clock")
async def move_clock(tenant: TheTenant, change: ClockChange) -> dict[str, Any]:
    """Freeze or thaw the clock if asked, then move it forward."""
    if change.frozen is True:
        tenant.clock.freeze()
    elif change.frozen is False:
        tenant.clock.thaw()
    tenant.clock.advance(change.advance_s)
    return await read_clock(tenant)
