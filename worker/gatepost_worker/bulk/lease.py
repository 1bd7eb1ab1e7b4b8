"""A batch that this slot holds: numbers its steps, and repeats a call that Redis did not answer for as long as the lease lasts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_exponential

from gatepost_core.campaigns.store import batch_key
from gatepost_core.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from gatepost_worker.bulk.store import BatchStore, Claim, Quota, Settlement, Step
    from gatepost_worker.limiter import Reading

T = TypeVar("T")

_FIRST_PAUSE_S: Final = 0.05


class Lease:
    """One batch under one token. Not for two threads at once."""

    def __init__(
        self,
        store: BatchStore,
        claim: Claim,
        *,
        seconds: float,
        patience_s: float,
        sleep: Callable[[float], None],
    ) -> None:
        """Name the lease.

        Args:
            store: where batches are.
            claim: which batch, and whose.
            seconds: how long it lasts after each step.
            patience_s: how long a call is repeated while Redis does not answer.
            sleep: waits so many seconds.
        """
        self._store = store
        self._claim = claim
        self._seconds = seconds
        self._patience_s = patience_s
        self._sleep = sleep
        self._steps = 0

    @property
    def written(self) -> tuple[str, dict[str, str]]:
        """The hash that the last step is written into, and the fields that say so."""
        key = batch_key(self._claim.campaign_id, self._claim.batch)
        return key, {"token": self._claim.token, "seq": str(self._steps)}

    def screen(
        self,
        rows: Sequence[int],
        fingerprints: Sequence[bytes],
        uninvited: Sequence[bool],
        erased: Collection[int] = frozenset(),
    ) -> bytes | None:
        """Suppress who is on the suppression list or not on the guest list; return the states, None without the lease."""
        return self._store.screen(self._claim, rows, fingerprints, uninvited, erased)

    def step(
        self,
        quota: Quota,
        settlements: Sequence[Settlement],
        readings: Sequence[Reading],
        *,
        cursor: int,
        want: int,
    ) -> Step:
        """Settle, take permits and begin: see `BatchStore.step`.

        Raises:
            Unavailable: Redis did not answer in time; what was sent will be called `unknown`.
        """
        self._steps += 1
        return self._patiently(
            lambda: self._store.step(
                self._claim,
                self._steps,
                self._seconds,
                quota=quota,
                settlements=settlements,
                readings=readings,
                cursor=cursor,
                want=want,
            )
        )

    def give_back(self, *, wait_s: float = 0.0, rest_s: float = 0.0) -> list[tuple[int, float]] | None:
        """End the lease, and take the batches that are to be published now; None when it was lost.

        Raises:
            Unavailable: Redis did not answer in time; the reconciler ends the lease.
        """
        return self._patiently(lambda: self._store.release(self._claim, wait_s=wait_s, rest_s=rest_s))

    def _patiently(self, call: Callable[[], T]) -> T:
        try:
            return call()
        except Unavailable:
            self._sleep(_FIRST_PAUSE_S)
        return Retrying(
            retry=retry_if_exception_type(Unavailable),
            wait=wait_exponential(multiplier=2 * _FIRST_PAUSE_S, max=2),
            stop=stop_after_delay(self._patience_s),
            sleep=self._sleep,
            reraise=True,
        )(call)
