"""The calls of batches: how many may be under way, the way on which each leaves, and the outcomes that have come in."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final, Protocol, cast

from gatepost_worker.authentication.boundary import bare
from gatepost_worker.authentication.errors import ConnectFailed
from gatepost_worker.authentication.wire import Wire
from gatepost_worker.authentication.wire_connection import WireCall

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gatepost_core.campaigns.row import Row
    from gatepost_worker.authentication.responses import HttpResponse
    from gatepost_worker.authentication.routes import Route
    from gatepost_worker.authentication.starts import Starts
    from gatepost_worker.authentication.wire_connection import Outcome
    from gatepost_worker.bulk.sending import Sender

    Done = Callable[[Outcome], None]

FIRST_CALLS: Final = 8
"""Calls of a campaign at once, until some have succeeded: a fault that all recipients meet costs no more than these."""
FAILURE_COSTS: Final = 4
"""A failure takes back as many calls as so many successes have gained; below a fifth of failures the number grows."""
ENOUGH: Final = 64
"""Outcomes that are worth a step."""
GATHER_S: Final = 0.02
"""How long outcomes are gathered, from the first one on."""
_ENDED: Final = object()


@dataclass(slots=True)
class _Campaign:
    limit: int = FIRST_CALLS
    under_way: int = 0


class Slots:
    """The slots of one process. Safe to share between threads.

    A campaign begins with few calls at once. Each success adds one, so the number doubles in the time of one answer; each failure takes some away.
    """

    def __init__(self, calls: int) -> None:
        """Begin with all slots free.

        Args:
            calls: calls under way at once, at most.
        """
        self.calls = calls
        self._free = calls
        self._lock = threading.Lock()
        self._campaigns: dict[str, _Campaign] = {}

    def take(self, campaign_id: str, want: int) -> int:
        """Take up to `want` slots for a campaign, and return how many it got."""
        with self._lock:
            campaign = self._campaigns.setdefault(campaign_id, _Campaign())
            taken = max(0, min(want, self._free, campaign.limit - campaign.under_way))
            self._free -= taken
            campaign.under_way += taken
            return taken

    def give_back(self, campaign_id: str, number: int = 1) -> None:
        """Free slots whose calls have ended or were never made."""
        with self._lock:
            self._free += number
            self._campaigns[campaign_id].under_way -= number

    def learn(self, campaign_id: str, *, succeeded: int, failed: int) -> None:
        """Change a campaign's number of calls by the outcomes of some."""
        with self._lock:
            campaign = self._campaigns.setdefault(campaign_id, _Campaign())
            limit = campaign.limit + succeeded - FAILURE_COSTS * failed
            campaign.limit = max(FIRST_CALLS, min(limit, max(FIRST_CALLS, self.calls)))

    def forget(self, campaign_id: str) -> None:
        """Forget a campaign that has ended, once it has no call under way."""
        with self._lock:
            campaign = self._campaigns.get(campaign_id)
            if campaign is not None and campaign.under_way == 0:
                del self._campaigns[campaign_id]


class UnderWay:
    """Gathers the outcomes of calls. The batch's thread uses it; outcomes come in on any thread."""

    def __init__(self, ended: Callable[[], None]) -> None:
        """Begin without calls.

        Args:
            ended: called once for each call: on the thread that brings the outcome, or when the call is given up.
        """
        self._ended = ended
        self._tickets: dict[int, int] = {}
        # The calls that still have a slot. Removing one is atomic, so that two threads cannot free its slot twice.
        self._open: dict[tuple[int, int], None] = {}
        self._outcomes: list[tuple[int, int, Any]] = []
        self._first = threading.Event()
        self._enough = threading.Event()
        self._goal = ENOUGH

    def __len__(self) -> int:
        """Return how many calls have no outcome that was taken."""
        return len(self._tickets)

    def add(self, row: int, ticket: int) -> Callable[[Outcome], None]:
        """Note a call that is about to begin, and return the function that takes its outcome."""
        self._tickets[row] = ticket
        self._open[(row, ticket)] = None
        self._goal = min(ENOUGH, len(self._tickets))
        return partial(self._put, row, ticket)

    def wait(self, seconds: float) -> list[tuple[int, int, Any]]:
        """Return the outcomes of rows in the order of their tickets, once there are enough.

        Args:
            seconds: how long to wait for the first one.
        """
        self._goal = min(ENOUGH, max(1, len(self._tickets)))
        if self._first.wait(seconds) and len(self._outcomes) < self._goal:
            self._enough.wait(GATHER_S)
        self._first.clear()
        self._enough.clear()
        # Other threads append meanwhile, so only the copied outcomes are removed.
        taken = self._outcomes[:]
        del self._outcomes[: len(taken)]
        if self._outcomes:
            self._first.set()
        heard = [one for one in taken if self._tickets.get(one[0]) == one[1]]
        for row, _, _ in heard:
            del self._tickets[row]
        # As they were sent: failures in a row pause a campaign, and answers overtake each other.
        return sorted(heard, key=itemgetter(1))

    def give_up(self) -> list[tuple[int, int, Any]]:
        """Return the calls without an outcome, each with an error in its place.

        Their slots are free: their deadlines have passed, so they carry out nothing more. Their outcomes are not heard any more.
        """
        lost = [(row, ticket, TimeoutError("no outcome")) for row, ticket in self._tickets.items()]
        self._tickets.clear()
        for row, ticket, _ in lost:
            self._end(row, ticket)
        return lost

    def _end(self, row: int, ticket: int) -> None:
        if self._open.pop((row, ticket), _ENDED) is not _ENDED:
            self._ended()

    def _put(self, row: int, ticket: int, outcome: Outcome) -> None:
        self._end(row, ticket)
        self._outcomes.append((row, ticket, outcome))
        if len(self._outcomes) >= self._goal:
            self._enough.set()
        self._first.set()


class Carrier(Protocol):
    """Makes calls at once, as many as there are slots for."""

    slots: Slots

    def prepare(self, sender: Sender, row: Row, done: Done, *, plain: bool) -> object:
        """Return a row's call, ready to be sent. `done` takes its outcome, on any thread. A plain row has no fields beside its recipient.

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

    def prepare(self, sender: Sender, row: Row, done: Done, *, plain: bool) -> WireCall:
        """Return a call with its request in bytes."""
        return WireCall(*sender.request_of(row, plain=plain), done)

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

    def prepare(self, sender: Sender, row: Row, done: Done, *, plain: bool) -> ThreadCall:  # noqa: ARG002 - as for the wire
        """Return a call that a thread can make."""
        return ThreadCall(partial(sender.starts.exchange, sender.call_of(row)), done)

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
        self._of_tenants: dict[str, tuple[Starts, Carrier]] = {}
        self._lock = threading.Lock()

    def of(self, tenant: str, starts: Starts) -> Carrier:
        """Return the carrier of a tenant's calls."""
        with self._lock:
            known = self._of_tenants.get(tenant)
            if known is not None and known[0] is starts:
                return known[1]
            carrier = self._new(starts)
            self._of_tenants[tenant] = starts, carrier
            return carrier

    def _new(self, starts: Starts) -> Carrier:
        route = starts.route()
        if not isinstance(route, str):
            return WireCarrier(self._wire, route, self._slots)
        self._threads = self._threads or ThreadCarrier(Slots(self._thread_count))
        return self._threads

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
