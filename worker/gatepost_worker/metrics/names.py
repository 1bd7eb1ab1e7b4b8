"""The names of a worker's metrics. No other module spells one.

A label holds a value of a closed set, or the name of a tenant. It never holds an id or a person.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import Final


class Type(Enum):
    """The types of metrics in Prometheus."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


class Repair(StrEnum):
    """The reconciler's repairs of work that was left behind. The values of the label `repair`."""

    PUBLISHED_AGAIN = "published_again"
    ENDED = "ended"
    RECORD_MISSING = "record_missing"
    SET_ASIDE = "set_aside"
    ROW_LOST_ITS_WORKER = "row_lost_its_worker"


class Work(StrEnum):
    """The kinds of work that a worker could not send. The values of the label `work`."""

    OPERATION = "operation"
    BATCH = "batch"


class WebhookResult(StrEnum):
    """How an attempt to deliver an event to a webhook endpoint ended. The values of the label `result`."""

    DELIVERED = "delivered"
    FAILED = "failed"
    GIVEN_UP = "given_up"
    POSTPONED = "postponed"


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric.

    Attributes:
        name: its name in Prometheus. The name of a counter ends in `_total`.
        type: its type.
        meaning: the text of its `# HELP` line and of the reference page.
        labels: the names of its labels.
    """

    name: str
    type: Type
    meaning: str
    labels: tuple[str, ...] = ()


BUCKETS_S: Final = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 40.0)
"""The upper bounds of the histogram's buckets, in seconds. An SMS may take 40 s."""

ATTEMPTS: Final = Metric(
    "gatepost_attempts_total",
    Type.COUNTER,
    "Attempts that ended. The label `outcome` has the state after the attempt.",
    ("kind", "outcome", "reason"),
)
ANSWERS: Final = Metric(
    "gatepost_answer_seconds",
    Type.HISTOGRAM,
    "Time from a request to the end of Auth0's answer, in seconds.",
    ("tenant", "endpoint"),
)
THROTTLED: Final = Metric(
    "gatepost_throttled_total",
    Type.COUNTER,
    "Answers with status 429, because Auth0's rate limit was reached.",
    ("tenant", "endpoint"),
)
WAITS: Final = Metric(
    "gatepost_limiter_waits_total",
    Type.COUNTER,
    "How often the limiter told this worker to wait before a request.",
    ("tenant", "endpoint", "lane"),
)
WAITED: Final = Metric(
    "gatepost_limiter_wait_seconds_total",
    Type.COUNTER,
    "Seconds for which the limiter told this worker to wait, in total.",
    ("tenant", "endpoint", "lane"),
)
QUOTA_LIMIT: Final = Metric(
    "gatepost_quota_limit",
    Type.GAUGE,
    "The size of the bucket, from the newest answer.",
    ("tenant", "endpoint", "bucket"),
)
QUOTA_LEFT: Final = Metric(
    "gatepost_quota_left",
    Type.GAUGE,
    "Requests left in the bucket, from the newest answer.",
    ("tenant", "endpoint", "bucket"),
)
QUOTA_USED: Final = Metric(
    "gatepost_quota_used_ratio",
    Type.GAUGE,
    "The used share of the bucket (0 to 1), from the newest answer.",
    ("tenant", "endpoint", "bucket"),
)
SUPPRESSED: Final = Metric(
    "gatepost_suppressed_total",
    Type.COUNTER,
    "Recipients of campaigns that this worker set to `suppressed`.",
)
BLOCKED: Final = Metric(
    "gatepost_blocked_total",
    Type.COUNTER,
    "Operations and batches that this worker could not carry out, and put back for later.",
    ("work", "why"),
)
REPAIRS: Final = Metric(
    "gatepost_reconciler_repairs_total",
    Type.COUNTER,
    "Repairs that the reconciler made while it ran in this worker.",
    ("repair",),
)
WEBHOOKS: Final = Metric(
    "gatepost_webhook_attempts_total",
    Type.COUNTER,
    "Attempts to deliver an event to a webhook endpoint.",
    ("result",),
)
HEALTHY: Final = Metric("gatepost_worker_healthy", Type.GAUGE, "1 if the worker makes progress, otherwise 0.")
CONNECTED: Final = Metric(
    "gatepost_worker_connected", Type.GAUGE, "1 if the worker has a connection to the broker, otherwise 0."
)
LOOP_AGE: Final = Metric(
    "gatepost_worker_loop_age_seconds", Type.GAUGE, "Seconds since the last run of the loop that takes messages."
)
TAKEN: Final = Metric(
    "gatepost_worker_messages_taken_total", Type.COUNTER, "Messages that the worker took from its queues."
)
SLOTS_FREE: Final = Metric(
    "gatepost_worker_slots_free", Type.GAUGE, "Number of further tasks that the worker could start, at its last check."
)

METRICS: Final = tuple(value for value in list(globals().values()) if isinstance(value, Metric))
"""All metrics of a worker."""
