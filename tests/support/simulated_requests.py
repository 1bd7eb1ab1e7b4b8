"""Requests made by hand, for tests of the simulator's parts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gatepost_simulator.exchange import Request

if TYPE_CHECKING:
    from collections.abc import Mapping

START = "/passwordless/start"
TOKEN = "/oauth/token"


def request(
    path: str = START, headers: Mapping[str, str] | None = None, peer: str = "192.0.2.1", **parameters: Any
) -> Request:
    """Give a request as the endpoints see it."""
    return Request(
        method="POST",
        path=path,
        query=b"",
        headers={name.lower().encode(): value.encode() for name, value in (headers or {}).items()},
        body=b"",
        peer=peer,
        parameters=dict(parameters),
        client_id=parameters.get("client_id", ""),
        recipient=parameters.get("email") or parameters.get("phone_number") or parameters.get("username") or "",
        ip=peer,
    )
