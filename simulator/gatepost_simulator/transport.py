"""The connection of a request: the client's certificate, and ways to end it without a proper answer."""

from __future__ import annotations

import os
import socket
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from gatepost_simulator.exchange import Drop

if TYPE_CHECKING:
    import asyncio
    import ssl
    from collections.abc import MutableMapping

    from starlette.types import Message, Receive, Scope, Send

_TRANSPORT = "gatepost.transport"


class SimulatorProtocol(HttpToolsProtocol):
    """uvicorn's protocol, which hands its transport to the application as an ASGI extension."""

    def on_message_begin(self) -> None:
        """Start a request."""
        super().on_message_begin()
        self.scope["extensions"] = {_TRANSPORT: {"transport": self.transport}}


def transport_of(scope: MutableMapping[str, Any]) -> asyncio.Transport | None:
    """Return the connection's transport, or None under another server."""
    extension = (scope.get("extensions") or {}).get(_TRANSPORT, {})
    transport: asyncio.Transport | None = extension.get("transport")
    return transport


def peer_certificate(scope: MutableMapping[str, Any]) -> bytes | None:
    """Return the client's certificate (DER) that the TLS layer has verified, if it sent one."""
    transport = transport_of(scope)
    tls: ssl.SSLObject | None = transport.get_extra_info("ssl_object") if transport else None
    return tls.getpeercert(binary_form=True) if tls else None


@dataclass(frozen=True, slots=True)
class RequestChannel:
    """What ASGI gives an application for one request."""

    scope: Scope
    receive: Receive
    send: Send


async def cut(drop: Drop, channel: RequestChannel, start: Message, body: bytes) -> None:
    """End the connection as the fault says, and return once it is gone.

    Args:
        drop: How it ends.
        channel: The request's.
        start: The message that starts the answer, sent before a truncated body.
        body: The answer's body.
    """
    if drop is Drop.TRUNCATE:
        await channel.send(start)
        await channel.send({"type": "http.response.body", "body": body[: len(body) // 2], "more_body": True})
    transport = transport_of(channel.scope)
    if drop is not Drop.HANG and transport is not None:
        if drop is Drop.RESET:
            _reset_on_close(transport)
            transport.abort()
        else:
            transport.close()
    while (await channel.receive())["type"] != "http.disconnect":
        pass


def _reset_on_close(transport: asyncio.Transport) -> None:
    """Make the kernel answer the close with RST: a linger time of zero."""
    descriptor = os.dup(transport.get_extra_info("socket").fileno())
    with socket.socket(fileno=descriptor) as duplicate:
        duplicate.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
