"""The memory in Redis of one operation: while it waits, after its end, and with an idempotency key."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Final

import redis

from comparison.processes import redis_server, scratch, started
from comparison.runners import GATEPOST, gatepost_environment, gatepost_settings, wait_for_listeners
from gatepost import Producer
from gatepost_core.redis.keys import RedisKeys
from gatepost_core.states import State

if TYPE_CHECKING:
    from pathlib import Path

    from comparison.stub import Stub

_TIMEOUT_S: Final = 300.0
_WARM_UP: Final = 100


def measure(stub: Stub, count: int) -> dict[str, float]:
    """Enqueue sends, let a worker carry them out, and return bytes for each.

    Args:
        stub: where the worker sends.
        count: how many sends, each with and without an idempotency key.

    Returns:
        `queued` and `settled`: bytes of one send with its entry for erasures, and before its end with its message. `celery_result`: bytes of
        its outcome in the form of Celery's results. `idempotency_key`: bytes that a key adds to a settled send.

    Raises:
        SystemExit: a send was not accepted.
    """
    queued, with_result, settled = _bytes(stub, count, keyed=False)
    _, _, keyed = _bytes(stub, count, keyed=True)
    return {
        "queued": queued,
        "settled": settled,
        "celery_result": with_result - settled,
        "idempotency_key": keyed - settled,
    }


def _bytes(stub: Stub, count: int, *, keyed: bool) -> tuple[float, float, float]:
    with ExitStack() as stack:
        directory = stack.enter_context(scratch())
        url, _ = stack.enter_context(redis_server(directory))
        client = stack.enter_context(redis.Redis.from_url(url))
        environment = gatepost_environment(stub, url, tls=False)
        producer = stack.enter_context(Producer(gatepost_settings(environment)))
        # The scripts and the workers' own keys are not counted.
        _carry_out(producer, _enqueue(producer, range(_WARM_UP), keyed=keyed), environment, directory, url)
        empty = _used(client)
        ids = _enqueue(producer, range(_WARM_UP, _WARM_UP + count), keyed=keyed)
        queued = _used(client)
        _carry_out(producer, ids, environment, directory, url)
        with_result = _used(client)
        client.delete(*map(RedisKeys().celery_result, ids))
        queued_bytes, with_result_bytes, settled_bytes = (used - empty for used in (queued, with_result, _used(client)))
        return queued_bytes / count, with_result_bytes / count, settled_bytes / count


def _carry_out(producer: Producer, ids: list[str], environment: dict[str, str], directory: Path, url: str) -> None:
    with started([GATEPOST, "worker", "--beat"], environment, directory, directory / "worker.log"):
        wait_for_listeners(url, 1)
        for operation_id in ids:
            outcome = producer.handle(operation_id).wait(_TIMEOUT_S)
            if outcome.state is not State.ACCEPTED:
                raise SystemExit(f"a send ended {outcome.state}: {outcome.reason} {outcome.detail}")


def _enqueue(producer: Producer, numbers: range, *, keyed: bool) -> list[str]:
    commands = (
        {"kind": "send_email", "email": f"guest-{number}@example.com"}
        | ({"idempotency_key": f"key {number}"} if keyed else {})
        for number in numbers
    )
    return [result.operation_id or "" for result in producer.send_many(commands)]


def _used(client: redis.Redis) -> int:
    return int(client.info("memory")["used_memory"])
