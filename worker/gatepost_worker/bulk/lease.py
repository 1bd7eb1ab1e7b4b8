"""The lease of one batch: numbers its steps, keeps Redis's time, and repeats calls that Redis did not answer while the lease lasts."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final, TypeVar

from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_exponential

from gatepost_core.errors import Unavailable
from gatepost_worker.bulk.store import Claimed

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from datetime import datetime

    from gatepost_worker.bulk.store import BatchStore, Claim, PermitSource, Settlement, Step
    from gatepost_worker.limiter import Reading

T = TypeVar("T")

_FIRST_PAUSE_S: Final = 0.05


class Lease:
    """One batch, held under one token. Not safe to share between threads."""

    def __init__(
        self,
        store: BatchStore,
        claim: Claim,
        *,
        began: datetime,
        seconds: float,
        patience_s: float,
        monotonic: Callable[[], float],
        sleep: Callable[[float], None],
    ) -> None:
        """Take over a batch that was just claimed.

        Args:
            store: the batches' records.
            claim: the batch and the lease's token.
            began: when the lease began, by Redis's clock.
            seconds: how long the lease lasts after each step.
            patience_s: how long a call is repeated while Redis does not answer; a step that settles, for as long as the lease lasts.
            monotonic: a monotonic clock, in seconds.
            sleep: sleeps for a number of seconds.
        """
        self.claim = claim
        self._store = store
        self._began = began
        self._seconds = seconds
        self._patience_s = patience_s
        self._monotonic = monotonic
        self._began_at = monotonic()
        self._sleep = sleep
        self._steps = 0
        self._held_until = self._began_at + seconds

    def now(self) -> datetime:
        """Return Redis's time without asking Redis: the machine's own date may be wrong."""
        return self._began + timedelta(seconds=self._monotonic() - self._began_at)

    def left_s(self) -> float:
        """Return how long the lease lasts, in seconds, if nothing renews it."""
        return self._held_until - self._monotonic()

    @property
    def written(self) -> tuple[str, dict[str, str]]:
        """The hash that the last step was written to, and the fields that identify the step."""
        key = self._store.keys.batch(self.claim.campaign_id, self.claim.batch)
        return key, {"token": self.claim.token, "seq": str(self._steps)}

    def read_again(self) -> Claimed | None:
        """Return the batch and its campaign's options now; None if the lease was lost.

        Raises:
            Unavailable: Redis did not answer.
        """
        claimed = self._store.claim(self.claim, self._seconds)
        return claimed if isinstance(claimed, Claimed) else None

    def screen(
        self,
        rows: Sequence[int],
        fingerprints: Sequence[bytes],
        uninvited: Sequence[bool],
        erased: Collection[int] = frozenset(),
    ) -> bytes | None:
        """Suppress rows: see `BatchStore.screen`."""
        return self._store.screen(self.claim, rows, fingerprints, uninvited, erased)

    def step(
        self,
        source: PermitSource,
        settlements: Sequence[Settlement],
        readings: Sequence[Reading],
        *,
        cursor: int,
        want: int,
    ) -> Step:
        """Settle, take permits and begin rows: see `BatchStore.step`.

        Raises:
            Unavailable: Redis did not answer in time; the rows in flight become `unknown`.
        """
        self._steps += 1
        asked = self._monotonic()
        step = self._patiently(
            lambda: self._store.step(
                self.claim,
                self._steps,
                self._seconds,
                source=source,
                settlements=settlements,
                readings=readings,
                cursor=cursor,
                want=want,
            ),
            max(self._patience_s, self.left_s()) if settlements else self._patience_s,
        )
        # The step may have been carried out at its first try.
        self._held_until = asked + self._seconds
        return step

    def give_back(self, *, wait_s: float = 0.0, rest_s: float = 0.0) -> list[tuple[int, float]] | None:
        """End the lease: see `BatchStore.release`.

        Raises:
            Unavailable: Redis did not answer in time; the reconciler ends the lease.
        """
        return self._patiently(lambda: self._store.release(self.claim, wait_s=wait_s, rest_s=rest_s), self._patience_s)

    def _patiently(self, call: Callable[[], T], seconds: float) -> T:
        try:
            return call()
        except Unavailable:
            self._sleep(_FIRST_PAUSE_S)
        return Retrying(
            retry=retry_if_exception_type(Unavailable),
            wait=wait_exponential(multiplier=2 * _FIRST_PAUSE_S, max=2),
            stop=stop_after_delay(seconds),
            sleep=self._sleep,
            reraise=True,
        )(call)
