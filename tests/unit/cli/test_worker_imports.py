"""`gatepost worker` replaces itself with Celery, so what it loads is loaded for nothing."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import sys
import gatepost_operations.cli.entry, gatepost_operations.cli.worker

print([name for name in ("celery", "gatepost", "redis", "structlog") if name in sys.modules])
"""


def test_the_worker_command_loads_neither_redis_nor_a_producer_nor_a_log_library() -> None:
    """Celery's process loads what a worker needs."""
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"
