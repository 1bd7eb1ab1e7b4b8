"""Counts the outcomes of a batch for the worker's metrics: all outcomes of a step at once."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from gatepost_core.kinds import CAMPAIGN_KINDS, Channel, Lane
from gatepost_core.states import State
from gatepost_worker.delivery.policy import why_again
from gatepost_worker.metrics.counts import Attempt
from gatepost_worker.metrics.names import SUPPRESSED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gatepost_worker.bulk.sending import Sent
    from gatepost_worker.limiter import LimiterKey, Reading
    from gatepost_worker.metrics.counts import WorkerMetrics

_SUPPRESSED: Final = State.SUPPRESSED.char.encode()


class StepCounts:
    """The outcomes since the last `record`. One batch uses it, in its thread."""

    def __init__(self, metrics: WorkerMetrics, key: LimiterKey) -> None:
        self._metrics = metrics
        self._key = key
        self._accepted: Counter[Channel] = Counter()
        self._others: Counter[Attempt] = Counter()

    def accepted(self, channel: Channel) -> None:
        """Count a success."""
        self._accepted[channel] += 1

    def failed(self, channel: Channel, result: Sent) -> None:
        """Count another outcome."""
        settled, failure = result.settlement, result.failure
        why = settled.reason or ""
        if failure is not None and not settled.state.is_terminal:
            why = why_again(failure)
        self._others[Attempt(CAMPAIGN_KINDS[channel].value, settled.state.value, str(why))] += 1

    def record(self, readings: Sequence[Reading]) -> None:
        """Add the outcomes, and the answers' headers, to the worker's metrics."""
        ended = self._others
        for channel, number in self._accepted.items():
            ended[Attempt(CAMPAIGN_KINDS[channel].value, State.ACCEPTED.value, "")] = number
        self._metrics.attempts(ended)
        self._metrics.answered(self._key, readings)
        self._accepted, self._others = Counter(), Counter()

    def waits(self, seconds: float) -> None:
        """Record that the limiter gave no permit."""
        self._metrics.waited(self._key, Lane.BULK, seconds)

    def screened(self, before: bytes, after: bytes) -> None:
        """Record the rows that a screening has suppressed.

        Args:
            before: the states of all rows before it.
            after: the states afterwards.
        """
        if suppressed := after.count(_SUPPRESSED) - before.count(_SUPPRESSED):
            self._metrics.add(SUPPRESSED, by=suppressed)
