"""Stock Celery, without a ledger, to show lost and repeated messages: `celery -A support.chaos_stock worker`.

Its one task writes down that it has begun, takes its time, and is acknowledged late, as Gatepost's are.
"""

from __future__ import annotations

import os
import signal
import time
from typing import Any

import redis
from celery import Celery
from kombu.transport.redis import QoS

URL = os.environ["STOCK_URL"]
BEGUN = "stock:begun"

app = Celery("stock", broker=URL, set_as_current=False)
app.conf.update(
    task_acks_late=True,
    worker_prefetch_multiplier=1,
    worker_pool="threads",
    worker_concurrency=2,
    broker_connection_retry_on_startup=True,
    broker_transport_options={
        "visibility_timeout": float(os.environ.get("STOCK_VISIBILITY_S", "300")),
        "unacked_restore_interval": 1,
        "unacked_restore_throttle": 1,
    },
)


@app.task(name="stock.work", ignore_result=True)
def work(name: str, seconds: float) -> None:
    """Do what may not be done twice."""
    with redis.Redis.from_url(URL) as client:
        client.rpush(BEGUN, name)
    time.sleep(seconds)


if "STOCK_DIES" in os.environ:
    qos: Any = QoS

    def die(*_: Any) -> None:
        """Between fetching a message and noting that it was fetched."""
        os.kill(os.getpid(), signal.SIGKILL)

    qos.append = die
