"""A watched campaign whose Redis stops answering: the view says so within three seconds, and recovers by itself."""

from __future__ import annotations

import os
import signal
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr

from gatepost.campaigns.control import Campaigns
from gatepost_core.campaigns.row import Row
from gatepost_core.kinds import Channel
from gatepost_operations.local.embedded_valkey import EmbeddedValkey
from gatepost_operations.planning.campaign_events import EventKind
from gatepost_operations.planning.observer import LOST_AFTER_S, Observer
from support.chaos_proxy import Proxy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from gatepost_core.settings import Settings

PATIENCE_S = 120.0


@contextmanager
def stopped(valkey: EmbeddedValkey, _: Proxy) -> Iterator[None]:
    """The process is there and answers nothing."""
    os.kill(valkey.pid, signal.SIGSTOP)
    yield
    os.kill(valkey.pid, signal.SIGCONT)


@contextmanager
def killed(valkey: EmbeddedValkey, _: Proxy) -> Iterator[None]:
    """The process is gone, and starts again with its data."""
    valkey.kill()
    yield
    valkey.start()


@contextmanager
def parted(_: EmbeddedValkey, proxy: Proxy) -> Iterator[None]:
    """The network lets nothing through, and connections stay open."""
    proxy.part()
    yield
    proxy.join()


def until(holds: Callable[[], bool]) -> None:
    give_up = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < give_up
        time.sleep(0.05)


@pytest.mark.parametrize("outage", [stopped, killed, parted])
def test_a_silent_redis_is_told_in_time_and_watching_recovers(
    outage: Callable[[EmbeddedValkey, Proxy], AbstractContextManager[None]], settings: Settings, tmp_path: Path
) -> None:
    """The seconds since the last answer count on, no view waits, and the campaign that is read afterwards is the same."""
    with EmbeddedValkey(tmp_path, appendfsync="always") as valkey, Proxy(valkey.port) as proxy:
        url = SecretStr(f"redis://127.0.0.1:{proxy.port}/0")
        through = settings.model_copy(update={"redis_url": url})
        with Campaigns(through) as campaigns:
            campaign_id = campaigns.create("spring")
            campaigns.add(campaign_id, [Row(line=1, kind=Channel.EMAIL, recipient="ana@example.com")])
            with Observer(campaigns, campaigns.status(campaign_id)) as observer:
                until(lambda: observer.view().at > observer.view().snapshot.at)
                with outage(valkey, proxy):
                    until(lambda: observer.view().is_lost)
                    first = observer.view()
                    until(lambda: observer.view().lost_for_s > first.lost_for_s + 0.5)
                until(lambda: not observer.view().is_lost)
                back = observer.view()

    assert LOST_AFTER_S <= first.lost_for_s < 10 * LOST_AFTER_S
    assert [event.kind for event in back.events] == [EventKind.CONNECTION_LOST, EventKind.CONNECTION_BACK]
    assert (back.snapshot.campaign.name, back.snapshot.campaign.total) == ("spring", 1)
    assert not back.snapshot.is_stalled
