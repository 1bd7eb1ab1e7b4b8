"""A producer loads what a send needs, and no more."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gatepost_core.settings import Settings

MOST_MODULES = 35
# Python's own importlib.metadata imports csv, and pydantic imports that.
FOREIGN = {"csv": ["importlib.metadata"]}
PROGRAM = """
import builtins, json, sys

WATCHED = ("celery", "csv", "gzip", "joserfc", "kombu", "requests", "structlog", "tenacity", "typer")
importers = {}
real_import = builtins.__import__

def noting_import(name, names=None, *rest, **options):
    if (package := name.partition(".")[0]) in WATCHED:
        importers.setdefault(package, set()).add((names or {}).get("__name__"))
    return real_import(name, names, *rest, **options)

builtins.__import__ = noting_import
from gatepost import Producer

with Producer() as producer:
    producer.send_email("ana@example.com")
ours = sorted(name for name in sys.modules if name.partition(".")[0].startswith("gatepost"))
loaded = {name: sorted(importers.get(name, ())) for name in WATCHED if name in sys.modules}
print(json.dumps([ours, loaded]))
"""


def test_a_producer_and_one_send_load_few_modules(settings: Settings) -> None:
    """No file reader, command line, HTTP client, Celery, JOSE or log library; campaigns, waits, results and the audit log only when they are used."""
    environment = {
        "GATEPOST_REDIS_URL": settings.redis_url.get_secret_value(),
        "GATEPOST_SEALING_KEYS": settings.sealing_keys[0].get_secret_value(),
        "GATEPOST_FINGERPRINT_KEY": "a fingerprint key of the tests alone",
    }

    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False, env=environment)

    assert done.returncode == 0, done.stderr
    ours, loaded = json.loads(done.stdout)
    assert "gatepost_core.enqueue" in ours
    assert len(ours) <= MOST_MODULES, "\n".join(ours)
    assert loaded in ({}, FOREIGN)
