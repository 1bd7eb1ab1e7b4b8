"""Celery tuned for this work: threads, one pool of connections a process, no results, no gossip. `python tuned.py COUNT` enqueues."""

from __future__ import annotations

import sys

import requests
from celery import Celery
from request import CA_FILE, CALLS, REDIS_URL, URL, body, emails
from requests.adapters import HTTPAdapter

app = Celery("tuned", broker=REDIS_URL)
app.conf.update(task_ignore_result=True, worker_prefetch_multiplier=4, worker_send_task_events=False)
session = requests.Session()
session.trust_env = False
session.verify = CA_FILE or True
for scheme in ("http://", "https://"):
    session.mount(scheme, HTTPAdapter(pool_maxsize=CALLS))


@app.task
def send(email: str) -> None:
    """Ask for a code by e-mail."""
    session.post(URL, json=body(email), timeout=10).raise_for_status()


if __name__ == "__main__":
    with app.producer_pool.acquire(block=True) as producer:
        for address in emails(int(sys.argv[1])):
            send.apply_async((address,), producer=producer)
