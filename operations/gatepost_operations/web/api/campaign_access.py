"""Campaigns as an API key sees them: its own, or all of them for the console."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from gatepost_core.campaigns.model import Options
from gatepost_core.errors import CampaignNotFound, InvalidCommand
from gatepost_core.kinds import CAMPAIGN_KINDS
from gatepost_operations.extras import require_worker
from gatepost_operations.maintenance.api_keys import Scope
from gatepost_operations.planning.watch import snapshot_of
from gatepost_operations.web.api.access import is_id
from gatepost_operations.web.api.bodies import valid
from gatepost_operations.web.api.problems import Problem, Type

if TYPE_CHECKING:
    from gatepost_core.campaigns.model import Campaign
    from gatepost_operations.planning.limiter import LimiterQuotas
    from gatepost_operations.web.api.access import Caller

_NOT_GIVEN: Final = frozenset({"guests"})


def find_campaign(caller: Caller, campaign_id: str, scope: Scope = Scope.READ) -> Campaign:
    """Return a campaign that the key may see.

    Raises:
        CampaignNotFound: there is none, or it belongs to another key.
        Problem: the key lacks the scope.
    """
    caller.require(scope)
    if not is_id(campaign_id):
        raise CampaignNotFound
    campaign = caller.services.campaigns.status(campaign_id)
    if not caller.owns(campaign.owner):
        raise CampaignNotFound
    return campaign


def campaign_json(campaign: Campaign) -> dict[str, Any]:
    """Return a campaign with its activity and its finish time."""
    snapshot = snapshot_of(campaign, datetime.now(UTC))
    finish = snapshot.finish_at
    return campaign.as_json() | {
        "activity": snapshot.activity.value,
        "done": campaign.done,
        "finishes_at": finish and finish.isoformat(),
    }


def read_options(caller: Caller, fields: dict[str, Any]) -> Options:
    """Validate the options of a new campaign, and check them against the key.

    Raises:
        InvalidCommand: an option is not valid.
        Problem: the key does not allow the tenant or the channel.
        TenantMissing: the tenant is not configured.
    """
    if unknown := _NOT_GIVEN & fields.keys():
        raise InvalidCommand([(name, "is not an option; give guest_list") for name in sorted(unknown)])
    options = valid(Options, fields)
    caller.require_tenant(options.tenant)
    kinds = {CAMPAIGN_KINDS[options.channel]} if options.channel in CAMPAIGN_KINDS else set(CAMPAIGN_KINDS.values())
    if not kinds & caller.key.grant.kinds:
        raise Problem(Type.NOT_ALLOWED, "The API key does not allow messages of this channel.")
    return options


def open_limiter(caller: Caller) -> LimiterQuotas:
    """Return the limiter's quotas.

    Raises:
        ConfigurationError: the worker is not installed.
    """
    require_worker()
    # Imported here, because the worker is another extra.
    from gatepost_operations.planning.limiter import LimiterQuotas  # noqa: PLC0415

    return LimiterQuotas(caller.services.settings, caller.services.redis)
