"""Enqueue Auth0 passwordless sends and logins, and read their outcomes.

>>> from gatepost import Producer            # doctest: +SKIP
>>> producer = Producer()                    # doctest: +SKIP
>>> producer.send_email("ana@example.com")   # doctest: +SKIP

Importing this package reads no environment, opens no connection and touches no Celery app; the names below are loaded when
first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gatepost.campaigns.async_control import AsyncCampaigns
    from gatepost.campaigns.control import Campaigns
    from gatepost.campaigns.suppression import SuppressionReason
    from gatepost.completions import Completion, as_completed
    from gatepost.errors import CampaignConflict, CampaignNotFound
    from gatepost.handles import AsyncHandle, Handle
    from gatepost.producer import AsyncProducer, Producer
    from gatepost_core.audit_log import acting_as
    from gatepost_core.campaigns.hours import SendingHours
    from gatepost_core.campaigns.model import Campaign
    from gatepost_core.campaigns.model import Options as CampaignOptions
    from gatepost_core.campaigns.row import Row
    from gatepost_core.core_dumps import forbid_core_dumps
    from gatepost_core.enqueue import Enqueued
    from gatepost_core.kinds import Channel
    from gatepost_core.outcomes import MfaChallenge, Outcome, TokenSet
    from gatepost_core.reasons import Reason
    from gatepost_core.settings import Settings, load_settings
    from gatepost_core.settings.tenants import Tenant
    from gatepost_core.states import State

__all__ = [
    "AsyncCampaigns", "AsyncHandle", "AsyncProducer", "Campaign", "CampaignConflict", "CampaignNotFound", "CampaignOptions",
    "Campaigns", "Channel", "Completion", "Enqueued", "Handle", "MfaChallenge", "Outcome", "Producer", "Reason", "Row", "SendingHours",
    "Settings", "State", "SuppressionReason", "Tenant", "TokenSet", "acting_as", "as_completed", "forbid_core_dumps",
    "load_settings",
]  # fmt: skip

_WHERE = {
    "AsyncCampaigns": "gatepost.campaigns.async_control",
    "AsyncHandle": "gatepost.handles",
    "AsyncProducer": "gatepost.producer",
    "Campaign": "gatepost_core.campaigns.model",
    "CampaignConflict": "gatepost.errors",
    "CampaignNotFound": "gatepost.errors",
    "CampaignOptions": "gatepost_core.campaigns.model:Options",
    "Campaigns": "gatepost.campaigns.control",
    "Channel": "gatepost_core.kinds",
    "Completion": "gatepost.completions",
    "Enqueued": "gatepost_core.enqueue",
    "Handle": "gatepost.handles",
    "MfaChallenge": "gatepost_core.outcomes",
    "Outcome": "gatepost_core.outcomes",
    "Producer": "gatepost.producer",
    "Reason": "gatepost_core.reasons",
    "Row": "gatepost_core.campaigns.row",
    "SendingHours": "gatepost_core.campaigns.hours",
    "Settings": "gatepost_core.settings",
    "State": "gatepost_core.states",
    "SuppressionReason": "gatepost.campaigns.suppression",
    "Tenant": "gatepost_core.settings.tenants",
    "TokenSet": "gatepost_core.outcomes",
    "acting_as": "gatepost_core.audit_log",
    "as_completed": "gatepost.completions",
    "forbid_core_dumps": "gatepost_core.core_dumps",
    "load_settings": "gatepost_core.settings",
}


def __getattr__(name: str) -> object:
    # PEP 562: the command line starts without paying for Celery.
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, _, own_name = _WHERE[name].partition(":")
    return getattr(import_module(module), own_name or name)
