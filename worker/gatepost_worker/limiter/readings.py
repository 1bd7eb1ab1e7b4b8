"""What one response says about the quota, packed for the limiter's script."""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gatepost_worker.authentication.rate_limits import RateLimits

_PACKED = struct.Struct("<10d")
_CLOCKS_AGREE_S = 2.0  # `Date` has whole seconds and the response was some time under way
_ONE_WAY_S = 0.05  # how long a request travels before the server counts it, at most half its round trip
_LONGEST_HINT_S = 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One response, as far as it speaks of the quota.

    Attributes:
        ticket: The permit's ticket that the request used.
        limits: What the response's headers say.
        refused: Whether the quota refused the request: 429 `too_many_requests`, and no other 429.
    """

    ticket: int
    limits: RateLimits
    refused: bool = False

    def pack(self, *, now: float, wall_now: float) -> bytes:
        """Put the reading into the form that the limiter's script reads.

        Args:
            now: Monotonic seconds, now.
            wall_now: Epoch seconds by our clock, now.

        Returns:
            Ten little-endian doubles; NaN stands for what was not said.
        """
        limits, quota = self.limits, self.limits.client_quota
        received_at = now if limits.received_at is None else limits.received_at
        sent_at = received_at if limits.sent_at is None else limits.sent_at
        counted_at = sent_at + min((received_at - sent_at) / 2, _ONE_WAY_S)
        since = max(now - received_at, 0.0)
        reset_at = _reset_in_s(limits, wall_now - since)
        return _PACKED.pack(
            self.ticket,
            max(now - counted_at, 0.0) * 1e6,
            self.refused,
            _number(limits.limit),
            _number(limits.remaining),
            _remaining_wait(reset_at, since),
            _remaining_wait(limits.retry_after_s, since),
            *((math.nan,) * 3 if quota is None else (quota.quota, quota.interval_s, quota.remaining)),
        )


def pack_readings(readings: Iterable[Reading], *, now: float, wall_now: float) -> bytes:
    """Put readings into the form that the limiter's script reads.

    Args:
        readings: The readings, in any order.
        now: Monotonic seconds, now, by the clock that stamped the readings.
        wall_now: Epoch seconds by our clock, now.

    Returns:
        Eighty bytes a reading.
    """
    return b"".join([reading.pack(now=now, wall_now=wall_now) for reading in readings])


def _reset_in_s(limits: RateLimits, received_epoch_s: float) -> float | None:
    """Give the seconds from the response to the announced refill.

    Auth0's clock and ours may differ. While `Date` shows that they agree, our clock is used, which knows fractions of a second; otherwise
    the difference of the two headers, which are both Auth0's.
    """
    if limits.reset_epoch_s is None:
        return None
    date = limits.date_epoch_s
    agree = date is None or abs(date + 0.5 - received_epoch_s) <= _CLOCKS_AGREE_S
    return limits.reset_epoch_s - (received_epoch_s if agree or date is None else date)


def _remaining_wait(seconds: float | None, since: float) -> float:
    return math.nan if seconds is None else min(max(seconds - since, 0.0), _LONGEST_HINT_S)


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)
