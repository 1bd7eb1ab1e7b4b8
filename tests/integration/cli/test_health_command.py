"""`gatepost health` against whatever answers at the port."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from gatepost_operations.cli.entry import main
from support.hostile_texts import HOSTILE, steering
from support.socket_server import SocketServer

if TYPE_CHECKING:
    from support.socket_server import Heard, Wire

NONE_OF_OURS = "The answer is not a worker's health report.\n"


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (json.dumps({"healthy": False, "problems": [HOSTILE]}), r"[/x] \x1b]0;spoofed\x07 \x9b2J"),
        (json.dumps({"healthy": False, "problems": 5}), NONE_OF_OURS),
        (json.dumps({"healthy": False, "problems": [5]}), NONE_OF_OURS),
        (json.dumps({"healthy": "yes"}), NONE_OF_OURS),
        ("[" * 100_000, "The worker does not answer (RecursionError).\n"),
        ("healthy", "The worker does not answer (JSONDecodeError).\n"),
    ],
)
def test_what_is_no_workers_answer_is_unhealthy_and_steers_nothing(
    capsys: pytest.CaptureFixture[str], body: str, says: str
) -> None:
    """Anything may listen at a port: exit code 1, and a sentence."""

    def answer(wire: Wire, _heard: Heard) -> bool:
        wire.respond(200, body.encode())
        return False

    with SocketServer(answer) as server:
        code = main(["health", "--url", f"http://127.0.0.1:{server.port}/health"])
    seen = capsys.readouterr()

    assert (code, seen.out) == (1, "unhealthy\n")
    assert says in seen.err
    assert not steering(seen.err.rstrip("\n"))
