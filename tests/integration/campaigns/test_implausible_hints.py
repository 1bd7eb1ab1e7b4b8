"""Headers that cannot be right cost a campaign a moment, and no recipient."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from gatepost_core.campaigns.model import Status
from gatepost_core.states import State
from support.socket_server import SocketServer

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.campaign_parts import Bench
    from support.socket_server import Heard, Wire

PEOPLE = 12
ACCEPTED = {"_id": "65f0c0ffee", "email": "person@example.com", "email_verified": False}
REFUSED = {"error": "too_many_requests", "error_description": "Too many requests"}
NOW_MS = str(int(time.time() * 1000))
ABSURD = {
    "milliseconds": {"X_RateLimit_Reset": NOW_MS, "Retry_After": NOW_MS},
    "a year": {"Retry_After": "31536000"},
    "the last date there is": {"Retry_After": "Fri, 31 Dec 9999 23:59:59 GMT"},
    "the first date there is": {"Date": "Mon, 01 Jan 0001 00:00:00 -0000", "Retry_After": "999999999999999"},
    "a policy of nonsense": {"Auth0_RateLimit": f"client;q={'9' * 200};t={'9' * 200};r=0"},
    "less than nothing": {"X_RateLimit_Reset": "-1", "Retry_After": "-1", "Auth0_RateLimit": "client;q=-1;t=-1;r=-1"},
}


@pytest.mark.parametrize("headers", ABSURD.values(), ids=ABSURD)
def test_an_absurd_hint_delays_a_row_and_ends_none(make_bench: Callable[..., Bench], headers: dict[str, str]) -> None:
    """The third request is refused with it, and all others carry it: all are accepted a few seconds later, and none is unknown."""
    asked: list[Heard] = []

    def behave(wire: Wire, heard: Heard) -> None:
        asked.append(heard)
        quota = {"X_RateLimit_Limit": "100", "X_RateLimit_Remaining": "80", **headers}
        refused = len(asked) == 3
        wire.respond(429 if refused else 200, REFUSED if refused else ACCEPTED, **quota)

    with SocketServer(behave) as server:
        bench = make_bench(auth0_base_url=server.url)
        campaign_id = bench.started(PEOPLE)
        bench.work()
        campaign = bench.status(campaign_id)

    assert (campaign.status, campaign.counts[State.ACCEPTED]) == (Status.FINISHED, PEOPLE)
    assert len(asked) == PEOPLE + 1


def test_a_blocked_campaign_looks_again_within_a_minute(make_bench: Callable[..., Bench]) -> None:
    """A hint of ten minutes is obeyed, but the batch comes back earlier: an operator may have lifted the block."""

    def behave(wire: Wire, _heard: Heard) -> None:
        wire.respond(429, REFUSED, X_RateLimit_Limit="100", X_RateLimit_Remaining="0", Retry_After="600")

    with SocketServer(behave) as server:
        bench = make_bench(auth0_base_url=server.url)
        campaign_id = bench.started(PEOPLE)
        message = bench.take()
        assert message is not None
        bench.runner.run(campaign_id, message["batch"])
        campaign = bench.status(campaign_id)

    assert campaign.counts[State.DEFERRED] >= 1
    assert campaign.rests_until is not None
    assert 30 < (campaign.rests_until - campaign.updated_at).total_seconds() <= 61
