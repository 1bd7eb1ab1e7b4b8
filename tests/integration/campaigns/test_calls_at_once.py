"""A batch makes many calls at once: as many as have slots, within the lease, over either transport."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from gatepost_core.campaigns.row import Row
from gatepost_core.errors import Unavailable
from gatepost_core.kinds import Channel
from gatepost_core.states import State
from gatepost_worker.bulk.work import RUN_FOR_S
from support.campaign_parts import Bench, email, rows

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from gatepost_simulator.server import SimulatorServer


def test_calls_are_under_way_together(bench: Bench) -> None:
    """Each answer takes 0.3 s: one after another, 60 of them would take 18 s."""
    campaign_id = bench.start([Row(n + 1, Channel.EMAIL, f"person{n}+slow@example.com") for n in range(60)])
    started = time.monotonic()
    bench.work()

    assert bench.status(campaign_id).counts[State.ACCEPTED] == 60
    assert time.monotonic() - started < 0.3 * 60 / 2


def test_no_more_rows_begin_than_there_are_slots(make_bench: Callable[..., Bench], simulator: SimulatorServer) -> None:
    """A kill would leave three rows unknown, and no more."""
    bench = make_bench(calls=3)
    begun: list[int] = []

    def note(_key: str, _written: object) -> bool:
        begun.append(bench.campaigns.status(campaign_id).counts[State.IN_FLIGHT])
        return True

    bench.runner.replicated = note
    campaign_id = bench.started(30)
    bench.work()

    assert max(begun) == 3
    assert simulator.control.counts()["total"] == 30


def test_rows_whose_calls_could_outlast_the_lease_are_not_sent(bench: Bench, simulator: SimulatorServer) -> None:
    """The step's answer was late: the rows are queued as before, and begin again within a lease that is long enough."""
    bench.start(rows(3, 10_000))
    bench.work()
    before = simulator.control.counts()["total"]
    late, sent = [0.0], []
    bench.runner.monotonic = lambda: time.monotonic() + late[0]

    def be_late(_key: str, _written: object) -> bool:
        sent.append(simulator.control.counts()["total"])
        if len(sent) == 1:
            late[0] = bench.settings.lease_margin + 1
        return True

    bench.runner.replicated = be_late
    campaign_id = bench.started(5)
    bench.work()

    assert sent[:2] == [before, before]
    assert bench.status(campaign_id).counts[State.ACCEPTED] == 5
    assert simulator.control.counts()["repeated"] == 0


def test_an_outage_while_replicas_are_counted_costs_no_row_and_no_slot(
    make_bench: Callable[..., Bench], simulator: SimulatorServer
) -> None:
    """The rows that had begun are queued again, unsent, and begin later in the same slots."""
    bench = make_bench(calls=3)

    def fail(_key: str, _written: object) -> bool:
        raise Unavailable("Redis did not answer.")

    bench.runner.replicated = fail
    campaign_id = bench.started(3)
    assert bench.take() is not None
    bench.runner.run(campaign_id, 0)
    sent, queued = simulator.control.counts()["total"], bench.status(campaign_id).counts[State.QUEUED]
    bench.runner.replicated = lambda _key, _written: True
    bench.work_now()

    assert (sent, queued) == (0, 3)
    assert bench.status(campaign_id).counts[State.ACCEPTED] == 3


def test_a_tenant_that_the_wire_cannot_serve_is_sent_on_threads(
    make_bench: Callable[..., Bench], simulator: SimulatorServer, tmp_path: Path
) -> None:
    """With the same settlements: an accepted row, a refused one, and a lost answer."""
    bench = make_bench(auth0_proxy=simulator.url, concurrency=4)
    route = bench.runner.clients.of("default").starts.route()
    campaign_id = bench.start(
        [
            *rows(20),
            Row(21, Channel.EMAIL, "p+bad-email@example.com"),
            Row(22, Channel.EMAIL, "p+drop-after@example.com"),
        ]
    )
    bench.work()
    counts = bench.status(campaign_id).counts

    assert isinstance(route, str)
    assert (counts[State.ACCEPTED], counts[State.REJECTED], counts[State.UNKNOWN]) == (20, 1, 1)
    assert simulator.control.count(email(3)) == 1


@pytest.mark.parametrize(("threads", "runs"), [(2, 1), (1, 2)], ids=["a thread is free", "all threads are busy"])
def test_a_batch_goes_back_to_the_queue_only_if_all_threads_are_busy(
    make_bench: Callable[..., Bench], threads: int, runs: int
) -> None:
    """While its last answers come in, nothing else would use the quota. Ten seconds are a jump of the clock."""
    bench, _ = _jumping_bench(make_bench, threads)
    campaign_id = bench.started(30)
    done = []
    while (message := bench.take()) is not None:
        bench.runner.run(campaign_id, message["batch"])
        done.append(bench.status(campaign_id).done)

    assert len(done) == runs
    assert done[-1] == 30


def test_a_batch_that_stays_reads_the_suppression_list_again(
    make_bench: Callable[..., Bench], simulator: SimulatorServer
) -> None:
    """As the next task on it would."""
    bench, jump = _jumping_bench(make_bench, threads=2)
    campaign_id = bench.started(30)
    jump.meanwhile = lambda: bench.campaigns.suppressions.add(email(29))
    bench.work()

    assert bench.status(campaign_id).counts[State.SUPPRESSED] == 1
    assert simulator.control.count(email(29)) == 0


def test_a_batch_whose_options_were_changed_does_not_stay(make_bench: Callable[..., Bench]) -> None:
    """The next task reads them."""
    bench, jump = _jumping_bench(make_bench, threads=2)
    campaign_id = bench.started(30)
    jump.meanwhile = lambda: bench.campaigns.change_rate(campaign_id, 1000)
    message = bench.take()
    assert message is not None
    bench.runner.run(campaign_id, message["batch"])

    assert 0 < bench.status(campaign_id).done < 30
    assert len(bench.messages()) == 1


class _Jump:
    """Lets time pass once the batch has begun rows."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.meanwhile: Callable[[], object] = lambda: None
        self._looks = 0

    def look(self) -> bool:
        self._looks += 1
        if self._looks == 3:
            self.meanwhile()
            self.seconds = RUN_FOR_S + 1
        return False


def _jumping_bench(make_bench: Callable[..., Bench], threads: int) -> tuple[Bench, _Jump]:
    jump = _Jump()
    bench = make_bench(calls=3)
    bench.runner.threads = threads
    bench.runner.stopping = jump.look
    bench.runner.monotonic = lambda: time.monotonic() + jump.seconds
    return bench, jump
