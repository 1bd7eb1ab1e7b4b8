"""Calls on threads, for tenants that the wire cannot serve."""

from __future__ import annotations

import queue
from typing import TYPE_CHECKING, Any

from gatepost_worker.authentication import ConnectFailed
from gatepost_worker.bulk.calls import Slots, ThreadCarrier
from support.scarce_threads import no_more_threads

if TYPE_CHECKING:
    from gatepost_worker.authentication.wire_connection import Outcome


class Exchanges:
    """Takes the place of a batch's sender and its starts, and notes which calls are made."""

    def __init__(self) -> None:
        self.made: list[Any] = []

    @property
    def starts(self) -> Exchanges:
        return self

    def call_of(self, row: Any) -> Any:
        return row

    def exchange(self, call: Any) -> Any:
        self.made.append(call)
        return call


def test_a_call_without_a_thread_ends_as_unsent_and_is_never_made() -> None:
    """Its row is tried again, so the call must not leave once there are threads again."""
    exchanges: Any = Exchanges()
    carrier = ThreadCarrier(Slots(2))
    outcomes: queue.SimpleQueue[Outcome] = queue.SimpleQueue()
    row: Any = "unsent"
    with no_more_threads():
        carrier.send([carrier.prepare(exchanges, row, outcomes.put, plain=True)])
    unsent = outcomes.get(timeout=60)
    row = "sent"
    carrier.send([carrier.prepare(exchanges, row, outcomes.put, plain=True)])
    sent = outcomes.get(timeout=60)
    carrier.close()

    assert isinstance(unsent, ConnectFailed)
    assert (exchanges.made, sent, outcomes.empty()) == (["sent"], "sent", True)
