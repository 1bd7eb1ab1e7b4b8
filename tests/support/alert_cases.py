"""For each alert: series under which it fires, and series close to them under which it does not. A sample every 15 s, in promtool's notation."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

WORKER = 'up{job="gatepost-worker",instance="a",service="worker"}'
FLEET = 'up{job="gatepost-fleet",instance="m"}'


@dataclass(frozen=True)
class Case:
    """One alert.

    Attributes:
        fires: series under which it fires.
        quiet: series under which it does not.
        labels: the labels of the alert, beside its name and severity.
        at: when it fires, such as `5m`.
    """

    fires: dict[str, str]
    quiet: dict[str, str]
    labels: dict[str, str] = field(default_factory=dict)
    at: str = "4m"

    def tests(self, alert: dict[str, Any]) -> list[dict[str, Any]]:
        """Return promtool's tests of this alert."""
        labels = {**self.labels, **alert["labels"]}
        expected = [{"exp_labels": labels, "exp_annotations": alert["annotations"]}]
        return [_test(alert["alert"], self.fires, self.at, expected), _test(alert["alert"], self.quiet, self.at, [])]


def _test(name: str, series: dict[str, str], at: str, expected: list[Any]) -> dict[str, Any]:
    return {
        "interval": "15s",
        "input_series": [{"series": one, "values": values} for one, values in series.items()],
        "alert_rule_test": [{"eval_time": at, "alertname": name, "exp_alerts": expected}],
    }


def _of_fleet(name: str, labels: str = "") -> str:
    return f'{name}{{job="gatepost-fleet",instance="m"{labels}}}'


def _gauge(name: str, bad: str, good: str, labels: dict[str, str] | None = None, at: str = "4m") -> Case:
    own = "".join(f',{label}="{value}"' for label, value in (labels or {}).items())
    series = _of_fleet(name, own)
    return Case({series: bad}, {series: good}, {"job": "gatepost-fleet", "instance": "m", **(labels or {})}, at)


def _oldest(queue: str, bad: int, good: int) -> Case:
    return _gauge("gatepost_queue_oldest_seconds", f"{bad}x40", f"{good}x40", {"queue": queue})


_ATTEMPTS = 'gatepost_attempts_total{{instance="a",kind="send_email",outcome="{}",reason="{}"}}'.format
_PROBE = {"tenant": "default", "channel": "email"}
_FAST = 'gatepost_answer_seconds_bucket{instance="a",tenant="default",endpoint="oauth/token",le="5.0"}'
_SLOW = 'gatepost_answer_seconds_bucket{instance="a",tenant="default",endpoint="oauth/token",le="10.0"}'
_ALL = 'gatepost_answer_seconds_bucket{instance="a",tenant="default",endpoint="oauth/token",le="+Inf"}'
_USED = 'gatepost_quota_used_ratio{instance="a",tenant="default",endpoint="oauth/token",bucket="tenant"}'
_RATE, _SENDING = _of_fleet("gatepost_campaign_rate"), _of_fleet("gatepost_campaigns_sending")
_THROTTLED = 'gatepost_throttled_total{instance="a",tenant="default",endpoint="oauth/token"}'

CASES = {
    "GatepostWorkerDown": Case(
        {WORKER: "1x4 0x40"},
        {WORKER: "1x4 0x3 1x40"},
        {"job": "gatepost-worker", "instance": "a", "service": "worker"},
    ),
    "GatepostNoWorker": Case({WORKER: "1x2 0x40"}, {WORKER: "1x40"}),
    "GatepostWorkerStuck": Case(
        {'gatepost_worker_healthy{instance="a"}': "1x4 0x40"},
        {'gatepost_worker_healthy{instance="a"}': "1x10 0x2 1x40"},
        {"instance": "a"},
    ),
    "GatepostLoginsWait": _oldest("login", 30, 10),
    "GatepostSendsWait": _oldest("send", 200, 60),
    "GatepostCampaignsWait": _oldest("bulk", 200, 60),
    "GatepostReconcilerLate": _gauge("gatepost_reconciler_lag_seconds", "10+15x40", "10x40"),
    "GatepostManyUnknown": Case(
        {_ATTEMPTS("unknown", "answer_lost"): "0x4 10x40"}, {_ATTEMPTS("unknown", "answer_lost"): "0x4 2x40"}
    ),
    "GatepostDeadLetters": _gauge("gatepost_dead_letters", "0x4 1x40", "0x40"),
    "GatepostThrottled": Case(
        {_THROTTLED: "0x4 20x40"}, {_THROTTLED: "0x4 2x40"}, {"tenant": "default", "endpoint": "oauth/token"}
    ),
    "GatepostQuotaUsedUp": Case(
        {_USED: "0.97x60"},
        {_USED: "0.8x60"},
        {"tenant": "default", "endpoint": "oauth/token", "bucket": "tenant"},
        "8m",
    ),
    "GatepostCampaignPaused": Case(
        {_of_fleet("gatepost_campaigns_paused", ',reason="refused"'): "1x40"},
        {_of_fleet("gatepost_campaigns_paused", ',reason="by_operator"'): "1x40"},
        {"reason": "refused"},
    ),
    "GatepostCampaignBlocked": _gauge("gatepost_campaigns_blocked", "1x40", "0x40"),
    "GatepostCampaignStalled": Case(
        {_RATE: "0x90", _SENDING: "1x90"},
        {_RATE: "0.5x90", _SENDING: "1x90"},
        {"job": "gatepost-fleet", "instance": "m"},
        "18m",
    ),
    "GatepostCountsWrong": _gauge("gatepost_campaigns_inconsistent", "1x40", "0x40"),
    "GatepostCredentialRefused": Case(
        {_ATTEMPTS("rejected", "client_rejected"): "0x4 1x40"},
        {_ATTEMPTS("rejected", "recipient_rejected"): "0x4 9x40"},
        {"reason": "client_rejected"},
    ),
    "GatepostWorkBlocked": Case(
        {'gatepost_blocked_total{instance="a",work="operation",why="key_missing"}': "0+1x40"},
        {'gatepost_blocked_total{instance="a",work="operation",why="key_missing"}': "3x40"},
        {"why": "key_missing"},
    ),
    "GatepostAuth0Slow": Case(
        {_FAST: "0+8x60", _SLOW: "0+10x60", _ALL: "0+10x60"},
        {_FAST: "0+10x60", _SLOW: "0+10x60", _ALL: "0+10x60"},
        {"tenant": "default", "endpoint": "oauth/token"},
        "9m",
    ),
    "GatepostRedisDown": _gauge("gatepost_redis_up", "0x40", "1x40"),
    "GatepostBrokerDown": Case(
        {_of_fleet("gatepost_broker_up"): "0x40", _of_fleet("gatepost_redis_up"): "1x40"},
        {_of_fleet("gatepost_broker_up"): "0x40", _of_fleet("gatepost_redis_up"): "0x40"},
        {"job": "gatepost-fleet", "instance": "m"},
    ),
    "GatepostRedisNearlyFull": _gauge("gatepost_redis_memory_used_ratio", "0.9x60", "0.5x60", at="8m"),
    "GatepostProbeFailed": _gauge("gatepost_probe_success", "0x40", "1x40", _PROBE),
    "GatepostProbeSilent": _gauge("gatepost_probe_last_run_timestamp_seconds", "0x300", "3000x300", _PROBE, "61m"),
    "GatepostWebhooksLate": _gauge("gatepost_webhook_oldest_seconds", "1700+15x80", "300x80", at="16m"),
    "GatepostWebhookDisabled": Case(
        {_of_fleet("gatepost_webhook_endpoints", ',state="disabled"'): "0x4 1x40"},
        {_of_fleet("gatepost_webhook_endpoints", f',state="{state}"'): "1x40" for state in ("failing", "switched_off")},
        {"job": "gatepost-fleet", "instance": "m", "state": "disabled"},
    ),
    "GatepostFleetMetricsMissing": Case({FLEET: "1x2 0x40"}, {FLEET: "1x40"}),
}
