"""Planted secrets: how they could be written, and where to look for them."""

from __future__ import annotations

import base64
import socket
import subprocess
import threading
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Iterable


def forms(secret: str) -> list[str]:
    """Return the forms of a text in a log or a base64 body: unchanged, percent-encoded, and in base64 at any offset."""
    shifted = [base64.b64encode(b"\0" * pad + secret.encode())[4 if pad else 0 : -4].decode() for pad in range(3)]
    return [secret, secret.replace("+", "%2B").replace("@", "%40"), *shifted]


def found(secrets: Iterable[str], text: str) -> list[str]:
    """Return the secrets in a text, in any form."""
    return [secret for secret in secrets if any(form in text for form in forms(secret))]


class Recording:
    """Every command that any client sends to Valkey, as its MONITOR shows them: broker, headers, events, ledger, results."""

    def __init__(self, port: int) -> None:
        self._connection = socket.create_connection(("127.0.0.1", port))
        self._seen = bytearray()
        self._thread = threading.Thread(target=self._listen, daemon=True)

    def _listen(self) -> None:
        while more := self._connection.recv(1 << 16):
            self._seen += more

    def __enter__(self) -> Self:
        self._connection.sendall(b"MONITOR\r\n")
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.shutdown(socket.SHUT_RDWR)
        self._thread.join(10)
        self._connection.close()

    def text(self) -> str:
        return self._seen.decode("utf-8", "replace")


class ProcessList:
    """The arguments of every process on this machine, as anybody's `ps` shows them, looked at again and again."""

    def __init__(self, every_s: float = 0.25) -> None:
        self._every_s = every_s
        self._seen: set[str] = set()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def _look(self) -> None:
        while not self._stopped.wait(self._every_s):
            listed = subprocess.run(["ps", "-A", "-ww", "-o", "args="], capture_output=True, text=True, check=True)
            self._seen |= set(listed.stdout.splitlines())

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join(10)

    def text(self) -> str:
        return "\n".join(sorted(self._seen))
