"""The usual way: Celery as it comes, and auth0-python's client in the task.

`python usual.py send|login COUNT` enqueues. `python usual.py latency COUNT EVERY_S` prints a JSON list of milliseconds.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

from auth0.authentication import GetToken, Passwordless
from celery import Celery
from request import BASE_URL, REDIS_URL, emails

app = Celery("usual", broker=REDIS_URL, backend=REDIS_URL)
PROTOCOL, _, DOMAIN = BASE_URL.partition("://")


@app.task
def send(email: str) -> Any:
    """Ask for a code by e-mail."""
    client = Passwordless(DOMAIN, "client", client_secret="secret", protocol=PROTOCOL)  # noqa: S106 - the stub has none
    return client.email(email, send="code")


@app.task
def login(email: str, code: str) -> Any:
    """Exchange a code for tokens."""
    client = GetToken(DOMAIN, "client", client_secret="secret", protocol=PROTOCOL)  # noqa: S106 - as above
    return client.passwordless_login(email, code, "email", "openid", "")


def latencies(count: int, every_s: float) -> list[float]:
    """Enqueue logins at an even rate, and return the milliseconds from each call until its task was done."""
    # The first call connects.
    login.delay("first@example.com", "123456").get(60)
    begun = []
    started = time.perf_counter()
    for number, email in enumerate(emails(count)):
        time.sleep(max(0.0, started + number * every_s - time.perf_counter()))
        at = time.time()
        begun.append((at, login.delay(email, "123456")))
    times = []
    for at, result in begun:
        result.get(60)
        times.append(1000 * (result.date_done.timestamp() - at))
    return times


if __name__ == "__main__":
    what, count = sys.argv[1], int(sys.argv[2])
    if what == "latency":
        print(json.dumps(latencies(count, float(sys.argv[3]))))
    else:
        for address in emails(count):
            send.delay(address) if what == "send" else login.delay(address, "123456")
