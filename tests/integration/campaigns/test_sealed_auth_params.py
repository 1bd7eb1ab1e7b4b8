"""A campaign's `auth_params` are sealed in its record, and opened where they are needed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from gatepost.errors import CampaignConflict, SealError
from gatepost_core.campaigns.model import Options
from gatepost_core.states import State
from support.campaign_parts import Bench, email, rows
from support.keys import KEYS

if TYPE_CHECKING:
    from collections.abc import Callable

    import redis

    from gatepost_simulator.server import SimulatorServer

STATE = "canary-state-4f1"
ID = "11111111-1111-4111-8111-111111111111"


def test_nothing_of_them_is_readable_and_the_request_has_them(
    make_bench: Callable[..., Bench], simulator: SimulatorServer, redis_client: redis.Redis
) -> None:
    """Also after the options were changed; status says that there are some."""
    bench = make_bench()
    campaign_id = bench.start(rows(1), send="link", auth_params={"state": STATE})
    changed = bench.campaigns.change_rate(campaign_id, 100)
    stored = b"".join(redis_client.dump(key) or b"" for key in redis_client.scan_iter())
    bench.work()

    (message,) = simulator.control.outbox(email(0))
    assert STATE in json.dumps(message)
    assert STATE.encode() not in stored
    assert STATE not in json.dumps(changed.as_json())
    assert changed.as_json()["options"]["auth_params"] == "sealed"
    assert bench.campaigns.auth_params(campaign_id) == {"state": STATE}


def test_other_ones_under_the_same_id_are_told(make_bench: Callable[..., Bench]) -> None:
    """The comparison opens the stored value, and names none."""
    campaigns = make_bench().campaigns
    first = Options(auth_params={"state": STATE})
    campaigns.create("spring", first, campaign_id=ID)
    campaigns.create("spring", first, campaign_id=ID)
    with pytest.raises(CampaignConflict, match="other options: auth_params") as refused:
        campaigns.create("spring", Options(auth_params={"state": "another"}), campaign_id=ID)

    assert STATE not in str(refused.value)


def test_a_batch_is_not_sent_without_them(make_bench: Callable[..., Bench], redis_client: redis.Redis) -> None:
    """A value that does not open blocks the batch, which goes back; a message without its state would be another message."""
    bench = make_bench()
    campaign_id = bench.start(rows(3), auth_params={"state": STATE})
    redis_client.hset(KEYS.campaign(campaign_id), "auth_params", "not a seal")
    message = bench.take()
    assert message is not None
    bench.runner.run(campaign_id, message["batch"])

    assert bench.status(campaign_id).counts[State.QUEUED] == 3


def test_those_of_another_campaign_do_not_open(make_bench: Callable[..., Bench], redis_client: redis.Redis) -> None:
    """Who may write moves none from one campaign to another."""
    campaigns = make_bench().campaigns
    first, second = (campaigns.create(name, Options(auth_params={"state": name})) for name in ("one", "two"))
    moved = redis_client.hget(KEYS.campaign(first), "auth_params")
    assert moved is not None
    redis_client.hset(KEYS.campaign(second), "auth_params", moved)

    with pytest.raises(SealError):
        campaigns.auth_params(second)
