"""A campaign under every fault at once: each recipient ends in one state, and gets at most one message."""

from __future__ import annotations

import itertools
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from redis.exceptions import RedisError

from gatepost.campaigns.control import Campaigns
from gatepost_core.campaigns.model import Options, Status
from gatepost_core.campaigns.row import Row
from gatepost_core.kinds import Channel, Queue
from gatepost_core.states import State
from support.campaign_parts import assert_adds_up
from support.keys import KEYS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.stack import Program, Stack

PEOPLE = 1200
RATE = 250.0
QUEUES = "gatepost.login,gatepost.bulk"


def people() -> Iterator[Row]:
    """One in a hundred loses the answer after the message has left."""
    for number in range(PEOPLE):
        tag = "+drop-after" if number % 100 == 7 else ""
        yield Row(number + 1, Channel.EMAIL, f"person{number}{tag}@example.com")


class Chaos:
    """Kills one of three workers every two seconds, and takes messages from the queue and doubles them all the while."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._stopped = threading.Event()
        self._threads = [threading.Thread(target=self._spoil_the_queue), threading.Thread(target=self._kill_workers)]
        self.kills = 0
        self.deleted = 0
        self.doubled = 0
        self.workers: list[Program] = []

    def begin(self) -> None:
        self.workers = [self._stack.worker(QUEUES) for _ in range(3)]
        for thread in self._threads:
            thread.start()

    def end(self) -> None:
        self._stopped.set()
        for thread in self._threads:
            thread.join()

    def _kill_workers(self) -> None:
        for number in itertools.count():
            if self._stopped.wait(2):
                return
            # On a slow machine a worker takes seconds to be ready; one worker always remains.
            ready = [worker for worker in self.workers if "ready." in worker.output()]
            if len(ready) > 1:
                ready[0].kill()
                self.kills += 1
                self.workers = [
                    *(worker for worker in self.workers if worker is not ready[0]),
                    self._replacement(number),
                ]

    def _replacement(self, number: int) -> Program:
        """Start another worker, without waiting until it is ready."""
        options = ["-n", f"replacement{number}@test", "-Q", QUEUES, "--without-gossip", "--without-mingle"]
        return self._stack.start("replacement", "-m", "celery", "-A", "gatepost_worker", "worker", *options)

    def _spoil_the_queue(self) -> None:
        queue = KEYS.queue(Queue.BULK)
        with self._stack.redis() as client:
            for number in itertools.count():
                if self._stopped.wait(0.05):
                    return
                try:
                    # In line with the workers: however quick they are, some of the messages come here.
                    taken: Any = client.brpop(queue, timeout=1)
                    if taken is None:
                        continue
                    if number % 3 == 0:
                        self.deleted += 1
                    else:
                        self.doubled += bool(client.lpush(queue, taken[1], taken[1]))
                except RedisError:
                    continue


@pytest.mark.slow
def test_everybody_ends_in_one_state_and_nobody_is_sent_to_twice(stack: Stack) -> None:
    """Workers killed, messages lost and doubled, Valkey restarted, answers dropped: the sums come out."""
    stack.beat()
    chaos = Chaos(stack)
    chaos.begin()
    with Campaigns(stack.settings) as campaigns:
        campaign_id = campaigns.create("chaos", Options(rate=RATE, pause_above_error_share=None))
        campaigns.add(campaign_id, people())
        campaigns.start(campaign_id)
        try:
            stack.until(lambda: campaigns.status(campaign_id).done > PEOPLE / 2, "half are done", timeout=120)
            stack.valkey.restart()
            time.sleep(1)
            stack.until(lambda: campaigns.status(campaign_id).share_done > 0.8, "most are done", timeout=120)
        finally:
            chaos.end()
        stack.until(lambda: campaigns.status(campaign_id).status is Status.FINISHED, "it is finished", timeout=120)
        campaign = campaigns.status(campaign_id)
        states = {report.row.recipient: report.state for report in campaigns.export(campaign_id)}

    accepted = {person for person, state in states.items() if state is State.ACCEPTED}
    unknown = {person for person, state in states.items() if state is State.UNKNOWN}
    sent = {entry["recipient"] for entry in stack.simulator.control.counts(minimum=1, limit=10 * PEOPLE)["at_least"]}
    assert min(chaos.kills, chaos.deleted, chaos.doubled) > 0
    assert_adds_up(campaign)
    assert len(states) == campaign.total == PEOPLE
    assert accepted | unknown == set(states)
    assert stack.simulator.control.counts()["repeated"] == 0
    assert accepted <= sent <= accepted | unknown
    assert len(unknown) < PEOPLE / 10
