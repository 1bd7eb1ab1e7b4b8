"""The shared limiter: learns a tenant's quota from response headers and paces all workers to it."""

from gatepost_worker.limiter.permits import (
    BucketState,
    Ceiling,
    LimiterKey,
    LimiterSettings,
    LimiterState,
    LimiterUnavailable,
    Permit,
    Wait,
    WaitReason,
)
from gatepost_worker.limiter.readings import Reading
from gatepost_worker.limiter.redis_limiter import RedisLimiter
from gatepost_worker.limiter.scripts import lua_library, pack_settings

__all__ = [
    "BucketState", "Ceiling", "LimiterKey", "LimiterSettings", "LimiterState", "LimiterUnavailable",
    "Permit", "Reading", "RedisLimiter", "Wait", "WaitReason", "lua_library", "pack_settings",
]  # fmt: skip
