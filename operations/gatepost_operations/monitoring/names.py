"""The names of the fleet's metrics. No other module spells one.

A label holds a value of a closed set. A campaign has no label: an installation makes any number of campaigns, and a name may be personal.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from gatepost_worker.metrics.names import Metric, Type


class EndpointState(StrEnum):
    """The states of a webhook endpoint. The values of the label `state`."""

    ENABLED = "enabled"
    FAILING = "failing"
    DISABLED = "disabled"
    """By Gatepost: the endpoint answered 410, or failed for a day."""
    SWITCHED_OFF = "switched_off"
    """By an operator."""


REDIS_UP: Final = Metric("gatepost_redis_up", Type.GAUGE, "1 if Redis (`GATEPOST_REDIS_URL`) answered, otherwise 0.")
BROKER_UP: Final = Metric("gatepost_broker_up", Type.GAUGE, "1 if the broker answered, otherwise 0.")
REDIS_MEMORY: Final = Metric(
    "gatepost_redis_memory_used_ratio",
    Type.GAUGE,
    "The used share of Redis's `maxmemory` (0 to 1). Absent if Redis has no `maxmemory`.",
)
QUEUE_MESSAGES: Final = Metric(
    "gatepost_queue_messages", Type.GAUGE, "Messages that wait on a queue of the broker.", ("queue",)
)
QUEUE_OLDEST: Final = Metric(
    "gatepost_queue_oldest_seconds",
    Type.GAUGE,
    "Seconds for which the oldest operation or batch has waited for a worker. 0 if none waits.",
    ("queue",),
)
OPERATIONS_OPEN: Final = Metric(
    "gatepost_operations_open", Type.GAUGE, "Operations without a final state.", ("kind", "state")
)
OPERATIONS_ENDED: Final = Metric(
    "gatepost_operations_ended_total", Type.COUNTER, "Operations that ended, by final state.", ("kind", "state")
)
CAMPAIGNS: Final = Metric(
    "gatepost_campaigns",
    Type.GAUGE,
    "Campaigns that `gatepost metrics` has read for this scrape, by status.",
    ("status",),
)
CAMPAIGNS_PAUSED: Final = Metric(
    "gatepost_campaigns_paused", Type.GAUGE, "Paused campaigns, by the reason for the pause.", ("reason",)
)
CAMPAIGNS_SENDING: Final = Metric(
    "gatepost_campaigns_sending",
    Type.GAUGE,
    "Running campaigns with open recipients, except campaigns that wait for their start, their sending hours or the rate limit.",
)
CAMPAIGNS_BLOCKED: Final = Metric(
    "gatepost_campaigns_blocked", Type.GAUGE, "Open campaigns with batches that a worker could not send."
)
CAMPAIGNS_WRONG: Final = Metric(
    "gatepost_campaigns_inconsistent",
    Type.GAUGE,
    "Open campaigns in which the numbers of recipients by state do not add up to the number of all recipients.",
)
CAMPAIGNS_UNREAD: Final = Metric(
    "gatepost_campaigns_unread",
    Type.GAUGE,
    "Campaigns that this scrape did not read, because there are too many.",
)
RECIPIENTS: Final = Metric(
    "gatepost_campaign_recipients", Type.GAUGE, "Recipients of open campaigns, by state.", ("state",)
)
CAMPAIGN_RATE: Final = Metric(
    "gatepost_campaign_rate",
    Type.GAUGE,
    "The present rate of all running campaigns together, in recipients per second.",
)
DEAD_LETTERS: Final = Metric(
    "gatepost_dead_letters", Type.GAUGE, "Stored dead letters: messages that no worker could accept."
)
RECONCILER_LAG: Final = Metric(
    "gatepost_reconciler_lag_seconds", Type.GAUGE, "Seconds since the reconciler last ran. Absent if it never ran."
)
BULK_WORKERS: Final = Metric(
    "gatepost_bulk_workers", Type.GAUGE, "Worker processes that took a batch in the last minute."
)
SUPPRESSION: Final = Metric(
    "gatepost_suppression_entries",
    Type.GAUGE,
    "Entries of the suppression list, which names the people who get no message from any campaign.",
)
WEBHOOK_ENDPOINTS: Final = Metric("gatepost_webhook_endpoints", Type.GAUGE, "Webhook endpoints, by state.", ("state",))
WEBHOOK_OLDEST: Final = Metric(
    "gatepost_webhook_oldest_seconds",
    Type.GAUGE,
    "Seconds for which the oldest event has waited for its delivery to an enabled webhook endpoint. 0 if no event waits.",
)
PROBE_SUCCESS: Final = Metric(
    "gatepost_probe_success",
    Type.GAUGE,
    "1 if the last run of the login probe succeeded, otherwise 0.",
    ("tenant", "channel"),
)
PROBE_RUN: Final = Metric(
    "gatepost_probe_last_run_timestamp_seconds",
    Type.GAUGE,
    "Time when the login probe last ended, in seconds since the epoch.",
    ("tenant", "channel"),
)
PROBE_LAST_SUCCESS: Final = Metric(
    "gatepost_probe_last_success_timestamp_seconds",
    Type.GAUGE,
    "Time when the login probe last succeeded, in seconds since the epoch. Absent before the first success.",
    ("tenant", "channel"),
)
PROBE_STEP: Final = Metric(
    "gatepost_probe_step_seconds",
    Type.GAUGE,
    "The duration of a step in the last run of the login probe.",
    ("tenant", "channel", "step"),
)
PROBE_FAILURE: Final = Metric(
    "gatepost_probe_failure",
    Type.GAUGE,
    "If the last run of the login probe failed: 1, with the step and the reason in the labels.",
    ("tenant", "channel", "step", "reason"),
)

METRICS: Final = tuple(value for value in list(globals().values()) if isinstance(value, Metric))
"""All metrics of the fleet."""
