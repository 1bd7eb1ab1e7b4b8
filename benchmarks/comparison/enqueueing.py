"""Single operations that one producer enqueues in a second: Gatepost's ways beside stock Celery's `delay()`."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from celery import Celery

from comparison.processes import redis_server, scratch, usage
from comparison.runners import gatepost_settings, sealed_environment
from gatepost import Producer

if TYPE_CHECKING:
    from collections.abc import Callable

_WARM_UP: Final = 100


def one_by_one(redis_url: str) -> Callable[[int], None]:
    """Return a loop of `Producer.send_email`."""
    producer = Producer(gatepost_settings(sealed_environment(redis_url)))

    def enqueue(count: int) -> None:
        for number in range(count):
            producer.send_email(f"guest-{number}@example.com")

    return enqueue


def many(redis_url: str) -> Callable[[int], None]:
    """Return one call of `Producer.send_many`."""
    producer = Producer(gatepost_settings(sealed_environment(redis_url)))

    def enqueue(count: int) -> None:
        commands = ({"kind": "send_email", "email": f"guest-{number}@example.com"} for number in range(count))
        refused = [item for item in producer.send_many(commands) if item.error]
        if refused:
            raise SystemExit(f"{len(refused)} of {count} commands were refused")

    return enqueue


def delay(redis_url: str) -> Callable[[int], None]:
    """Return a loop of stock Celery's `delay()`."""
    app = Celery("stock", broker=redis_url, set_as_current=False)

    @app.task(name="send", ignore_result=True)
    def send(email: str) -> None:
        """Do nothing; it is only published."""

    def enqueue(count: int) -> None:
        for number in range(count):
            send.delay(f"guest-{number}@example.com")

    return enqueue


WAYS: Final = {
    "Celery, a loop of `delay()`": delay,
    "Gatepost, a loop of `send_email`": one_by_one,
    "Gatepost, `send_many`": many,
}


def measure(name: str, count: int) -> dict[str, Any]:
    """Enqueue operations into a new Redis, and return the rate, and the CPU seconds of this process and of Redis."""
    with scratch() as directory, redis_server(directory) as (url, group):
        enqueue = WAYS[name](url)
        enqueue(_WARM_UP)
        of_redis, cpu, began = usage([group])[0], time.process_time(), time.perf_counter()
        enqueue(count)
        rate = count / (time.perf_counter() - began)
        cpu_s = time.process_time() - cpu
        of_redis_s = usage([group])[0] - of_redis
        return {
            "rate": rate,
            "cpu_s_per_1000": cpu_s / count * 1000,
            "redis_cpu_s_per_1000": of_redis_s / count * 1000,
        }
