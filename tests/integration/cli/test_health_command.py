"""`gatepost health` against whatever answers at the port."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import pytest

from gatepost_core.redis.keys import RedisKeys
from gatepost_operations.cli.entry import main
from support.free_ports import free_port
from support.hostile_texts import HOSTILE, steering
from support.socket_server import SocketServer

if TYPE_CHECKING:
    from redis import Redis

    from gatepost_operations.local.embedded_valkey import EmbeddedValkey
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


@pytest.mark.parametrize("age", [(None, 1, "has not run"), (600.5, 1, "ran {} s ago"), (3, 0, None)])
def test_a_reconciler_that_has_not_run_lately_is_unhealthy(
    redis_client: Redis,
    valkey: EmbeddedValkey,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    age: tuple[float | None, int, str | None],
) -> None:
    """The check of beat, which needs neither a key nor a credential."""
    ago_s, code, says = age
    monkeypatch.setenv("GATEPOST_REDIS_URL", valkey.url)
    last_run_ms = int((time.time() - (ago_s or 0)) * 1000)
    if ago_s is not None:
        redis_client.set(RedisKeys().reconciler_last_run, last_run_ms)

    ended = main(["health", "--reconciler"])
    # A busy machine may need more than a second for the command.
    longest_s = round(time.time() - last_run_ms / 1000)
    error = capsys.readouterr().err

    assert ended == code
    if says is None:
        assert error == ""
    else:
        assert any(says.format(seconds) in error for seconds in range(int(ago_s or 0), longest_s + 1))


def test_the_reconciler_is_not_healthy_without_redis(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 1 and one sentence, no traceback."""
    monkeypatch.setenv("GATEPOST_REDIS_URL", f"redis://127.0.0.1:{free_port()}/0")

    assert main(["health", "--reconciler"]) == 1
    assert "Redis did not answer (" in capsys.readouterr().err
