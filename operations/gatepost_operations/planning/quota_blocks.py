"""Lifts the blocks after a 429, with an entry in the audit log."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gatepost_core.kinds import Endpoint

if TYPE_CHECKING:
    from gatepost_core.audit_log import AuditLog
    from gatepost_core.settings import Settings
    from gatepost_operations.planning.limiter import LimiterQuotas


def lift_blocks(
    settings: Settings, limiter: LimiterQuotas, audit: AuditLog, tenant: str | None, endpoint: Endpoint | None
) -> list[dict[str, Any]]:
    """Lift blocks before Auth0's time is up, and return each tenant and endpoint with the seconds that were left.

    Args:
        settings: the configuration.
        limiter: the quotas.
        audit: records the act.
        tenant: a configured tenant; None for all of them.
        endpoint: `passwordless/start` or `oauth/token`; None for both.

    Raises:
        TenantMissing: the tenant is not configured.
        Unavailable: Redis did not answer.
    """
    if tenant is not None:
        # A wrong name may be anything, and the audit log must not keep it.
        settings.tenant_named(tenant)
    with audit.act("quota.clear", tenant=tenant, endpoint=endpoint) as done:
        cleared: list[dict[str, Any]] = [
            {"tenant": key.tenant, "endpoint": key.endpoint, "blocked_for_s": blocked_for_s}
            for key, blocked_for_s in limiter.clear(tenant, [endpoint] if endpoint else list(Endpoint))
        ]
        done["cleared"] = [one for one in cleared if one["blocked_for_s"] > 0]
    return cleared
