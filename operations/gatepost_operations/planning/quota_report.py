"""`python -m gatepost_operations.planning.quota_report`: prints what the limiter knows of the tenants' quotas, as JSON.

`gatepost quota`, `campaign plan` and `campaign watch` run it as a process of its own: the limiter is the worker's, and only the worker
may speak to Auth0.
"""

from __future__ import annotations

import argparse
import json
import select
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from gatepost_core.campaigns.model import CampaignNotFound, Options, Status
from gatepost_core.campaigns.store import CampaignStore
from gatepost_core.errors import ConfigurationError, Unavailable
from gatepost_core.redis.connections import connect
from gatepost_core.settings import load_settings
from gatepost_operations.planning.tenant_quota import Bucket, CampaignRate, TenantQuota
from gatepost_worker.authentication import AuthenticationError, NotAttempted
from gatepost_worker.delivery.calls import START, TOKEN
from gatepost_worker.delivery.clients import client_for
from gatepost_worker.limiter import Lane, LimiterKey, LimiterSettings, Permit, Reading, RedisLimiter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from redis import Redis

    from gatepost_core.settings import Settings
    from gatepost_core.settings.tenants import Tenant
    from gatepost_worker.limiter import BucketSnapshot

_REFUSED: Final = 429


def main(arguments: Sequence[str] | None = None) -> int:
    """Print one object, or one every so often until standard input ends. The exit code is 0 whatever was found."""
    parser = argparse.ArgumentParser(prog="python -m gatepost_operations.planning.quota_report", description=__doc__)
    parser.add_argument("--tenant", metavar="NAME", help="a configured tenant; all of them when absent")
    parser.add_argument("--endpoint", metavar="PATH", choices=[START, TOKEN], action="append")
    parser.add_argument(
        "--probe", action="store_true", help="ask Auth0 where nothing is known, with a start that sends nothing"
    )
    parser.add_argument("--every", metavar="SECONDS", type=float, help="again and again, until standard input ends")
    asked = parser.parse_args(arguments)
    try:
        settings = load_settings(env_file=".env")
        tenants = [settings.tenant_named(asked.tenant)] if asked.tenant else list(settings.all_tenants().values())
    except ConfigurationError as failure:
        _write({"error": {"cause": "configuration", "message": str(failure)}})
        return 0
    endpoints = asked.endpoint or [START, TOKEN]
    with connect(settings) as client:
        while True:
            _write(_report(settings, client, tenants, endpoints, probing=asked.probe))
            if asked.every is None or _ended_within(asked.every):
                return 0


def _write(document: dict[str, Any]) -> None:
    sys.stdout.write(f"{json.dumps(document)}\n")
    sys.stdout.flush()


def _ended_within(seconds: float) -> bool:
    readable, _, _ = select.select([sys.stdin], [], [], seconds)
    return bool(readable) and not sys.stdin.readline()


def _report(
    settings: Settings, client: Redis, tenants: Sequence[Tenant], endpoints: Sequence[str], *, probing: bool
) -> dict[str, Any]:
    report: dict[str, Any] = {"quotas": [], "failures": []}
    try:
        rates = campaign_rates(CampaignStore(client, republish_after_s=settings.republish_after))
        for tenant in tenants:
            pacing = LimiterSettings.of(settings, tenant)
            limiter = RedisLimiter(client, pacing)
            for endpoint in endpoints:
                key = LimiterKey(tenant.name, endpoint)
                found = quota_of(limiter, pacing, key)
                if probing and endpoint == START and not found.is_known:
                    if failure := probe(settings, tenant, limiter, key):
                        report["failures"].append({"tenant": tenant.name, **failure})
                    found = quota_of(limiter, pacing, key)
                if endpoint == START:
                    found = replace(found, campaigns=rates.get(tenant.name, ()))
                report["quotas"].append(found.as_json())
    except Unavailable as failure:
        return {"error": {"cause": "redis", "message": str(failure)}}
    return report


def campaign_rates(store: CampaignStore) -> dict[str, tuple[CampaignRate, ...]]:
    """Return the running campaigns that have a rate of their own, by tenant."""
    found: dict[str, tuple[CampaignRate, ...]] = {}
    for campaign_id in store.active_ids():
        try:
            record = store.record(campaign_id)
        except CampaignNotFound:
            continue
        options = Options.model_validate_json(record["options"])
        if record["status"] == Status.RUNNING and options.rate is not None:
            rate = CampaignRate(campaign_id=campaign_id, name=record["name"], rate=options.rate)
            found[options.tenant or ""] = (*found.get(options.tenant or "", ()), rate)
    return found


def quota_of(limiter: RedisLimiter, pacing: LimiterSettings, key: LimiterKey) -> TenantQuota:
    """Return what the limiter knows under a key."""
    found = limiter.snapshot(key)
    fixed: dict[str, Any] = {
        "tenant": key.tenant,
        "endpoint": key.endpoint,
        "fallback_rate": pacing.fallback_rate,
        "max_rate": pacing.max_rate,
    }
    if found is None:
        return TenantQuota(**fixed)
    return TenantQuota(
        **fixed,
        bucket=_bucket(found.bucket),
        policy=_bucket(found.policy),
        blocked_for_s=found.blocked_for_s,
        reading_age_s=found.reading_age_s,
        blind=found.blind,
        issued=found.issued,
        ignored_hint_s=found.ignored_hint_s,
        ignored_hint_age_s=found.ignored_hint_age_s,
    )


def _bucket(found: BucketSnapshot | None) -> Bucket | None:
    if found is None:
        return None
    return Bucket(
        limit=found.limit,
        level=found.level,
        reserve=found.reserve,
        available_rate=found.available_rate,
        refill_rate=found.refill_rate,
        foreign_rate=found.foreign_rate,
    )


def probe(settings: Settings, tenant: Tenant, limiter: RedisLimiter, key: LimiterKey) -> dict[str, str] | None:
    """Read a quota from a start that is refused on purpose, let the limiter learn it, and say what went wrong if anything did.

    Raises:
        Unavailable: the limiter did not answer; nothing was asked.
    """
    permit = limiter.acquire(key, Lane.INTERACTIVE)
    if not isinstance(permit, Permit):
        return {"cause": permit.reason.value, "message": "The limiter gives no permit at this moment; try again."}
    try:
        with client_for(tenant, settings) as client:
            answer = client.probe_start()
    except (ConfigurationError, NotAttempted) as failure:
        return {"cause": "configuration", "message": str(failure)}
    except AuthenticationError as failure:
        return {"cause": failure.cause.value, "message": str(failure)}
    if answer.rate_limits is not None:
        reading = Reading(ticket=permit.first_ticket, limits=answer.rate_limits, refused=answer.status == _REFUSED)
        limiter.observe(key, [reading])
    if answer.credentials == "rejected":
        return {
            "cause": "credentials",
            "message": "Auth0 refused the client's credential; check it with: gatepost doctor",
        }
    return None


if __name__ == "__main__":
    sys.exit(main())
