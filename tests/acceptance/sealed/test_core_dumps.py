"""A worker or command that dies of a fault leaves no image of its memory."""

from __future__ import annotations

import ctypes
import os
import re
import resource
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from support.stack import Stack

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")

PR_GET_DUMPABLE = 3
SAY_IT = (
    "import ctypes; from gatepost_core.core_dumps import forbid_core_dumps as f; f(); print(ctypes.CDLL(None).prctl(3))"
)


@pytest.fixture
def core_dumps_allowed() -> None:
    """Child processes of the tests inherit the limit."""
    _, most = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (most, most))
    if most == 0:
        pytest.skip("this machine allows none")


def core_limit(pid: int) -> list[str]:
    text = Path(f"/proc/{pid}/limits").read_text(encoding="ascii")
    return re.findall(r"Max core file size\s+(\S+)\s+(\S+)", text)


@pytest.mark.usefixtures("core_dumps_allowed")
def test_a_worker_that_crashes_leaves_no_core_dump(stack: Stack) -> None:
    """SIGSEGV, where its own parent would leave one."""
    stack.fresh = True
    worker = stack.worker()
    limits = core_limit(worker.process.pid)
    _, status = os.waitpid(worker.process.pid, os.WNOHANG)
    assert status == 0
    worker.process.send_signal(signal.SIGSEGV)
    _, status = os.waitpid(worker.process.pid, 0)
    worker.process.returncode = -signal.SIGSEGV

    assert limits == [("0", "0")]
    assert os.WTERMSIG(status) == signal.SIGSEGV
    assert not os.WCOREDUMP(status)
    assert list(stack.directory.glob("core*")) == []


@pytest.mark.usefixtures("core_dumps_allowed")
def test_no_command_leaves_one(stack: Stack) -> None:
    """It has the keys as well."""
    program = stack.start("wait", "-m", "gatepost_operations.cli", "dev", "--port", "0")
    stack.until(lambda: core_limit(program.process.pid) == [("0", "0")], "the limit is set", program)


def test_a_collector_gets_none_either() -> None:
    """If `core_pattern` names a program, the limit does not apply; a process that is not dumpable is never given to it."""
    told = subprocess.run([sys.executable, "-c", SAY_IT], capture_output=True, text=True, check=True, timeout=120)

    assert told.stdout.strip() == "0"
    assert ctypes.CDLL(None).prctl(PR_GET_DUMPABLE) == 1
