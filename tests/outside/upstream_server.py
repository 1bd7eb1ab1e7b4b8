"""The scripted upstream's process: it writes the bytes of its script to a connection. `upstream.py` starts and directs it.

Commands come as lines of JSON on standard input, one answer each on standard output.
"""

from __future__ import annotations

import base64
import json
import socket
import ssl
import struct
import sys
import threading
import time
from contextlib import suppress
from typing import Any

HANDSHAKE_S = 10


class Run:
    """Scripts by a marker that their request contains, and the requests heard meanwhile."""

    def __init__(self, scripts: dict[str, list[list[Any]]], tls: ssl.SSLContext | None) -> None:
        self.scripts = scripts
        self.tls = tls
        self.changed = threading.Condition()
        self.connections = 0
        self.busy = 0
        self.heard: list[dict[str, Any]] = []

    def when_idle(self) -> list[dict[str, Any]]:
        """Return the received bytes, once every script that began has ended."""
        with self.changed:
            self.changed.wait_for(lambda: self.busy == 0, 30)
            return self.heard

    def serve(self, sock: socket.socket, number: int) -> None:
        with suppress(OSError), sock:
            if self.tls is not None:
                sock = self._encrypted(sock)
            while (request := read_request(sock)) is not None:
                if not self._answer(sock, request, number):
                    return

    def _encrypted(self, sock: socket.socket) -> socket.socket:
        assert self.tls is not None
        sock.settimeout(HANDSHAKE_S)
        if sock.recv(1, socket.MSG_PEEK) == b"C":  # CONNECT: a TLS handshake begins with byte 22
            self._answer(sock, read_request(sock) or b"", -1)
        wrapped = self.tls.wrap_socket(sock, server_side=True)
        wrapped.settimeout(None)
        return wrapped

    def _answer(self, sock: socket.socket, request: bytes, number: int) -> bool:
        with self.changed:
            marker = next((marker for marker in self.scripts if marker.encode() in request), "")
            self.heard.append({"connection": number, "marker": marker, "request": request.decode("latin-1")})
            self.busy += 1
        try:
            return self._play(sock, self.scripts.get(marker, []))
        finally:
            with self.changed:
                self.busy -= 1
                self.changed.notify_all()

    def _play(self, sock: socket.socket, steps: list[list[Any]]) -> bool:
        for name, *values in steps:
            match name:
                case "write":
                    sock.sendall(base64.b64decode(values[0]))
                case "wait":
                    time.sleep(values[0])
                case "close":
                    close(sock)
                    return False
                case "reset":
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    sock.close()
                    return False
        return True


def close(sock: socket.socket) -> None:
    """Close in order, so that the last bytes are read before the end."""
    if isinstance(sock, ssl.SSLSocket):
        with suppress(OSError):
            sock.settimeout(0.5)
            sock = sock.unwrap()
    with suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)
    sock.close()


def read_request(sock: socket.socket) -> bytes | None:
    """Return one request, head and body; None at the end of the stream."""
    head = b""
    while b"\r\n\r\n" not in head:
        if not (byte := sock.recv(1)):
            return None
        head += byte
    body, length = b"", length_in(head)
    while len(body) < length:
        if not (more := sock.recv(length - len(body))):
            return None
        body += more
    return head + body


def length_in(head: bytes) -> int:
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line.partition(b":")[2])
    return 0


def accept(listener: socket.socket, runs: list[Run]) -> None:
    while True:
        sock, _ = listener.accept()
        run = runs[-1]
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=run.serve, args=(sock, run.connections), daemon=True).start()
        run.connections += 1


def main() -> None:
    tls = None
    if len(sys.argv) > 1:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.minimum_version = ssl.TLSVersion.TLSv1_3
        tls.load_cert_chain(sys.argv[1])
    runs = [Run({}, tls)]
    listener = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=accept, args=(listener, runs), daemon=True).start()
    say(listener.getsockname()[1])
    for line in sys.stdin:  # ends with the process that started it
        command = json.loads(line)
        if "begin" in command:
            runs[:] = [Run(command["begin"], tls)]
            say(None)
        else:
            say(runs[-1].when_idle())


def say(answer: object) -> None:
    print(json.dumps(answer), flush=True)  # noqa: T201 - read by its parent


if __name__ == "__main__":
    main()
