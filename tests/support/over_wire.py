"""A client whose sends go over the wire that carries campaigns, one at a time, so that one suite covers both transports."""

from __future__ import annotations

import queue
from typing import TYPE_CHECKING, Any

from gatepost_worker.authentication.responses import HttpResponse
from gatepost_worker.authentication.wire import Wire
from gatepost_worker.authentication.wire_connection import Outcome, WireCall

if TYPE_CHECKING:
    from gatepost_worker.authentication import Passwordless, StartResponse

_PATIENCE_S = 150


class OverWire:
    """Sends as `Passwordless` does, with its requests and its reading of responses. A route that the wire cannot go is the client's."""

    def __init__(self, client: Passwordless, **options: Any) -> None:
        self._client = client
        self._wire = Wire(**options)

    def send_email(self, email: str, **options: Any) -> StartResponse:
        """Send one message."""
        starts = self._client.starts
        call = starts.email(email, **{"send": "code", "connection": "email", **options})
        route = starts.route()
        if isinstance(route, str):
            return starts.read(starts.exchange(call))
        outcomes: queue.SimpleQueue[Outcome] = queue.SimpleQueue()
        self._wire.send(route, [WireCall(starts.encode(call), call.timeouts, outcomes.put)])
        outcome = outcomes.get(timeout=_PATIENCE_S)
        if not isinstance(outcome, HttpResponse):
            raise outcome
        return starts.read(outcome)

    def close(self) -> None:
        """Close the connections of both."""
        self._wire.close()
        self._client.close()
