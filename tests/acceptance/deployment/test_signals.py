"""What each signal does to a worker, started by each of the documented commands. The workers are started together and each is struck once."""

from __future__ import annotations

import shlex
import shutil
import signal
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

from gatepost import State
from gatepost_operations.local.embedded_valkey import EmbeddedValkey
from support.checkout import CHECKOUT
from support.compose_file import interpolated
from support.stack import Program, Stack

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gatepost_simulator.server import SimulatorServer

pytestmark = pytest.mark.slow

READY = "ready."


def script(name: str) -> str:
    found = shutil.which(name, path=str(Path(sys.executable).parent))
    assert found is not None
    return found


def composed(service: str) -> list[str]:
    """The command of a service in docker-compose.yml, with the defaults of its variables."""
    services = yaml.safe_load((CHECKOUT / "docker-compose.yml").read_text(encoding="utf-8"))["services"]
    return [script("celery"), *shlex.split(interpolated(services[service]["command"], {}))[1:]]


EVERY_OPTION = [
    "-P",
    "threads",
    "-c",
    "300",
    "-O",
    "fair",
    "-E",
    "-S",
    "state",
    "-B",
    "-s",
    "schedule",
    "--prefetch-multiplier",
    "4",
    "--disable-prefetch",
    "--heartbeat-interval",
    "5",
    "-Q",
    "gatepost.login,gatepost.send,gatepost.bulk",
    "-X",
    "gatepost.bulk",
]
"""Options of Celery's that work, together."""

COMMANDS = {
    "TERM": composed("worker"),
    "TERM beat": composed("beat"),
    "INT": ["-m", "gatepost_operations.cli", "worker", "--queues", "bulk"],
    "QUIT": [script("celery"), "-A", "gatepost_worker", "worker", "-n", "quit@test", *EVERY_OPTION],
    "HUP": [script("gatepost"), "worker", "--beat", "--log-level", "info"],
    "HUP celery": ["-m", "celery", "-A", "gatepost_worker", "worker", "-n", "hup@test", "--pidfile", "hup.pid"],
    "USR": [script("celery"), "-A", "gatepost_worker", "worker", "-n", "usr@test", "-f", "usr.log", "-l", "DEBUG"],
}
"""What the worker is struck by, and the command that starts it."""


Started = dict[str, Program]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, simulator_server: SimulatorServer) -> Iterator[Stack]:
    """One Valkey for all of them."""
    directory = tmp_path_factory.mktemp("signals")
    with EmbeddedValkey(directory / "valkey") as valkey, Stack(valkey, simulator_server, directory) as stack:
        yield stack


@pytest.fixture(scope="module")
def started(shared: Stack) -> Started:
    """Every command, started at once."""
    programs = {name: shared.start(name.replace(" ", "-"), *command) for name, command in COMMANDS.items()}
    for name, program in programs.items():
        log = shared.directory / "usr.log" if name == "USR" else program.log
        shared.until(partial(_has_begun, log), f"{name} has begun", program, timeout=120)
    return programs


def _has_begun(log: Path) -> bool:
    text = log.read_text(encoding="utf-8") if log.exists() else ""
    return READY in text or "beat: Starting" in text


def test_every_command_starts_a_worker_that_sends(shared: Stack, started: Started) -> None:
    """The workers share the queues; one send goes through."""
    with shared.producer() as producer:
        outcome = producer.send_email("ana@example.com").wait(120)

    assert outcome.state is State.ACCEPTED


@pytest.mark.parametrize("name", ["TERM", "TERM beat"])
def test_term_ends_it_in_order(shared: Stack, started: Started, name: str) -> None:
    """With exit code 0, as an engine expects."""
    started[name].terminate()

    assert started[name].wait(120) == 0


def test_int_finishes_what_is_under_way_and_ends(shared: Stack, started: Started) -> None:
    """Ctrl-C, once."""
    started["INT"].process.send_signal(signal.SIGINT)

    assert started["INT"].wait(120) == 1
    assert '"signal": "SIGINT", "event": "worker.draining"' in started["INT"].output()
    assert "Traceback" not in started["INT"].output()


def test_quit_ends_it_at_once_without_a_traceback(shared: Stack, started: Started) -> None:
    """Celery's own handler asks the pool to end its tasks, which threads cannot."""
    started["QUIT"].process.send_signal(signal.SIGQUIT)

    assert started["QUIT"].wait(120) == 1
    assert '"signal": "SIGQUIT", "event": "worker.stopping_at_once"' in started["QUIT"].output()
    assert "NotImplementedError" not in started["QUIT"].output()
    assert "Traceback" not in started["QUIT"].output()


@pytest.mark.parametrize("name", ["HUP", "HUP celery"])
def test_hup_starts_it_again_under_the_same_process_id(shared: Stack, started: Started, name: str) -> None:
    """A supervisor sees one process that keeps running."""
    ready = started[name].output().count(READY)

    started[name].process.send_signal(signal.SIGHUP)
    shared.until(lambda: started[name].output().count(READY) > ready, "it is ready again", started[name])

    assert started[name].process.poll() is None
    assert "Traceback" not in started[name].output()


def test_usr_signals_leave_it_running(shared: Stack, started: Started) -> None:
    """USR1 logs where each thread is; USR2, which would end a process by default, does nothing."""
    usr = started["USR"]

    usr.process.send_signal(signal.SIGUSR2)
    usr.process.send_signal(signal.SIGUSR1)
    log = shared.directory / "usr.log"
    shared.until(lambda: "MainThread" in log.read_text(encoding="utf-8"), "it logged its threads", usr)

    assert usr.process.poll() is None


def test_a_log_file_and_a_level_that_are_asked_for_are_used(shared: Stack, started: Started) -> None:
    """`--logfile` and `--loglevel` win over the settings."""
    lines = (shared.directory / "usr.log").read_text(encoding="utf-8")

    assert '"level": "debug"' in lines
    assert READY not in started["USR"].output()


def test_the_log_names_the_broker(shared: Stack, started: Started) -> None:
    """Host and port; no class of ours, and no password."""
    assert f"Connected to redis://:**@127.0.0.1:{shared.valkey.port}/0" in started["HUP celery"].output()


def test_a_killed_worker_takes_its_scheduler_with_it(shared: Stack, started: Started) -> None:
    """SIGKILL cannot be caught, so the scheduler watches its parent."""
    worker = started["HUP"]
    before = session_of(worker.process.pid)

    worker.kill()
    shared.until(lambda: not session_of(worker.process.pid), "its scheduler has ended")

    assert len(before) == 2


def session_of(pid: int) -> list[int]:
    """The processes that began with this one and live."""
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit() and _lives_in(entry, pid)]


def _lives_in(entry: Path, session: int) -> bool:
    try:
        state, _, _, found = (entry / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()[:4]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z" and int(found) == session
