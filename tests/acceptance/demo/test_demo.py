"""`gatepost demo` as a user runs it: it agrees with the simulator, notices when it should not, and touches nothing real."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import requests

from gatepost_simulator.control import ControlClient
from gatepost_simulator.settings import DEV_CLIENT_ID, DEV_CLIENT_SECRET
from support.checkout import CHECKOUT

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.slow

PEOPLE = CHECKOUT / "examples" / "people.csv"
COMMAND = [sys.executable, "-m", "gatepost_operations.cli", "demo", "--file"]
PATIENCE_S = 170
LABELS = ("e-mails", "SMS", "logins by e-mail", "logins by SMS", "campaign")


@pytest.fixture
def real_tenant() -> Iterator[socket.socket]:
    """A stand-in for the real tenant and broker in the environment: it listens, and must get no connection."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        listener.setblocking(False)
        yield listener


@pytest.fixture
def environment(real_tenant: socket.socket, tmp_path: Path) -> dict[str, str]:
    """The environment of a developer who works with a real tenant."""
    address = f"127.0.0.1:{real_tenant.getsockname()[1]}"
    tenant = {
        "AUTH0_DOMAIN": address,
        "AUTH0_BASE_URL": f"http://{address}",
        "AUTH0_CLIENT_ID": "real",
        "AUTH0_CLIENT_SECRET": "real",
        "GATEPOST_REDIS_URL": f"redis://{address}/0",
        "GATEPOST_BROKER_URL": f"redis://{address}/0",
    }
    (tmp_path / ".env").write_text("".join(f"{name}={value}\n" for name, value in tenant.items()), encoding="utf-8")
    return {**os.environ, **tenant, "TMPDIR": str(tmp_path)}


def nobody_came(listener: socket.socket) -> bool:
    try:
        connection, _ = listener.accept()
    except BlockingIOError:
        return True
    connection.close()
    return False


def left_behind(directory: Path) -> list[str]:
    """The processes that were started under a directory and still live."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if str(directory).encode() in (process / "environ").read_bytes():
                found.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:
            continue
    return found


def test_both_sides_agree(environment: dict[str, str], real_tenant: socket.socket, tmp_path: Path) -> None:
    """Exit code 0, the table with its sums, the worker that died, and nothing real was touched or left behind."""
    done = subprocess.run(
        [*COMMAND, str(PEOPLE)],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_S,
    )
    shown = done.stdout

    assert done.returncode == 0, f"{shown}\n{done.stderr}"
    assert "Both sides agree." in shown
    assert "✗" not in shown
    header = next(line for line in shown.splitlines() if "accepted" in line and "sum" in line)
    rows = {label: numbers_of(shown, label) for label in LABELS}
    assert len(header.split()) - header.count("┃") == len(rows["e-mails"])
    for numbers in rows.values():
        assert sum(numbers[:-1]) == numbers[-1] > 0
    assert "worker-1 killed (SIGKILL)" in done.stderr
    assert "bulk-1 killed (SIGKILL)" in done.stderr
    assert "worker_lost" in shown
    logs = Path(shown.rstrip().rpartition("Logs of the workers: ")[2])
    assert {"worker-1.log", "worker-3.log", "bulk-1.log", "bulk-2.log", "beat.log"} <= {
        log.name for log in logs.iterdir()
    }
    assert nobody_came(real_tenant)
    assert left_behind(tmp_path) == []


def test_a_message_it_did_not_send_is_noticed(environment: dict[str, str], tmp_path: Path) -> None:
    """Another program sends one person a second message and a stranger a first: exit code 1, and both rules are named."""
    few = tmp_path / "few.csv"
    few.write_text("".join(PEOPLE.read_text(encoding="utf-8").splitlines(keepends=True)[:120]), encoding="utf-8")
    with subprocess.Popen(
        [*COMMAND, str(few), "--json"],
        env=environment,
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as demo:
        assert demo.stderr is not None
        assert demo.stdout is not None
        url, ca_file = address_once_a_worker_died(demo.stderr)
        control = ControlClient(url, ca_file)
        victim = control.outbox(channel="email", limit=1)[0]["recipient"]
        send_directly(url, ca_file, victim)
        send_directly(url, ca_file, "stranger@example.com")
        demo.stderr.read()
        report: dict[str, Any] = json.loads(demo.stdout.read())
        code = demo.wait(PATIENCE_S)

    broken = {finding["rule"] for finding in report["findings"] if not finding["holds"]}
    assert (code, report["agrees"]) == (1, False)
    assert {"recipients of two messages", "in the outbox: accepted or unknown"} <= broken
    assert left_behind(tmp_path) == []


def numbers_of(shown: str, label: str) -> list[int]:
    line = next(line for line in shown.splitlines() if line.startswith(f"│ {label} "))
    return [int(cell) for cell in line.split("│")[2:-1]]


def address_once_a_worker_died(stderr: Any) -> tuple[str, str]:
    """Read on until the kill; return the simulator's address and authority, which the output has before."""
    address: tuple[str, str] | None = None
    for line in stderr:
        if line.startswith("• simulator "):
            url, _, rest = line.removeprefix("• simulator ").partition(" (trust ")
            address = url, rest.strip().removesuffix(")")
        if "worker-3 starts" in line:
            assert address is not None
            return address
    raise AssertionError("the demo ended before it killed a worker")


def send_directly(url: str, ca_file: str, recipient: str) -> None:
    """Call the simulator past Gatepost."""
    body = {
        "client_id": DEV_CLIENT_ID,
        "client_secret": DEV_CLIENT_SECRET,
        "connection": "email",
        "email": recipient,
        "send": "code",
    }
    assert requests.post(f"{url}/passwordless/start", json=body, verify=ca_file, timeout=30).status_code == 200
