"""The shared limiter: finds a tenant's quota by its headers and paces every worker to it."""

from gatepost_worker.limiter.quota import (
    BucketSnapshot,
    Ceiling,
    Lane,
    Limiter,
    LimiterKey,
    LimiterSettings,
    LimiterUnavailable,
    Permit,
    Snapshot,
    Wait,
    WaitReason,
)
from gatepost_worker.limiter.readings import Reading
from gatepost_worker.limiter.redis_limiter import RedisLimiter
from gatepost_worker.limiter.scripts import core_source, pack_settings

__all__ = [
    "BucketSnapshot",
    "Ceiling",
    "Lane",
    "Limiter",
    "LimiterKey",
    "LimiterSettings",
    "LimiterUnavailable",
    "Permit",
    "Reading",
    "RedisLimiter",
    "Snapshot",
    "Wait",
    "WaitReason",
    "core_source",
    "pack_settings",
]
