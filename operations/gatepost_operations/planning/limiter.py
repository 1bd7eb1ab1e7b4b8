"""Read, probe and clear the quotas that the limiter has learned. Importing this module needs the extra `worker`."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any, Final

from gatepost_core.campaigns.model import Status, read_options
from gatepost_core.campaigns.store import CampaignStore
from gatepost_core.errors import CampaignNotFound, ConfigurationError
from gatepost_core.kinds import Endpoint, Lane
from gatepost_core.redis.keys import RedisKeys
from gatepost_core.settings.tenants import no_tenant
from gatepost_operations.planning.tenant_quota import Bucket, CampaignRate, TenantQuota
from gatepost_worker.authentication import AuthenticationError
from gatepost_worker.delivery.clients import client_for
from gatepost_worker.limiter import LimiterKey, LimiterSettings, Permit, Reading, RedisLimiter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from redis import Redis

    from gatepost_core.audit_log import AuditLog
    from gatepost_core.settings import Settings

_REFUSED: Final = 429


class LimiterQuotas:
    """The quotas of the configured tenants. Every method raises `Unavailable` when Redis does not answer."""

    def __init__(self, settings: Settings, client: Redis) -> None:
        self._settings = settings
        self._redis = client
        self._keys = RedisKeys(settings.namespace)

    def read(
        self, tenant: str | None = None, endpoints: Sequence[Endpoint] = tuple(Endpoint), *, probing: bool = False
    ) -> tuple[list[TenantQuota], list[str]]:
        """Return the learned quotas, and why probes failed.

        Args:
            tenant: a configured tenant; all of them when absent.
            endpoints: `passwordless/start`, `oauth/token` or both.
            probing: read an unknown quota of starts with a request that Auth0 refuses. It sends no message.

        Raises:
            ConfigurationError: the tenant is not configured.
        """
        rates = campaign_rates(self._campaigns())
        quotas, failures = [], []
        for name in self._names(tenant):
            pacing = LimiterSettings(
                max_rate=self._settings.max_rate_of(name), longest_hint_s=self._settings.longest_hint
            )
            limiter = RedisLimiter(self._redis, self._keys, pacing)
            for endpoint in endpoints:
                key = LimiterKey(name, endpoint)
                found = quota_of(limiter, pacing, key)
                if probing and endpoint is Endpoint.START and not found.is_known:
                    if failure := self._probe(name, limiter, key):
                        failures.append(f"{name}: {failure}")
                    found = quota_of(limiter, pacing, key)
                if endpoint is Endpoint.START:
                    found = replace(found, campaigns=rates.get(name, ()))
                quotas.append(found)
        return quotas, failures

    def clear(self, audit: AuditLog, tenant: str | None, endpoint: Endpoint | None) -> list[dict[str, Any]]:
        """Lift the blocks after a 429. Return each tenant and endpoint with the seconds that were left of its block.

        Args:
            audit: records the act.
            tenant: a configured tenant; None for all of them.
            endpoint: `passwordless/start` or `oauth/token`; None for both.

        Raises:
            TenantMissing: the tenant is not configured.
        """
        # Before the act: a wrong name may be anything, and the audit log must not keep it.
        names = self._names(tenant)
        keys = [LimiterKey(name, path) for name in names for path in ([endpoint] if endpoint else Endpoint)]
        limiter = RedisLimiter(self._redis, self._keys)
        with audit.act("quota.clear", tenant=tenant, endpoint=endpoint) as done:
            cleared: list[dict[str, Any]] = [
                {"tenant": key.tenant, "endpoint": key.endpoint, "blocked_for_s": limiter.clear(key)} for key in keys
            ]
            done["cleared"] = [one for one in cleared if one["blocked_for_s"] > 0]
        return cleared

    def _campaigns(self) -> CampaignStore:
        return CampaignStore(self._redis, self._keys, republish_after_s=self._settings.republish_after)

    def _names(self, wanted: str | None) -> list[str]:
        # Only a probe needs the credential of a tenant.
        names = list(self._settings.applications())
        if not names:
            raise ConfigurationError("no tenant is configured; set AUTH0_DOMAIN and AUTH0_CLIENT_ID")
        if wanted and wanted not in names:
            raise no_tenant(wanted, names)
        return [wanted] if wanted else names

    def _probe(self, name: str, limiter: RedisLimiter, key: LimiterKey) -> str | None:
        """Let the limiter learn a quota from a start that Auth0 refuses. Return why that failed, if it did."""
        permit = limiter.acquire(key, Lane.INTERACTIVE)
        if not isinstance(permit, Permit):
            return "The limiter gives no permit at this moment; try again."
        try:
            with client_for(self._settings.tenant_named(name), self._settings) as client:
                answer = client.probe_start()
        except (ConfigurationError, AuthenticationError) as failure:
            return str(failure)
        if answer.rate_limits is not None:
            reading = Reading(ticket=permit.first_ticket, limits=answer.rate_limits, refused=answer.status == _REFUSED)
            limiter.observe(key, [reading])
        if answer.credentials == "rejected":
            return "Auth0 refused the client's credential; check it with: gatepost doctor"
        return None


def campaign_rates(store: CampaignStore) -> dict[str, tuple[CampaignRate, ...]]:
    """Return the running campaigns that have a rate, by tenant."""
    found: dict[str, tuple[CampaignRate, ...]] = {}
    for campaign_id in store.active_ids():
        try:
            record = store.record(campaign_id)
        except CampaignNotFound:
            continue
        options = read_options(record["options"])
        if record["status"] == Status.RUNNING and options.rate is not None:
            rate = CampaignRate(campaign_id=campaign_id, name=record["name"], rate=options.rate)
            found[options.tenant or ""] = (*found.get(options.tenant or "", ()), rate)
    return found


def quota_of(limiter: RedisLimiter, pacing: LimiterSettings, key: LimiterKey) -> TenantQuota:
    """Return the quota that the limiter has learned under a key."""
    state = limiter.describe(key)
    known = asdict(state) if state else {}
    for name in ("bucket", "policy"):
        known[name] = Bucket(**known[name]) if known.get(name) else None
    return TenantQuota(
        tenant=key.tenant,
        endpoint=key.endpoint,
        fallback_rate=pacing.fallback_rate,
        max_rate=pacing.max_rate,
        **known,
    )
