"""The rate, the quota and the finish time of a campaign over time. Old samples are thinned out, so the memory is bounded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from datetime import datetime

MOST_SAMPLES: Final = 360


@dataclass(frozen=True, slots=True)
class Sample:
    """One sample.

    Attributes:
        at: its time.
        done: recipients with a final state.
        rate: recipients a second; None while Redis did not answer.
        quota_left: requests left in the tenant's quota; None while unknown.
        finish_at: the forecast finish time; None if there is none.
    """

    at: datetime
    done: int
    rate: float | None
    quota_left: float | None = None
    finish_at: datetime | None = None


class History:
    """The samples of one campaign, at most `MOST_SAMPLES`. When there are more, every second one is dropped."""

    def __init__(self) -> None:
        self._samples: list[Sample] = []
        self._every = 1
        self._skipped = 0

    @property
    def samples(self) -> tuple[Sample, ...]:
        """The samples, the oldest first."""
        return tuple(self._samples)

    def add(self, sample: Sample) -> None:
        """Add a sample, or skip it once the older ones were thinned out."""
        self._skipped += 1
        if self._skipped < self._every:
            return
        self._skipped = 0
        self._samples.append(sample)
        if len(self._samples) > MOST_SAMPLES:
            self._samples = self._samples[::2]
            self._every *= 2
