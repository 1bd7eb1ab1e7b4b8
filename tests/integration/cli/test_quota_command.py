"""`gatepost quota` and `gatepost quota clear` against a real Valkey: the learned quota, and a lifted block."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import pytest

from gatepost.campaigns.control import Campaigns
from gatepost_core.audit_log import AuditLog
from gatepost_core.campaigns.model import Options
from gatepost_core.campaigns.row import Row
from gatepost_core.kinds import Channel, Lane
from gatepost_core.settings import load_settings
from gatepost_operations.cli.entry import main
from gatepost_operations.cli.limiter import poll_quota
from gatepost_worker.authentication.rate_limits import RateLimits
from gatepost_worker.limiter import LimiterKey, Permit, Reading, RedisLimiter, Wait
from support.keys import KEYS

if TYPE_CHECKING:
    import redis

SENDS, LOGINS = LimiterKey("default", "passwordless/start"), LimiterKey("default", "oauth/token")

pytestmark = pytest.mark.usefixtures("configured")


def refuse(client: redis.Redis, key: LimiterKey, retry_after_s: float) -> RedisLimiter:
    """Let the quota refuse a request."""
    limiter = RedisLimiter(client, KEYS)
    permit = limiter.acquire(key, Lane.INTERACTIVE)
    assert isinstance(permit, Permit)
    limits = RateLimits(limit=100, remaining=0, retry_after_s=retry_after_s)
    limiter.observe(key, [Reading(ticket=permit.first_ticket, limits=limits, refused=True)])
    return limiter


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    capsys.readouterr()
    assert main(["quota", *arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_clear_lifts_a_block(redis_client: redis.Redis, capsys: pytest.CaptureFixture[str]) -> None:
    """Requests may leave at once, and the answer says how long the block would have lasted."""
    limiter = refuse(redis_client, SENDS, 600)
    blocked = limiter.acquire(SENDS, Lane.INTERACTIVE)
    found = run(capsys, "clear", "--endpoint", "passwordless/start")["cleared"]

    assert isinstance(blocked, Wait)
    assert [(one["tenant"], one["endpoint"]) for one in found] == [("default", "passwordless/start")]
    assert found[0]["blocked_for_s"] == pytest.approx(600, abs=30)
    assert isinstance(limiter.acquire(SENDS, Lane.INTERACTIVE), Permit)


def test_clear_takes_one_tenant_when_it_is_named(
    redis_client: redis.Redis, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before the verb or after it; the other tenant stays blocked."""
    acme = {"name": "acme", "domain": "localhost:2", "client_id": "acme", "client_secret": "s3cret-canary"}
    monkeypatch.setenv("GATEPOST_TENANTS", json.dumps([acme]))
    limiter = refuse(redis_client, SENDS, 600)
    refuse(redis_client, LimiterKey("acme", SENDS.endpoint), 600)
    run(capsys, "--tenant", "acme", "clear")
    other = limiter.describe(LimiterKey("acme", SENDS.endpoint))
    ours = limiter.describe(SENDS)

    assert other is not None
    assert ours is not None
    assert other.blocked_for_s == 0
    assert ours.blocked_for_s > 500


def test_clear_is_in_the_audit_log(redis_client: redis.Redis, capsys: pytest.CaptureFixture[str]) -> None:
    """With the block that it lifted."""
    refuse(redis_client, LOGINS, 600)
    run(capsys, "clear")
    settings = load_settings()
    entries = list(AuditLog(redis_client, KEYS, settings.fingerprints()).entries())

    assert [entry.action for entry in entries] == ["quota.clear", "quota.clear.done"]
    assert [one["endpoint"] for one in entries[1].about["cleared"]] == ["oauth/token"]


def test_clear_without_a_block_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing was blocked, and nothing changes."""
    assert main(["quota", "clear"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "default  passwordless/start: no block",
        "default  oauth/token: no block",
    ]


def test_quota_shows_a_hint_that_is_not_obeyed(redis_client: redis.Redis, capsys: pytest.CaptureFixture[str]) -> None:
    """A year of `Retry-After` blocks for a moment, and the operator sees what Auth0 asked for."""
    refuse(redis_client, SENDS, 31_536_000)
    sends = run(capsys)["quotas"][0]
    main(["quota"])
    shown = capsys.readouterr().out

    assert sends["blocked_for_s"] < 3
    assert sends["ignored_hint_s"] == 31_536_000
    assert "ignored a hint to wait 365 d, " in shown


def test_quota_shows_the_rates_that_are_set(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tenant's max_rate, and each running campaign's own."""
    monkeypatch.setenv("AUTH0_MAX_RATE", "50")
    with Campaigns(load_settings()) as campaigns:
        for name, rate in (("slow", 7.0), ("free", None), ("draft", 3.0)):
            campaign_id = campaigns.create(name, Options(rate=rate))
            campaigns.add(campaign_id, [Row(1, Channel.EMAIL, "ana@example.com")])
            if name != "draft":
                campaigns.start(campaign_id)
    found = run(capsys, "--endpoint", "passwordless/start")["quotas"][0]
    main(["quota"])
    shown = capsys.readouterr().out

    assert found["max_rate"] == 50
    assert [(one["name"], one["rate"]) for one in found["campaigns"]] == [("slow", 7.0)]
    assert "at most 50/s (AUTH0_MAX_RATE)" in shown
    assert "campaign slow: at most 7/s" in shown


def test_a_watched_campaign_shows_its_own_tenants_quota(
    redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A campaign without a tenant has the first one, whatever else is configured."""
    acme = {"name": "acme", "domain": "localhost:2", "client_id": "acme", "client_secret": "s3cret-canary"}
    monkeypatch.setenv("GATEPOST_TENANTS", json.dumps([acme]))
    refuse(redis_client, SENDS, 600)
    with poll_quota(load_settings(), None, every_s=60) as quota:
        found = quota()

    assert found is not None
    assert (found.tenant, found.blocked_for_s) == ("default", pytest.approx(600, abs=30))


def test_a_quota_is_not_read_at_every_look(redis_client: redis.Redis) -> None:
    """The next reading is taken when its time has come."""
    now = 0.0
    with poll_quota(load_settings(), None, every_s=2, monotonic=lambda: now) as quota:
        before = quota()
        refuse(redis_client, SENDS, 600)
        too_early, now = quota(), 2.0
        after = quota()

    assert before is not None
    assert after is not None
    assert too_early == before
    assert (before.blocked_for_s, after.blocked_for_s) == (0, pytest.approx(600, abs=30))


@pytest.mark.usefixtures("redis_client")
def test_a_campaign_is_watched_without_the_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its quota is not known; everything else is shown."""
    monkeypatch.setitem(sys.modules, "requests", None)
    with poll_quota(load_settings(), None, every_s=60) as quota:
        assert quota() is None
