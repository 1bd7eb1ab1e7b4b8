"""Readings: the rate-limit headers of responses, packed for the limiter's scripts."""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from gatepost_worker.authentication.rate_limits import LONGEST_HINT_S, plausible

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gatepost_worker.authentication.rate_limits import RateLimits

_PACKED: Final = struct.Struct("<12d")
_CLOCKS_AGREE_S: Final = 2.0  # `Date` has whole seconds, and the response took some time to arrive
_ONE_WAY_S: Final = 0.05  # until the server counts a request; at most half the round trip
_LONGEST_INTERVAL_S: Final = 31 * 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """The rate-limit information of one response.

    Attributes:
        ticket: The request's ticket.
        limits: The response's rate-limit headers.
        refused: Whether the response was a 429 `too_many_requests`; other 429s do not count.
    """

    ticket: int
    limits: RateLimits
    refused: bool = False

    def pack(self, *, now: float, wall_now: float, longest_hint_s: float = LONGEST_HINT_S) -> bytes:
        """Return the reading in the form that the limiter's scripts read.

        Args:
            now: The monotonic time, in seconds.
            wall_now: The time by our clock, in epoch seconds.
            longest_hint_s: The longest hint to obey, in seconds.

        Returns:
            Twelve little-endian doubles; NaN for a value that is absent or implausible.
        """
        limits = self.limits
        received_at = now if limits.received_at is None else limits.received_at
        sent_at = received_at if limits.sent_at is None else limits.sent_at
        counted_at = sent_at + min((received_at - sent_at) / 2, _ONE_WAY_S)
        since = max(now - received_at, 0.0)
        reset_in, retry_after = _reset_in_s(limits, wall_now - since), limits.retry_after_s
        policy_wait = _policy_wait_s(limits)
        hints = (reset_in, retry_after, policy_wait)
        return _PACKED.pack(
            self.ticket,
            max(now - counted_at, 0.0) * 1e6,
            self.refused,
            *_level(limits.limit, limits.remaining),
            *(_remaining_wait(plausible(hint, longest_hint_s), since) for hint in hints),
            *_policy(limits),
            max((hint for hint in hints if hint is not None and hint > longest_hint_s), default=math.nan),
        )


def pack_readings(
    readings: Iterable[Reading], *, now: float, wall_now: float, longest_hint_s: float = LONGEST_HINT_S
) -> bytes:
    """Return readings in the form that the limiter's scripts read.

    Args:
        readings: The readings, in any order.
        now: The time by the monotonic clock that stamped the readings, in seconds.
        wall_now: The time by our clock, in epoch seconds.
        longest_hint_s: The longest hint to obey, in seconds.

    Returns:
        96 bytes for each reading.
    """
    return b"".join([reading.pack(now=now, wall_now=wall_now, longest_hint_s=longest_hint_s) for reading in readings])


def _reset_in_s(limits: RateLimits, received_epoch_s: float) -> float | None:
    """Return the seconds from the response to the announced refill.

    If `Date` agrees with our clock, use ours, which has fractions of a second; otherwise subtract `Date` from the announced time.
    """
    if limits.reset_epoch_s is None:
        return None
    date = limits.date_epoch_s
    agree = date is None or abs(date + 0.5 - received_epoch_s) <= _CLOCKS_AGREE_S
    seconds = limits.reset_epoch_s - (received_epoch_s if agree or date is None else date)
    return max(seconds, 0.0) if seconds >= -_CLOCKS_AGREE_S else seconds


def _policy_wait_s(limits: RateLimits) -> float | None:
    """Return the seconds until an exhausted policy grants requests again."""
    quota = limits.client_quota
    return quota.interval_s if quota is not None and quota.remaining <= 0 else None


def _level(limit: int | None, remaining: int | None) -> tuple[float, float]:
    if limit is None or remaining is None:
        return math.nan, math.nan
    return limit, min(remaining, limit)


def _policy(limits: RateLimits) -> tuple[float, float, float]:
    quota = limits.client_quota
    if quota is None:
        return math.nan, math.nan, math.nan
    known = 0 < quota.interval_s <= _LONGEST_INTERVAL_S
    return quota.quota, quota.interval_s if known else math.nan, quota.remaining


def _remaining_wait(seconds: float | None, since: float) -> float:
    return math.nan if seconds is None else max(seconds - since, 0.0)
