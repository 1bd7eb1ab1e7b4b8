"""The time and the memory of an application that makes a producer: Gatepost's `Producer` beside `Celery()`."""

from __future__ import annotations

import json
import os
import sys
from typing import Any, Final

from comparison.processes import redis_server, run, scratch
from comparison.runners import sealed_environment

_MADE: Final = {
    "Celery, `Celery()`": """
from celery import Celery
app = Celery("stock", broker=os.environ["BENCH_REDIS_URL"], set_as_current=False)
@app.task(name="send", ignore_result=True)
def send(email):
    pass
call = lambda: send.delay("guest@example.com")
""",
    "Gatepost, `Producer()`": """
from gatepost import Producer
producer = Producer()
call = lambda: producer.send_email("guest@example.com")
""",
}
_PROGRAM: Final = """
import json, os, time
began, cpu = time.perf_counter(), time.process_time()
{made}
construct_s, construct_cpu_s = time.perf_counter() - began, time.process_time() - cpu
call()
page = os.sysconf("SC_PAGE_SIZE")
mib = int(open("/proc/self/statm").read().split()[1]) * page / 2**20
figures = dict(construct_s=construct_s, construct_cpu_s=construct_cpu_s, first_call_s=time.perf_counter() - began, mib=mib)
print(json.dumps(figures))
"""
WAYS: Final = tuple(_MADE)


def measure(name: str) -> dict[str, Any]:
    """Start a new interpreter that makes a producer and sends once, and return its figures.

    Returns:
        `construct_s` and `construct_cpu_s`: seconds by the clock and of CPU until the producer is made, imports included. `first_call_s`:
        seconds until the first call has returned. `mib`: the resident MiB afterwards.
    """
    with scratch() as directory, redis_server(directory) as (url, _):
        environment = {**os.environ, **sealed_environment(url), "BENCH_REDIS_URL": url}
        program = _PROGRAM.replace("{made}", _MADE[name])
        figures: dict[str, Any] = json.loads(run([sys.executable, "-c", program], environment, directory))
        return figures
