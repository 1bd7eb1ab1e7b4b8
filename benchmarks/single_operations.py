"""The cost of single operations: logins with results by one worker, and enqueueing: `python benchmarks/single_operations.py [LOGINS]`.

Real processes: Valkey with AOF, a stub that answers every token request at once, one worker. CPU seconds are the figure to trust on a busy
machine.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import redis
from celery import Celery
from pydantic import SecretStr

from gatepost import Producer
from gatepost_core.sealing import Key
from gatepost_core.settings import Settings
from gatepost_operations.local.embedded_valkey import EmbeddedValkey

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).parent
RESULT = HERE / "results" / "single_operations.json"
TOKENS = json.dumps({"access_token": "a" * 800, "token_type": "Bearer", "expires_in": 86_400, "scope": "profile"})
ENQUEUED = 2_000
WARM_UP = 100


@contextmanager
def program(*command: str, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program until the block ends."""
    log = (Path(tempfile.gettempdir()) / f"gatepost-bench-{os.getpid()}.log").open("ab")
    process = subprocess.Popen(
        [sys.executable, *command], env={**os.environ, **environment}, stdout=subprocess.PIPE, stderr=log
    )
    try:
        yield process
    finally:
        process.terminate()
        process.wait(30)
        log.close()


def cpu_of(pid: int) -> float:
    """Return the CPU seconds of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def cpu_of_redis(client: Any) -> float:
    """Return the CPU seconds of the server."""
    found = client.info("cpu")
    return float(found["used_cpu_user"]) + float(found["used_cpu_sys"])


def log_in(producer: Producer, number: int) -> None:
    """Enqueue logins and wait for the last one."""
    handles = [
        producer.login_with_email(f"login-{n}@example.com", "000000", scope="profile", deadline=None)
        for n in range(number)
    ]
    for handle in handles:
        handle.result(300)


def logins(settings: Settings, client: Any, number: int, concurrency: int) -> dict[str, float]:
    """Return the rate and the cost of logins by one worker."""
    environment = {
        "GATEPOST_REDIS_URL": settings.redis_url.get_secret_value(),
        "GATEPOST_SEALING_KEYS": settings.sealing_keys[0].get_secret_value(),
        "GATEPOST_FINGERPRINT_KEY": "a key for tests",
        "AUTH0_DOMAIN": settings.auth0_domain or "",
        "AUTH0_BASE_URL": settings.auth0_base_url or "",
        "AUTH0_CLIENT_ID": "client",
        "AUTH0_CLIENT_SECRET": "secret",
        "GATEPOST_CONCURRENCY": str(concurrency),
    }
    options = ["-A", "gatepost_worker", "worker", "-Q", "gatepost.login", "--without-gossip", "--without-mingle"]
    with program("-m", "celery", *options, **environment) as worker, Producer(settings) as producer:
        log_in(producer, WARM_UP)
        before, of_redis, began = cpu_of(worker.pid), cpu_of_redis(client), time.monotonic()
        log_in(producer, number)
        seconds = time.monotonic() - began
        return {
            "per_second": round(number / seconds, 1),
            "worker_cpu_ms": round(1000 * (cpu_of(worker.pid) - before) / number, 3),
            "redis_cpu_ms": round(1000 * (cpu_of_redis(client) - of_redis) / number, 3),
        }


def rate(enqueue: Any, number: int) -> dict[str, float]:
    """Return the rate and the cost of a call that enqueues a number of operations."""
    cpu, began = time.process_time(), time.monotonic()
    enqueue(number)
    seconds = time.monotonic() - began
    return {
        "per_second": round(number / seconds),
        "cpu_ms": round(1000 * (time.process_time() - cpu) / number, 3),
    }


def enqueueing(settings: Settings) -> dict[str, dict[str, float]]:
    """Return the cost of each way to enqueue, beside a loop of stock Celery's `delay()`."""
    stock = Celery("stock", broker=settings.redis_url.get_secret_value(), set_as_current=False)
    stock.conf.task_ignore_result = True

    @stock.task(name="send")
    def send(email: str) -> None:
        """Do nothing; it is only published."""

    with Producer(settings) as producer:

        def one_by_one(number: int) -> None:
            for n in range(number):
                producer.send_email(f"guest-{n}@example.com")

        def many(number: int) -> None:
            commands = ({"kind": "send_email", "email": f"guest-{n}@example.com"} for n in range(number))
            for _ in producer.send_many(commands):
                pass

        def delay(number: int) -> None:
            for n in range(number):
                send.delay(f"guest-{n}@example.com")

        ways: dict[str, Any] = {"delay": delay, "send_email": one_by_one, "send_many": many}
        for way in ways.values():
            way(WARM_UP)
        return {name: rate(way, ENQUEUED) for name, way in ways.items()}


def main() -> None:
    """Measure and print."""
    number = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000
    with (
        tempfile.TemporaryDirectory() as directory,
        EmbeddedValkey(Path(directory)) as valkey,
        redis.Redis.from_url(valkey.url) as client,
        program(str(HERE / "campaign_stub.py"), "0", TOKENS) as stub,
    ):
        settings = Settings(
            redis_url=SecretStr(valkey.url),
            sealing_keys=(SecretStr(Key("bench", bytes(range(32))).reveal()),),
            fingerprint_key=SecretStr("a key for tests"),
            auth0_domain="localhost",
            auth0_base_url=f"http://127.0.0.1:{int(stub.stdout.readline() if stub.stdout else 0)}",
            auth0_client_id="client",
            auth0_client_secret=SecretStr("secret"),
        )
        figures: dict[str, Any] = {
            f"logins, concurrency {concurrency}": logins(settings, client, number, concurrency)
            for concurrency in (1, 4, 8, 32)
        }
        figures |= enqueueing(settings)
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
