"""The ports of `gatepost dev`, its files, and the workers that it starts again."""

from __future__ import annotations

import socket
import sys
from typing import TYPE_CHECKING

import pytest

from gatepost.errors import ConfigurationError
from gatepost_operations.cli.dev_environment import DevFiles, use_running_dev
from gatepost_operations.local.dev import Workers
from gatepost_operations.local.ports import port_of, usable_port
from gatepost_operations.processes import Child, Children

if TYPE_CHECKING:
    from pathlib import Path


def taken() -> socket.socket:
    """Listen on a free port."""
    server = socket.socket()
    server.bind(("127.0.0.1", 0))
    server.listen()
    return server


def test_a_port_stays_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    """The operator's, else the last run's, else the default; 0 asks for a free one."""
    with taken() as server:
        free = server.getsockname()[1]

    assert usable_port("Valkey", free, 1, 2) == free
    assert usable_port("Valkey", None, free, 2) == free
    assert usable_port("Valkey", None, None, free) == free
    assert usable_port("Valkey", 0, 1, 2) == 0
    assert capsys.readouterr().err == ""


def test_a_port_that_is_taken_is_told_and_replaced(capsys: pytest.CaptureFixture[str]) -> None:
    """Another program keeps it."""
    with taken() as server:
        port = server.getsockname()[1]
        found = usable_port("Valkey", port, None, 2)

    assert found == 0
    assert capsys.readouterr().err == (
        f"gatepost: port {port} is taken by another program, so Valkey uses another one.\n"
    )


@pytest.mark.parametrize(
    ("address", "port"),
    [("redis://127.0.0.1:16379/0", 16379), ("localhost:4430", 4430), ("", None), (None, None), ("localhost:x", None)],
)
def test_a_port_is_read_from_an_address(address: str | None, port: int | None) -> None:
    """From a URL or a domain; a damaged file has none."""
    assert port_of(address) == port


def test_a_file_of_an_earlier_run_is_no_running_dev(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A crash leaves dev.env; the lock shows whether its process lives."""
    files = DevFiles(tmp_path / ".gatepost")
    files.directory.mkdir()
    files.variables.write_text("export GATEPOST_NAMESPACE=left\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigurationError, match="no `gatepost dev` runs"):
        use_running_dev()
    with files.hold() as free:
        running = files.is_running

    assert (free, running, files.is_running) == (True, True, False)


def test_a_worker_that_ends_again_and_again_is_not_started_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Three times in a minute; a later end counts anew. Other children are not its business."""
    now = 0.0
    children = Children()

    def start(name: str) -> Child:
        return Child(name, [sys.executable, "-Ic", "raise SystemExit(7)"], environment={}, directory=tmp_path)

    def end() -> Child:
        child = children.dead()
        while child is None:
            child = children.dead()
        return child

    workers = Workers(start, children, ["bulk"], monotonic=lambda: now)
    restarted = [workers.restart(end()) for _ in range(4)]
    now = 61.0
    later = workers.restart(end())
    other = start("simulator")
    foreign = workers.restart(other)
    other.kill()
    children.stop()

    assert (restarted, later, foreign) == ([True, True, True, False], True, False)
    assert capsys.readouterr().err.splitlines() == ["gatepost: bulk ended with exit code 7; it starts again."] * 4
