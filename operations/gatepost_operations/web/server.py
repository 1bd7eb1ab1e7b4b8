"""Serves one role over HTTP with uvicorn. Requests are not logged: their paths and addresses may name people."""

from __future__ import annotations

import signal
import socket
import sys
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import uvicorn

from gatepost_core.errors import ConfigurationError
from gatepost_operations.web.prompt_requests import HEAD_S, PromptProtocol
from gatepost_operations.web.request_bodies import BODY_S, BodyLimits

if TYPE_CHECKING:
    from collections.abc import Callable

_GRACE_S: Final = 30
_BACKLOG: Final = 2048
# Open requests at once. Each may hold a body.
_MOST_REQUESTS: Final = 1000


class Server(uvicorn.Server):
    """A server that reports when it accepts connections, and when it stops to."""

    def __init__(self, config: uvicorn.Config, on_ready: Callable[[], object], on_stop: Callable[[], object]) -> None:
        super().__init__(config)
        self._on_ready, self._on_stop = on_ready, on_stop

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept connections, and report it."""
        await super().startup(sockets)
        if self.started:
            self._on_ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Report the end, and finish the requests under way. Streams would otherwise last as long as the grace period."""
        self._on_stop()
        await super().shutdown(sockets)


def serve(
    app: Any,
    *,
    host: str,
    port: int,
    on_ready: Callable[[str], object],
    on_stop: Callable[[], object] = lambda: None,
) -> None:
    """Serve an app until SIGTERM or SIGINT. Requests under way have 30 s to end.

    Args:
        app: the ASGI app.
        host: the address to bind.
        port: the port; 0 takes a free one.
        on_ready: called with the URL when connections are accepted.
        on_stop: called when the server stops, before requests under way are finished.

    Raises:
        ConfigurationError: the address cannot be bound.
    """
    # uvicorn raises the signal again after a clean end.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))
    with bound(host, port) as listening:
        url = f"http://{f'[{host}]' if ':' in host else host}:{listening.getsockname()[1]}"
        Server(config_of(app), lambda: on_ready(url), on_stop).run(sockets=[listening])


def config_of(app: Any, *, head_s: float = HEAD_S, body_s: float = BODY_S) -> uvicorn.Config:
    """Return the configuration of a server: it logs no request and names no software.

    Args:
        app: the ASGI app.
        head_s: seconds that a client has for the head of a request.
        body_s: seconds that the server waits for the body of a request; received bytes add to them.
    """
    return uvicorn.Config(
        BodyLimits(app, body_s=body_s),
        http=partial(PromptProtocol, head_s=head_s),  # type: ignore[arg-type] # called like a class
        access_log=False,
        # Otherwise uvicorn logs the URL of a WebSocket with its query, if a library for WebSockets is installed.
        ws="none",
        log_config=None,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=_MOST_REQUESTS,
        timeout_graceful_shutdown=_GRACE_S,
    )


def bound(host: str, port: int) -> socket.socket:
    """Return a socket that listens on an address. Errors are those of `serve`."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except OSError as failure:
        reason = failure.strerror or type(failure).__name__
    raise ConfigurationError(f"cannot listen on {host} port {port}: {reason}; choose others with --host and --port")
