"""Blocks that this process can see before any worker reports them: from the configuration and the registry of tenants."""

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
    """Return the reasons why workers with this configuration cannot send a campaign. Without a configured tenant, return None."""
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
    """Return a campaign with the block of this configuration added. A campaign with nothing to send has no blocks."""
    if campaign.status not in _SENT or not campaign.open:
        return replace(campaign, blocks=())
    own = block_here(campaign, settings)
    return replace(campaign, blocks=(own, *campaign.blocks)) if own else campaign


def block_of_tenant(settings: Settings, registry: TenantRegistry, name: str | None) -> Block | None:
    """Return the reasons why the workers of this Redis cannot send for a tenant of this configuration."""
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
    """Check that a campaign does not belong to another Auth0 application.

    Raises:
        CampaignConflict: it does. The message names both applications and the way out.
    """
    block = block_here(campaign, settings)
    if block is not None and block.kind is BlockKind.WRONG_APPLICATION:
        raise CampaignConflict(block.sentence(campaign.accept_command))


def own_application(campaign: Campaign, settings: Settings) -> Application:
    """Return the Auth0 application that this configuration has for a campaign's tenant.

    Raises:
        TenantMissing: this configuration does not have that tenant.
    """
    tenant = campaign.options.tenant or DEFAULT_TENANT
    own = settings.applications().get(tenant)
    if own is None:
        raise TenantMissing(f"no tenant named {tenant!r} is configured here; add it, then resume", tenant=tenant)
    return own
