"""The request of a recipient passes few modules: a maintainer can read all of them."""

from __future__ import annotations

import sys
import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from gatepost_core.campaigns.model import Options
from gatepost_core.campaigns.row import Row
from gatepost_core.kinds import Channel
from gatepost_worker.authentication import Configuration, HttpResponse, Passwordless
from gatepost_worker.authentication.wire import Wire
from gatepost_worker.bulk.calls import Slots, UnderWay, WireCarrier
from gatepost_worker.bulk.sending import Sender
from gatepost_worker.delivery.policy import RetryLimits
from support.socket_server import SocketServer

if TYPE_CHECKING:
    from types import FrameType

MOST = 7
# `BatchWork`, which hands the rows over, is not part of this test.
WITHOUT_THE_BATCH = MOST - 1


def test_a_request_passes_at_most_seven_modules() -> None:
    """From the batch to the outcome, over a connection that is open. The constructors of dataclasses do not count."""
    seen: set[str] = set()

    def note(frame: FrameType, event: str, _: Any) -> None:
        module = frame.f_globals.get("__name__", "")
        written = not frame.f_code.co_filename.startswith("<")
        if event == "call" and written and module.startswith(("gatepost_core", "gatepost_worker")):
            seen.add(module)

    slots, under_way = Slots(1), UnderWay(lambda: slots.give_back("spring"))
    row = Row(1, Channel.EMAIL, "ana@example.com")
    with SocketServer(lambda end, _: end.respond()) as server:
        configuration = Configuration(base_url=server.url, trust_env=False)
        client = Passwordless(
            domain="tenant.example.com", client_id="client", client_secret="secret", configuration=configuration
        )
        sender = Sender(client.starts, Options(), RetryLimits(), clock=lambda: datetime.now(UTC))
        route, wire = client.starts.route(), Wire(calls=1)
        assert not isinstance(route, str)
        carrier = WireCarrier(wire, route, slots)
        threading.setprofile(note)
        sys.setprofile(note)
        try:
            for ticket in range(2):
                seen.clear()
                slots.take("spring", 1)
                carrier.send([carrier.prepare(sender, row, under_way.add(0, ticket), plain=True)])
                [(_, _, outcome)] = under_way.wait(60)
        finally:
            sys.setprofile(None)
            threading.setprofile(None)
            wire.close()
            client.close()

    assert isinstance(outcome, HttpResponse)
    assert len(seen) <= WITHOUT_THE_BATCH, sorted(seen)
