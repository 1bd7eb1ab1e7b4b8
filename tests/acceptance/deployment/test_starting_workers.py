"""Every documented way of starting a worker makes one that works."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gatepost import State
from support import faulty_redis
from support.checkout import CHECKOUT
from support.free_ports import free_port

if TYPE_CHECKING:
    from support.stack import Stack

_OPTIONS = ["worker", "-l", "INFO", "-n", "started@test", "--without-gossip", "--without-mingle"]


def _sends(stack: Stack) -> bool:
    with stack.producer() as producer:
        return producer.send_email("ana@example.com").wait(120).state is State.ACCEPTED


def test_from_a_checkout_by_the_name_of_its_directory(stack: Stack, tmp_path: Path) -> None:
    """`celery -A worker worker` with `worker/` on the path, in a copy of the checkout whose path has a space."""
    checkout = tmp_path / "a checkout"
    shutil.copytree(CHECKOUT / "worker", checkout / "worker", ignore=shutil.ignore_patterns("__pycache__"))
    stack.directory = checkout

    program = stack.start("worker", "-m", "celery", "-A", "worker", *_OPTIONS)
    stack.until(lambda: "ready." in program.output(), "the worker is ready", program)

    assert _sends(stack)


@pytest.mark.parametrize("variable", ["GATEPOST_REDIS_URL", "GATEPOST_BROKER_URL"])
@pytest.mark.parametrize("program", ["celery", "gatepost"])
def test_a_worker_with_a_malformed_url_does_not_start_and_names_it(tmp_path: Path, program: str, variable: str) -> None:
    """No part of the URL is repeated, because any part may contain the password."""
    script = shutil.which(program, path=str(Path(sys.executable).parent))
    assert script is not None
    arguments = ["-A", "gatepost_worker", *_OPTIONS] if program == "celery" else ["worker"]
    environment = {"PATH": os.defpath, variable: "redis://user:canary/ss#word@host:port"}

    ended = subprocess.run(
        [script, *arguments], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60, check=False
    )

    assert ended.returncode == (2 if program == "celery" else 4)
    assert f"{variable}: has an @ or a #" in ended.stderr
    assert "canary" not in ended.stdout + ended.stderr
    assert "word@host" not in ended.stdout + ended.stderr
    assert program == "celery" or ended.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "command", [["worker", "-n", "evicting@test"], ["beat", "-s", "schedule"]], ids=["worker", "beat"]
)
def test_neither_worker_nor_beat_starts_on_a_redis_that_evicts(stack: Stack, command: list[str]) -> None:
    """Exit code 1, and one sentence that names the setting; no traceback."""
    with stack.redis() as client:
        client.config_set("maxmemory-policy", "allkeys-lru")
        try:
            program = stack.start(command[0], "-m", "celery", "-q", "-A", "gatepost_worker", *command)
            code = program.wait(120)
        finally:
            client.config_set("maxmemory-policy", "noeviction")

    assert code == 1
    assert "gatepost: Redis may evict what Gatepost stored (maxmemory-policy allkeys-lru)" in program.output()
    assert "GATEPOST_ALLOW_EVICTION=1" in program.output()
    assert "Traceback" not in program.output()


def test_a_worker_that_started_before_its_redis_looks_at_it_once_it_is_there(stack: Stack, tmp_path: Path) -> None:
    """It waits for a Redis that is away, and ends when the one that comes cannot be used."""
    port = free_port()
    program = stack.start(
        "worker", "-m", "celery", "-A", "gatepost_worker", *_OPTIONS, GATEPOST_REDIS_URL=f"redis://127.0.0.1:{port}/0"
    )
    stack.until(lambda: "redis.not_checked" in program.output(), "it waits for Redis", program)

    with faulty_redis.server(tmp_path, "--maxmemory-policy", "allkeys-lru", port=port):
        code = program.wait(120)

    assert code == 1
    assert "maxmemory-policy allkeys-lru" in program.output()
    assert "Traceback" not in program.output()
