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
    from gatepost.campaigns.control import Campaigns
    from gatepost.campaigns.hours import SendingHours
    from gatepost.campaigns.model import Campaign
    from gatepost.campaigns.model import Options as CampaignOptions
    from gatepost.handles import AsyncHandle, Handle
    from gatepost.outcomes import MfaChallenge, Outcome, TokenSet
    from gatepost.producer import AsyncProducer, Producer
    from gatepost.settings import Settings, load_settings
    from gatepost.states import Reason, State
    from gatepost.tenant_settings import Tenant

__all__ = [
    "AsyncHandle",
    "AsyncProducer",
    "Campaign",
    "CampaignOptions",
    "Campaigns",
    "Handle",
    "MfaChallenge",
    "Outcome",
    "Producer",
    "Reason",
    "SendingHours",
    "Settings",
    "State",
    "Tenant",
    "TokenSet",
    "load_settings",
]

_WHERE = {
    "AsyncHandle": "handles",
    "AsyncProducer": "producer",
    "Campaign": "campaigns.model",
    "CampaignOptions": "campaigns.model:Options",
    "Campaigns": "campaigns.control",
    "Handle": "handles",
    "MfaChallenge": "outcomes",
    "Outcome": "outcomes",
    "Producer": "producer",
    "Reason": "states",
    "SendingHours": "campaigns.hours",
    "Settings": "settings",
    "State": "states",
    "Tenant": "tenant_settings",
    "TokenSet": "outcomes",
    "load_settings": "settings",
}


def __getattr__(name: str) -> object:
    # PEP 562: the command line starts without paying for Celery.
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, _, own_name = _WHERE[name].partition(":")
    return getattr(import_module(f"{__name__}.{module}"), own_name or name)
