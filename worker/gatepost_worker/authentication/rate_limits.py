"""The quota that a response's headers state."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

_NUMBER: Final = re.compile(r"\s*\d{1,15}(\.\d{1,9})?\s*", re.ASCII)
_PARAMETER: Final = re.compile(r";\s*([a-z]+)\s*=\s*\"?(-?\d{1,15})(?!\d)\"?", re.IGNORECASE | re.ASCII)

LONGEST_HINT_S: Final = 900.0
"""The longest plausible wait that a server asks for, in seconds. The default of the setting."""


@dataclass(frozen=True, slots=True)
class ClientQuota:
    """The quota that a custom policy grants this client, from `Auth0-RateLimit: client;q=10;t=1;r=9`.

    Attributes:
        quota: requests granted in an interval (`q`).
        interval_s: the interval, in seconds (`t`).
        remaining: requests left (`r`).
    """

    quota: int
    interval_s: int
    remaining: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimits:
    """The quota in one response. A missing or unreadable value is None.

    Attributes:
        limit: the bucket's size (`X-RateLimit-Limit`).
        remaining: requests left (`X-RateLimit-Remaining`).
        reset_epoch_s: when the bucket is next refilled, in epoch seconds (`X-RateLimit-Reset`).
        retry_after_s: seconds to wait, from `Retry-After` in either form.
        date_epoch_s: the server's clock (`Date`), in epoch seconds; it makes up for a wrong local clock.
        client_quota: the quota of a custom policy (`Auth0-RateLimit`).
        sent_at: when the request left, on the monotonic clock.
        received_at: when the response was complete, on the monotonic clock.

    Source: https://auth0.com/docs/troubleshoot/customer-support/operational-policies/rate-limit-policy
    """

    limit: int | None = None
    remaining: int | None = None
    reset_epoch_s: float | None = None
    retry_after_s: float | None = None
    date_epoch_s: float | None = None
    client_quota: ClientQuota | None = None
    sent_at: float | None = None
    received_at: float | None = None

    def reset_in_s(self, now_epoch_s: float) -> float | None:
        """Return the seconds until the refill, by the server's clock if it is known; None if the refill is past or unknown."""
        if self.reset_epoch_s is None:
            return None
        now = self.date_epoch_s if self.date_epoch_s is not None else now_epoch_s
        return self.reset_epoch_s - now if self.reset_epoch_s > now else None

    def wait_s(self, now_epoch_s: float, longest_s: float = LONGEST_HINT_S) -> float | None:
        """Return the seconds to wait after a 429: the longer of `Retry-After` and the time until the refill.

        Args:
            now_epoch_s: the local clock, in epoch seconds.
            longest_s: a longer hint, in seconds, is implausible: it is returned only if there is no other.
        """
        hints = [hint for hint in (self.retry_after_s, self.reset_in_s(now_epoch_s)) if hint is not None]
        return max((hint for hint in hints if hint <= longest_s), default=max(hints, default=None))


def parse_rate_limits(
    headers: Mapping[str, str], *, now_epoch_s: float, sent_at: float | None = None, received_at: float | None = None
) -> RateLimits:
    """Return the quota that the headers state.

    Args:
        headers: the response's headers, a mapping that ignores case.
        now_epoch_s: the local clock, in epoch seconds; used if the response has no `Date`.
        sent_at: when the request left, on the monotonic clock.
        received_at: when the response was complete, on the monotonic clock.
    """
    date = _http_date(headers.get("Date"))
    return RateLimits(
        limit=_whole(headers.get("X-RateLimit-Limit")),
        remaining=_whole(headers.get("X-RateLimit-Remaining")),
        reset_epoch_s=_seconds(headers.get("X-RateLimit-Reset")),
        retry_after_s=_retry_after(headers.get("Retry-After"), now_epoch_s if date is None else date),
        date_epoch_s=date,
        client_quota=_client_quota(headers.get("Auth0-RateLimit")),
        sent_at=sent_at,
        received_at=received_at,
    )


def plausible(seconds: float | None, longest_s: float) -> float | None:
    """Return a hint between 0 and `longest_s` seconds unchanged, otherwise None."""
    return seconds if seconds is not None and 0 <= seconds <= longest_s else None


def _seconds(text: str | None) -> float | None:
    return float(text) if text is not None and _NUMBER.fullmatch(text) else None


def _whole(text: str | None) -> int | None:
    seconds = _seconds(text)
    return None if seconds is None else int(seconds)


def _retry_after(text: str | None, now_epoch_s: float) -> float | None:
    seconds = _seconds(text)
    if seconds is not None:
        return seconds
    at = _http_date(text)
    return None if at is None else max(0.0, at - now_epoch_s)


@lru_cache(maxsize=8)  # thousands of responses carry the same second
def _http_date(text: str | None) -> float | None:
    if not text:
        return None
    try:
        moment = parsedate_to_datetime(text)
        # An HTTP date is in UTC; Python would read a zone of -0000 as local time.
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, TypeError, OverflowError, IndexError):
        return None


def _client_quota(text: str | None) -> ClientQuota | None:
    if text is None:
        return None
    values = {name.lower(): int(value) for name, value in _PARAMETER.findall(text[:256])}
    if not values.keys() >= {"q", "t", "r"} or values["q"] < 0 or values["t"] < 0:
        return None
    return ClientQuota(quota=values["q"], interval_s=values["t"], remaining=min(max(0, values["r"]), values["q"]))
