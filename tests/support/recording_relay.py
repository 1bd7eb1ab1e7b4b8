"""A relay in front of a port of loopback that keeps every byte of both directions."""

from __future__ import annotations

import contextlib
import socket
import socketserver
import threading
from typing import Self


class RecordingRelay:
    """Use it as a context manager.

    Attributes:
        port: its own port.
    """

    def __init__(self, target_port: int) -> None:
        all_sent: list[bytearray] = []
        all_answered: list[bytearray] = []
        self._sent, self._answered = all_sent, all_answered

        class Connection(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                sent, answered = bytearray(), bytearray()
                all_sent.append(sent)
                all_answered.append(answered)
                with socket.create_connection(("127.0.0.1", target_port)) as onward:
                    back = threading.Thread(target=_pass_on, args=(onward, self.request, answered), daemon=True)
                    back.start()
                    _pass_on(self.request, onward, sent)
                    back.join()

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Connection)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self.port = int(self._server.server_address[1])

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join(10)
        self._server.socket.close()

    def sent(self) -> str:
        """Return all requests, one connection after the other."""
        return _text(self._sent)

    def answered(self) -> str:
        """Return all answers."""
        return _text(self._answered)


def _pass_on(source: socket.socket, target: socket.socket, kept: bytearray) -> None:
    with contextlib.suppress(OSError):
        while chunk := source.recv(1 << 16):
            kept.extend(chunk)
            target.sendall(chunk)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)


def _text(connections: list[bytearray]) -> str:
    return "\n".join(one.decode("utf-8", "replace") for one in connections)
