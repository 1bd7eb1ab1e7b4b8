"""A client of the simulator's control API: who got what, what was counted, and the time."""

from __future__ import annotations

import json
import ssl
from dataclasses import dataclass
from typing import Any, Final
from urllib.error import URLError
from urllib.request import HTTPSHandler, ProxyHandler, Request, build_opener

from gatepost_core.errors import Unavailable

_TIMEOUT_S: Final = 30.0
_EVERYTHING: Final = 100_000


@dataclass(frozen=True, slots=True)
class Message:
    """One message in the outbox."""

    channel: str
    recipient: str
    code: str


class SimulatorControl:
    """Reads and steers a simulator over https.

    Args:
        url: the simulator's.
        ca_file: the certificate authority to trust.
    """

    def __init__(self, url: str, ca_file: str) -> None:
        self._url = url
        context = ssl.create_default_context(cafile=ca_file)
        self._opener = build_opener(ProxyHandler({}), HTTPSHandler(context=context))

    def messages(self) -> list[Message]:
        """Return every message that was sent, oldest first."""
        found = self._call("GET", f"/simulator/outbox?limit={_EVERYTHING}")["messages"]
        return [Message(one["channel"], one["recipient"], one["code"]) for one in reversed(found)]

    def tokens_issued(self) -> int:
        """Return how many token sets were issued."""
        return int(self._call("GET", "/simulator/stats")["tokens_issued"])

    def signing_keys(self) -> dict[str, Any]:
        """Return the tenant's JWKS."""
        found: dict[str, Any] = self._call("GET", "/.well-known/jwks.json")
        return found

    def script(self, fault: dict[str, Any]) -> None:
        """Put a fault behind those that wait already: the first that matches a request strikes."""
        self._call("POST", "/simulator/faults", fault)

    def slow_down(self, endpoint: str, seconds: float) -> None:
        """Delay every answer of an endpoint, so that there are requests under way at any moment."""
        self.script({"endpoint": endpoint, "delay_s": seconds, "count": 0})

    def now(self) -> float:
        """Return the simulated time, in epoch seconds."""
        return float(self._call("GET", "/simulator/clock")["now"])

    def advance_clock(self, seconds: float) -> None:
        """Move the simulated time forward."""
        self._call("POST", "/simulator/clock", {"advance_s": seconds})

    def _call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = Request(  # noqa: S310 - the simulator's own https address
            f"{self._url}{path}", data, {"content-type": "application/json"}, method=method
        )
        try:
            with self._opener.open(request, timeout=_TIMEOUT_S) as response:
                content = response.read()
        except (URLError, OSError) as failure:
            raise Unavailable(f"The simulator did not answer {path} ({type(failure).__name__}).") from None
        return json.loads(content) if content else None
