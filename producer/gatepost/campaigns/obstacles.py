"""What keeps workers from a campaign as far as its record, this configuration and the registry of tenants tell, before any has tried."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatepost.blocks import Block, BlockKind
from gatepost.settings import DEFAULT_TENANT

if TYPE_CHECKING:
    from gatepost.applications import TenantRegistry
    from gatepost.campaigns.model import Campaign
    from gatepost.settings import Settings


def block_here(campaign: Campaign, settings: Settings) -> Block | None:
    """Return what keeps workers with this configuration from a campaign; None when no tenant is configured here to compare with."""
    applications = settings.applications()
    if not applications:
        return None
    tenant = campaign.options.tenant or DEFAULT_TENANT
    own = applications.get(tenant)
    if own is None:
        return Block(BlockKind.TENANT_MISSING, tenant)
    if campaign.application is not None and campaign.application != own:
        return Block(BlockKind.WRONG_APPLICATION, f"{campaign.application}, and this configuration is for {own}")
    return None


def block_of_tenant(settings: Settings, registry: TenantRegistry, name: str | None) -> Block | None:
    """Return what keeps the workers of this Redis from work for a tenant of this configuration."""
    applications = settings.applications()
    if not applications:
        return None
    tenant = name or next(iter(applications))
    own, registered = applications.get(tenant), registry.all().get(tenant)
    if own is None:
        return Block(BlockKind.TENANT_MISSING, tenant)
    if registered is not None and registered != own:
        return Block(BlockKind.WRONG_APPLICATION, f"{own}, and the workers of this Redis are for {registered}")
    return None
