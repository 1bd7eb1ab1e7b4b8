"""Parts that tests of campaigns share: rows, stores with a test's clock, and checks of sums."""

from __future__ import annotations

import base64
import json
import time
from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from gatepost.campaigns.control import Campaigns
from gatepost_core.broker.publishing import build_app
from gatepost_core.campaigns.model import Options
from gatepost_core.campaigns.publishing import BatchPublisher
from gatepost_core.campaigns.row import Row
from gatepost_core.kinds import Channel, Queue
from gatepost_core.redis.connections import connect
from gatepost_core.states import State
from gatepost_worker.bulk.calls import Carriers
from gatepost_worker.bulk.store import BatchStore
from gatepost_worker.bulk.sweep import CampaignSweep
from gatepost_worker.bulk.task import BatchRunner
from gatepost_worker.delivery.clients import Clients
from gatepost_worker.delivery.ownership import Ownership
from support.keys import KEYS

if TYPE_CHECKING:
    from collections.abc import Iterator

    import redis

    from gatepost_core.campaigns.model import Campaign
    from gatepost_core.settings import Settings

CLOCK_KEY = "test:clock"
TEST_CLOCK = f"local now_us = tonumber(redis.call('GET', '{CLOCK_KEY}'))\n"
"""In front of a script in place of the server's clock: the time is what a test has set."""
EPOCH_MS = 1_800_000_000_000


def email(number: int) -> str:
    return f"person{number}@example.com"


def rows(count: int, first: int = 0) -> Iterator[Row]:
    return (Row(number + 1, Channel.EMAIL, email(number)) for number in range(first, first + count))


def assert_adds_up(campaign: Campaign) -> None:
    """The states sum to the total, none is negative, and the reasons never exceed their states."""
    assert sum(campaign.counts.values()) == campaign.total
    assert min(campaign.counts.values()) >= 0
    for state in State:
        explained = sum(number for (named, _), number in campaign.reasons.items() if named is state)
        assert 0 <= explained <= campaign.counts[state]


class TestClock:
    """The time of scripts that begin with `TEST_CLOCK`."""

    __test__ = False

    def __init__(self, client: redis.Redis) -> None:
        self._redis = client
        self._ms = EPOCH_MS
        self.advance(0)

    @property
    def ms(self) -> int:
        return self._ms

    def advance(self, seconds: float) -> None:
        self._ms += int(seconds * 1000)
        self._redis.set(CLOCK_KEY, self._ms * 1000)


class Bench:
    """A worker's parts without Celery's loop: a test takes messages from the queue and works on them, in this thread."""

    def __init__(self, settings: Settings, **options: Any) -> None:
        self.settings = settings
        self.redis = connect(settings)
        self.campaigns = Campaigns(settings)
        self._app = build_app(settings)
        self._clients = Clients(settings)
        self._carriers = Carriers(calls=settings.calls, threads=settings.concurrency)
        publisher = BatchPublisher(self._app, self.campaigns.store)
        self.store = BatchStore(self.redis, KEYS, republish_after_s=settings.republish_after)
        self.runner = BatchRunner(
            settings=settings,
            store=self.store,
            publisher=publisher,
            keyring=settings.keyring(),
            fingerprints=settings.fingerprints(),
            clients=self._clients,
            ownership=Ownership(self.redis, settings),
            carriers=self._carriers,
            **options,
        )
        self.sweep = CampaignSweep(self.redis, KEYS, self.campaigns.store, publisher)

    def started(self, count: int, **options: Any) -> str:
        """A running campaign of the given number of people."""
        return self.start(rows(count), **options)

    def start(self, given: Any, *, guest_list: Any = None, **options: Any) -> str:
        """A running campaign of these people."""
        campaign_id = self.campaigns.create("spring", Options(**options), guest_list=guest_list)
        self.campaigns.add(campaign_id, given)
        self.campaigns.start(campaign_id)
        return campaign_id

    def messages(self) -> list[dict[str, Any]]:
        """The messages on the queue, the oldest first, with their arguments and due times."""
        raw: list[Any] = self.redis.lrange(KEYS.queue(Queue.BULK), 0, -1)
        return [_opened(one) for one in reversed(raw)]

    def take(self) -> dict[str, Any] | None:
        """Take the oldest message."""
        raw: Any = self.redis.rpop(KEYS.queue(Queue.BULK))
        return None if raw is None else _opened(raw)

    def work(self) -> Counter[State]:
        """Work until the queue is empty, and return how rows ended."""
        ended: Counter[State] = Counter()
        while (message := self.take()) is not None:
            if message["eta"] is not None:
                time.sleep(max(0.0, (message["eta"] - datetime.now(UTC)).total_seconds()))
            ended += self.runner.run(message["campaign_id"], message["batch"]) or Counter()
        return ended

    def work_now(self) -> Counter[State]:
        """The same without the messages' delays."""
        ended: Counter[State] = Counter()
        while (message := self.take()) is not None:
            ended += self.runner.run(message["campaign_id"], message["batch"]) or Counter()
        return ended

    def status(self, campaign_id: str) -> Campaign:
        """The campaign's status, after a check of its sums."""
        campaign = self.campaigns.status(campaign_id)
        assert_adds_up(campaign)
        return campaign

    def close(self) -> None:
        self._carriers.close()
        self._clients.close()
        self.campaigns.close()
        self._app.close()
        self.redis.close()


def _opened(raw: bytes) -> dict[str, Any]:
    message = json.loads(raw)
    _, kwargs, _ = json.loads(base64.b64decode(message["body"]))
    eta = message["headers"].get("eta")
    return {**kwargs, "eta": None if eta is None else datetime.fromisoformat(eta), "raw": raw}
