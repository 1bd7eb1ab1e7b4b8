"""What keeps workers from a campaign as far as its record, this configuration and the registry of tenants tell, before any has tried."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from gatepost_core.blocks import Block, BlockKind
from gatepost_core.campaigns.model import Status
from gatepost_core.errors import CampaignConflict, TenantMissing
from gatepost_core.settings.tenants import DEFAULT_TENANT

if TYPE_CHECKING:
    from gatepost_core.campaigns.model import Campaign
    from gatepost_core.settings import Settings
    from gatepost_core.settings.tenants import Application
    from gatepost_core.tenant_registry import TenantRegistry

_SENT: Final = frozenset({Status.RUNNING, Status.PAUSED, Status.CANCELLING})


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


def with_own_block(campaign: Campaign, settings: Settings) -> Campaign:
    """Return a campaign with what this configuration says besides what workers have met; without any when no row of it is to be sent."""
    if campaign.status not in _SENT or not campaign.open:
        return replace(campaign, blocks=())
    own = block_here(campaign, settings)
    return replace(campaign, blocks=(own, *campaign.blocks)) if own else campaign


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


def require_ours(campaign: Campaign, settings: Settings) -> None:
    """Make sure that a campaign is not for another Auth0 application than this configuration's.

    Raises:
        CampaignConflict: it is; the message names both, and the way out.
    """
    block = block_here(campaign, settings)
    if block is not None and block.kind is BlockKind.WRONG_APPLICATION:
        raise CampaignConflict(block.sentence(campaign.accept_command))


def own_application(campaign: Campaign, settings: Settings) -> Application:
    """Return this configuration's Auth0 application under the name of a campaign's tenant.

    Raises:
        TenantMissing: this configuration has no tenant of that name.
    """
    tenant = campaign.options.tenant or DEFAULT_TENANT
    own = settings.applications().get(tenant)
    if own is None:
        raise TenantMissing(f"no tenant named {tenant!r} is configured here; add it, then resume", tenant=tenant)
    return own
