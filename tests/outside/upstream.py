r"""A scripted upstream in a separate process: it answers any bytes at any time, over plain HTTP or TLS 1.3, directly or as a proxy.

    with Upstream() as upstream:
        upstream.begin({"someone": [write(b"HTTP/1.1 103 Early Hints\r\n\r\n"), wait(0.1), write(b"HTTP/1.1 200 OK\r\n..."), CLOSE]})
        ...  # a request that contains "someone" gets these bytes
        heard = upstream.heard()

It shares no code with Gatepost or its simulator, and does not know what an answer is. Over TLS a CONNECT request is answered by its script
and TLS begins after it, so that the same process is the proxy and the server behind it.
"""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Step = list[Any]

CLOSE: Step = ["close"]
RESET: Step = ["reset"]


def write(data: bytes) -> Step:
    """Write bytes, in one piece."""
    return ["write", base64.b64encode(data).decode()]


def wait(seconds: float) -> Step:
    """Do nothing for a time."""
    return ["wait", seconds]


@dataclass(frozen=True)
class Heard:
    """One request: the number of its connection, counted from the script's beginning, and its bytes."""

    connection: int
    marker: str
    request: str


class Upstream:
    """The process. `certificate` is a PEM file with certificate and key, for TLS 1.3."""

    def __init__(self, certificate: Path | None = None) -> None:
        arguments = [] if certificate is None else [str(certificate)]
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("upstream_server.py")), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.port: int = self._read()
        self.url = f"{'http' if certificate is None else 'https'}://localhost:{self.port}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(10)
        self._process.stdout.close()

    def begin(self, scripts: Mapping[str, Sequence[Step]]) -> None:
        """Forget the past, and answer each request on a new connection by the script of the first marker that it contains."""
        self._ask({"begin": scripts})

    def heard(self) -> list[Heard]:
        """Return the requests heard, once every script that began has ended."""
        return [Heard(**request) for request in self._ask({})]

    def _ask(self, command: dict[str, Any]) -> Any:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{json.dumps(command)}\n")
        self._process.stdin.flush()
        return self._read()

    def _read(self) -> Any:
        assert self._process.stdout is not None
        return json.loads(self._process.stdout.readline())
