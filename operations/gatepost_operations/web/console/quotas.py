"""The quota of a tenant's starts, as the limiter has learned it. It needs no credential of the tenant."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from gatepost_core.campaigns.store import CampaignStore
from gatepost_core.kinds import Endpoint
from gatepost_core.redis.errors import translated_errors
from gatepost_core.redis.keys import as_text
from gatepost_core.settings.tenants import DEFAULT_TENANT
from gatepost_operations.planning.limiter import campaign_rates, quota_of
from gatepost_worker.limiter import LimiterKey, LimiterSettings, RedisLimiter

if TYPE_CHECKING:
    from redis import Redis

    from gatepost_core.redis.keys import RedisKeys
    from gatepost_core.settings import Settings
    from gatepost_operations.planning.tenant_quota import TenantQuota

_READ_EVERY_S: Final = 2.0


class Quotas:
    """Reads the quota of each tenant at most once in two seconds.

    Args:
        settings: the configuration.
        client: an open client of Redis.
        keys: the names in Redis.
    """

    def __init__(self, settings: Settings, client: Redis, keys: RedisKeys) -> None:
        self._redis = client
        self._keys = keys
        self._store = CampaignStore(client, keys, republish_after_s=settings.republish_after)
        self._pacing = LimiterSettings(longest_hint_s=settings.longest_hint)
        self._limiter = RedisLimiter(client, keys, self._pacing)
        self._known: dict[str, tuple[float, TenantQuota]] = {}

    def all(self) -> list[TenantQuota]:
        """Return the quota of each endpoint of each tenant that a worker has registered.

        Raises:
            Unavailable: Redis does not answer.
        """
        with translated_errors():
            names = sorted(as_text(name) for name in self._redis.hkeys(self._keys.tenants))
        rates = campaign_rates(self._store)
        quotas = [quota_of(self._limiter, self._pacing, LimiterKey(name, one)) for name in names for one in Endpoint]
        return [
            replace(one, campaigns=rates.get(one.tenant, ())) if one.endpoint == Endpoint.START else one
            for one in quotas
        ]

    def read(self, tenant: str | None) -> TenantQuota | None:
        """Return the quota of a tenant; None for the default tenant.

        Raises:
            Unavailable: Redis does not answer.
        """
        name = tenant or DEFAULT_TENANT
        at, known = self._known.get(name, (0.0, None))
        if known is None or time.monotonic() - at >= _READ_EVERY_S:
            known = quota_of(self._limiter, self._pacing, LimiterKey(name, Endpoint.START))
            self._known[name] = (time.monotonic(), known)
        return known
