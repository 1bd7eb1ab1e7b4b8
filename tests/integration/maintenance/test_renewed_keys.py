"""Sealing keys that a running worker takes from their changed file."""

from __future__ import annotations

from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING

import pytest
import structlog

from gatepost_core.sealing import Key, Purpose, kid_of
from gatepost_core.settings import load_settings
from gatepost_core.settings.read_again import SettingsFiles
from gatepost_worker.process import Process
from support.sealing_keys import SEALING_KEY

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from gatepost import Producer

pytestmark = pytest.mark.usefixtures("configured")

NEW = Key("k2026", bytes(reversed(range(32))))
PURPOSE = Purpose.command("an operation")


@pytest.fixture
def ring(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of the sealing keys."""
    path = tmp_path / "ring"
    path.write_text(SEALING_KEY.reveal(), encoding="utf-8")
    monkeypatch.delenv("GATEPOST_SEALING_KEYS")
    monkeypatch.setenv("GATEPOST_SEALING_KEYS_FILE", str(path))
    return path


@pytest.fixture
def worker(ring: Path) -> Iterator[Process]:
    """A worker process that reads them."""
    assert ring.exists()
    files = SettingsFiles(partial(load_settings))
    with closing(Process(files.settings, files)) as process:
        process.prepare()
        yield process


def test_a_running_worker_takes_over_a_new_ring(worker: Process, ring: Path) -> None:
    """What the old key sealed still opens, and the new first key seals."""
    ring_in_use = worker.keyring
    earlier = ring_in_use.seal(b"a value", PURPOSE)
    ring.write_text(f"{NEW.reveal()}\n{SEALING_KEY.reveal()}\n", encoding="utf-8")
    worker.secrets.look()
    worker.secrets.look()

    assert kid_of(ring_in_use.seal(b"a value", PURPOSE)) == "k2026"
    assert ring_in_use.open(earlier, PURPOSE) == b"a value"


def test_a_ring_without_a_needed_key_is_not_taken_over(worker: Process, ring: Path, producer: Producer) -> None:
    """Otherwise the worker could not open what it has accepted; the log names the key, and a correction is read."""
    producer.send_email("guest@example.com")
    ring.write_text(NEW.reveal(), encoding="utf-8")
    with structlog.testing.capture_logs() as logs:
        for _ in range(4):
            worker.secrets.look()

    assert [(line["event"], SEALING_KEY.kid in line["error"]) for line in logs] == [("secrets.not_renewed", True)]
    assert worker.keyring.kids == (SEALING_KEY.kid,)
    ring.write_text(f"{SEALING_KEY.reveal()},{NEW.reveal()}", encoding="utf-8")
    worker.secrets.look()
    worker.secrets.look()
    assert worker.keyring.kids == (SEALING_KEY.kid, "k2026")
