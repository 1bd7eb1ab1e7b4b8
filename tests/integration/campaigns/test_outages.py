"""Redis goes away in the middle of a batch: nothing more is sent, and nothing that was sent is forgotten."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from gatepost.errors import Unavailable
from gatepost_core.states import State
from gatepost_operations.local.embedded_valkey import EmbeddedValkey
from support.campaign_parts import Bench, rows

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from gatepost_simulator.server import SimulatorServer


def test_a_restart_in_the_middle_of_a_batch_loses_nothing(
    make_bench: Callable[..., Bench], simulator: SimulatorServer, tmp_path: Path
) -> None:
    """The worker repeats the step until Redis answers again, and continues."""
    with EmbeddedValkey(tmp_path, appendfsync="always") as valkey:
        bench = make_bench(redis_url=valkey.url, lease_margin=20)
        campaign_id = bench.started(64)
        seen = {"calls": 0}

        def stop_once(_key: str, _written: object) -> bool:
            """The check before begun rows leave; it also cuts the connection."""
            seen["calls"] += 1
            if seen["calls"] == 3:
                valkey.stop()
                threading.Timer(1.0, valkey.start).start()
            return True

        bench.runner.replicated = stop_once
        for batch in range(2):
            bench.runner.run(campaign_id, batch)
        bench.work()

        assert bench.status(campaign_id).counts[State.ACCEPTED] == 64
        assert simulator.control.counts()["repeated"] == 0
        bench.close()


def test_nothing_is_sent_while_redis_is_away(
    make_bench: Callable[..., Bench], simulator: SimulatorServer, tmp_path: Path
) -> None:
    """No claim, no request."""
    valkey = EmbeddedValkey(tmp_path)
    with valkey:
        bench = make_bench(redis_url=valkey.url)
        campaign_id = bench.started(5)
    with pytest.raises(Unavailable):
        bench.runner.run(campaign_id, 0)

    assert simulator.control.counts()["total"] == 0
    with pytest.raises(Unavailable):
        bench.campaigns.add(campaign_id, rows(1))
