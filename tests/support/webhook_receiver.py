"""A receiver of webhooks over real HTTP on loopback, which answers as a test scripts it."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Self

from standardwebhooks.webhooks import Webhook

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable


@dataclass(frozen=True)
class Received:
    """One request."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def webhook_id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def document(self) -> dict[str, Any]:
        return json.loads(self.body)

    def is_signed_with(self, secret: str) -> bool:
        """Whether the library of the receivers accepts it; raises if not."""
        Webhook(secret).verify(self.body, self.headers)
        return True


@dataclass
class WebhookReceiver:
    """Use it as a context manager.

    Attributes:
        answers: status and headers of the next answers; afterwards 204.
        received: the requests so far.
        on_request: called with each request before its answer.
    """

    answers: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    received: list[Received] = field(default_factory=list)
    body: bytes = b""
    on_request: Callable[[Received], None] = lambda _: None
    tls: ssl.SSLContext | None = None

    def __enter__(self) -> Self:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                got = Received(self.path, {name.lower(): value for name, value in self.headers.items()}, body)
                receiver.received.append(got)
                receiver.on_request(got)
                status, headers = receiver.answers.pop(0) if receiver.answers else (204, {})
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                answer = b"" if status == 204 else receiver.body
                if status != 204:
                    self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        if self.tls is not None:
            self._server.socket = self.tls.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}/hook"

    def text(self) -> str:
        """All headers and bodies."""
        return "\n".join(f"{got.headers} {got.body.decode()}" for got in self.received)

    def wait_for(self, number: int, within_s: float = 60) -> list[Received]:
        """Wait until it has this many requests."""
        ends = time.monotonic() + within_s
        while len(self.received) < number:
            assert time.monotonic() < ends, f"{len(self.received)} of {number} requests"
            time.sleep(0.02)
        return self.received
