"""Decides the next step after an attempt to deliver an event: done, another attempt, or a disabled endpoint. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from gatepost_core.webhooks.deliveries import Attempt
    from gatepost_worker.webhooks.connection import Answer

SCHEDULE: Final = (
    timedelta(0),
    timedelta(seconds=5),
    timedelta(minutes=5),
    timedelta(minutes=30),
    *(timedelta(hours=hours) for hours in (2, 5, 10, 14, 20, 24)),
)
"""The attempts, by the time since the first one. Source: Standard Webhooks 1.0.0, "Deliverability and reliability"."""
DISABLED_AFTER: Final = timedelta(hours=24)
"""An endpoint that only fails for so long is disabled."""
_JITTER: Final = 0.1
_SLOW: Final = {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.BAD_GATEWAY, HTTPStatus.GATEWAY_TIMEOUT}
_SLOW_MS: Final = 60_000
_TOLERATED: Final = 3  # failures in a row before the endpoint gets a pause
_FIRST_PAUSE_MS: Final = 10_000
_LONGEST_PAUSE_MS: Final = 600_000
_LONGEST_HINT_MS: Final = 86_400_000


@dataclass(frozen=True, slots=True)
class Delivered:
    """The endpoint answered with 2xx."""


@dataclass(frozen=True, slots=True)
class Failed:
    """The attempt failed.

    Attributes:
        wait_ms: milliseconds until the next attempt; None after the last one.
        pause_ms: milliseconds in which the endpoint gets no event at all.
        disable: why the endpoint is disabled, if it is.
    """

    wait_ms: int | None
    pause_ms: int
    disable: str | None = None


def decide(attempt: Attempt, answer: Answer, *, chance: float) -> Delivered | Failed:
    """Return the next step after an attempt.

    Args:
        attempt: the attempt.
        answer: how it ended.
        chance: a random number from 0 to 1, for the jitter.
    """
    if answer.status is not None and HTTPStatus(200) <= answer.status < HTTPStatus(300):
        return Delivered()
    pause = _pause_ms(attempt, answer, chance)
    disable = "gone" if answer.status == HTTPStatus.GONE else None
    if disable is None and attempt.failing_since_ms is not None:
        failing = timedelta(milliseconds=attempt.now_ms - attempt.failing_since_ms)
        disable = "failing" if failing >= DISABLED_AFTER else None
    wait = _wait_ms(attempt, chance)
    if disable and wait is None:
        # It stays for the time when the endpoint is enabled again.
        wait = 0
    return Failed(wait, pause, disable)


def _wait_ms(attempt: Attempt, chance: float) -> int | None:
    if attempt.number >= len(SCHEDULE):
        return None
    at = SCHEDULE[attempt.number] / timedelta(milliseconds=1) * (1 + _JITTER * chance)
    gap = (SCHEDULE[attempt.number] - SCHEDULE[attempt.number - 1]) / timedelta(milliseconds=1)
    # An attempt that came late keeps a part of the distance to the next one.
    return int(max(attempt.first_ms + at - attempt.now_ms, gap / 2))


def _pause_ms(attempt: Attempt, answer: Answer, chance: float) -> int:
    hint = min(int((answer.retry_after_s or 0) * 1000), _LONGEST_HINT_MS)
    in_a_row = attempt.failures + 1 - _TOLERATED
    pause = 0
    if in_a_row >= 0:
        pause = min(_FIRST_PAUSE_MS * 2 ** min(in_a_row, 10), _LONGEST_PAUSE_MS)
    if answer.status in _SLOW:
        pause = max(pause, _SLOW_MS)
    return max(hint, int(pause * (1 + _JITTER * chance)))
