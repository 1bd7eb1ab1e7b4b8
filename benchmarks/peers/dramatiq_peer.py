"""Dramatiq with its Redis broker and one pool of connections a process. `python dramatiq_peer.py COUNT` enqueues."""

from __future__ import annotations

import sys

import dramatiq
import requests
from dramatiq.brokers.redis import RedisBroker
from request import CA_FILE, CALLS, REDIS_URL, URL, body, emails
from requests.adapters import HTTPAdapter

dramatiq.set_broker(RedisBroker(url=REDIS_URL))
session = requests.Session()
session.trust_env = False
session.verify = CA_FILE or True
for scheme in ("http://", "https://"):
    session.mount(scheme, HTTPAdapter(pool_maxsize=CALLS))


@dramatiq.actor
def send(email: str) -> None:
    """Ask for a code by e-mail."""
    session.post(URL, json=body(email), timeout=10).raise_for_status()


if __name__ == "__main__":
    for address in emails(int(sys.argv[1])):
        send.send(address)
