"""A client whose sends go over `direct` with another resolver. The transport of a client itself uses the system's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gatepost_worker.authentication.direct import Direct

if TYPE_CHECKING:
    from gatepost_worker.authentication import Passwordless, StartResponse
    from gatepost_worker.authentication.sockets import Resolver


class OverDirect:
    """Sends as `Passwordless` does, with its requests and its reading of responses."""

    def __init__(self, client: Passwordless, *, resolver: Resolver) -> None:
        self._client = client
        self._direct = Direct(kept=1, resolver=resolver)

    def send_email(self, email: str, **options: Any) -> StartResponse:
        """Send one message."""
        starts = self._client.starts
        call = starts.email(email, **{"send": "code", "connection": "email", **options})
        route = starts.route()
        assert not isinstance(route, str)
        return starts.read(self._direct.send(route, starts.encode(call), call.timeouts))

    def close(self) -> None:
        """Close the connections of both."""
        self._direct.close()
        self._client.close()
