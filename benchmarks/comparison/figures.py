"""The arithmetic of the report: rates over time, ramp and tail, percentiles, and medians of rounds with their noise."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

RAMPED: Final = 0.8
TAIL: Final = 0.5
_FEWEST_BINS: Final = 4


@dataclass(frozen=True)
class Spread:
    """A figure measured several times.

    Attributes:
        median: of the rounds.
        low: the smallest.
        high: the largest.
    """

    median: float
    low: float
    high: float

    @property
    def noise(self) -> float:
        """The distance of the extremes as a share of the median; 0 for a median of 0."""
        return (self.high - self.low) / self.median if self.median else 0.0


def spread(values: Sequence[float]) -> Spread:
    """Return the median and the extremes of at least one value."""
    return Spread(statistics.median(values), min(values), max(values))


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value that a share of all values does not exceed."""
    return sorted(values)[max(1, math.ceil(share * len(values))) - 1]


def rates(times: Sequence[float], bin_s: float, start: float) -> list[float]:
    """Return events a second in each bin from the start on. The last bin counts for the time until the last event.

    Args:
        times: when each event happened, in seconds.
        bin_s: the length of a bin, in seconds.
        start: the beginning of the first bin.
    """
    counts = [0] * (int((max(times) - start) / bin_s) + 1)
    for at in times:
        counts[max(0, int((at - start) / bin_s))] += 1
    lengths = [bin_s] * len(counts)
    lengths[-1] = max(max(times) - start - bin_s * (len(counts) - 1), bin_s / 10)
    return [count / length for count, length in zip(counts, lengths, strict=True)]


def plateau(bins: Sequence[float]) -> float:
    """Return the median rate of the middle half."""
    quarter = len(bins) // 4
    return statistics.median(bins[quarter : len(bins) - quarter])


def ramp_s(bins: Sequence[float], bin_s: float) -> float | None:
    """Return the seconds until the rate reached 80 % of the plateau; None for a run of fewer than four bins."""
    if len(bins) < _FEWEST_BINS:
        return None
    enough = RAMPED * plateau(bins)
    return bin_s * next(number for number, rate in enumerate(bins) if rate >= enough)


def tail_s(bins: Sequence[float], bin_s: float) -> float | None:
    """Return the seconds at the end in which the rate stayed under half of the plateau; None for a run of fewer than four bins."""
    if len(bins) < _FEWEST_BINS:
        return None
    half = TAIL * plateau(bins)
    return bin_s * next(number for number, rate in enumerate(reversed(bins)) if rate >= half)
