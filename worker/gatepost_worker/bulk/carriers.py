"""The two ways in which a batch's requests leave: over the process's wire, or each on a thread of its own."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Protocol, cast

from gatepost_worker.authentication.boundary import bare
from gatepost_worker.authentication.errors import ConnectFailed
from gatepost_worker.authentication.wire import Wire
from gatepost_worker.authentication.wire_connection import WireCall
from gatepost_worker.bulk.slots import Slots

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gatepost_worker.authentication.caller import Call
    from gatepost_worker.authentication.responses import HttpResponse
    from gatepost_worker.authentication.routes import Route
    from gatepost_worker.authentication.starts import Starts
    from gatepost_worker.authentication.wire_connection import Outcome

    Done = Callable[[Outcome], None]


class Carrier(Protocol):
    """Makes calls at once, as many as there are slots for."""

    slots: Slots

    def prepare(self, starts: Starts, call: Call, done: Done) -> object:
        """Return a call, ready to be sent. `done` takes its outcome, on any thread.

        Raises:
            AuthenticationError: its request cannot be made.
        """

    def send(self, prepared: Sequence[object]) -> None:
        """Begin calls. It raises nothing: a call that cannot begin ends as unsent."""


class WireCarrier:
    """Makes the calls of one tenant over the wire."""

    def __init__(self, wire: Wire, route: Route, slots: Slots) -> None:
        self.slots = slots
        self._wire = wire
        self._route = route

    def prepare(self, starts: Starts, call: Call, done: Done) -> WireCall:
        """Return a call with its request in bytes."""
        return WireCall(starts.encode(call), call.timeouts, done)

    def send(self, prepared: Sequence[object]) -> None:
        """Begin calls on the wire's loop."""
        self._wire.send(self._route, cast("Sequence[WireCall]", prepared))


class ThreadCall:
    """A call that is either made or withdrawn: a withdrawn call is never made, even if a thread takes it later."""

    def __init__(self, exchange: Callable[[], HttpResponse], done: Done) -> None:
        self._exchange = exchange
        self._done = done
        self._taken = threading.Lock()

    def make(self) -> None:
        """Make the call, unless it was withdrawn."""
        if not self._taken.acquire(blocking=False):
            return
        outcome: Outcome
        try:
            outcome = self._exchange()
        except BaseException as error:  # noqa: BLE001 - the batch must hear of every outcome
            outcome = bare(error)
        self._done(outcome)

    def withdraw(self) -> None:
        """End the call as unsent, unless it is being made."""
        if self._taken.acquire(blocking=False):
            self._done(ConnectFailed(origin="RuntimeError"))


class ThreadCarrier:
    """Makes calls over the client's own connections, each on a thread: for tenants whose route the wire cannot go."""

    def __init__(self, slots: Slots) -> None:
        self.slots = slots
        self._pool = ThreadPoolExecutor(slots.calls, thread_name_prefix="gatepost-call")

    def prepare(self, starts: Starts, call: Call, done: Done) -> ThreadCall:
        """Return a call that a thread can make."""
        return ThreadCall(partial(starts.exchange, call), done)

    def send(self, prepared: Sequence[object]) -> None:
        """Begin calls on threads."""
        for call in cast("Sequence[ThreadCall]", prepared):
            try:
                self._pool.submit(call.make)
            except RuntimeError:  # no thread can be started; the pool has queued the call nevertheless
                call.withdraw()

    def close(self) -> None:
        """Wait for the calls under way."""
        self._pool.shutdown()


class Carriers:
    """The carriers of one process, one for each tenant. They share the process's wire and its slots."""

    def __init__(self, *, calls: int, threads: int) -> None:
        """Prepare; nothing starts before the first call.

        Args:
            calls: calls under way on the wire, at most.
            threads: calls under way on threads, at most, for tenants that need them.
        """
        self._slots = Slots(calls)
        self._wire = Wire(calls=calls)
        self._thread_count = threads
        self._threads: ThreadCarrier | None = None
        self._of_tenants: dict[str, Carrier] = {}
        self._lock = threading.Lock()

    def of(self, tenant: str, starts: Starts) -> Carrier:
        """Return the carrier of a tenant's calls."""
        with self._lock:
            if tenant not in self._of_tenants:
                route = starts.route()
                if isinstance(route, str):
                    self._threads = self._threads or ThreadCarrier(Slots(self._thread_count))
                    self._of_tenants[tenant] = self._threads
                else:
                    self._of_tenants[tenant] = WireCarrier(self._wire, route, self._slots)
            return self._of_tenants[tenant]

    def forget(self, campaign_id: str) -> None:
        """Forget a campaign that has ended."""
        self._slots.forget(campaign_id)
        if self._threads is not None:
            self._threads.slots.forget(campaign_id)

    def close(self) -> None:
        """Close the connections and end the threads."""
        self._wire.close()
        if self._threads is not None:
            self._threads.close()
