"""The memory in Redis of one operation: while it waits, after its end, and with an idempotency key."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Final

import redis

from comparison.processes import redis_server, scratch, started
from comparison.runners import GATEPOST, gatepost_environment, gatepost_settings, wait_for_listeners
from gatepost import Producer
from gatepost_core.states import State

if TYPE_CHECKING:
    from comparison.stub import Stub

_TIMEOUT_S: Final = 300.0


def measure(stub: Stub, count: int) -> dict[str, float]:
    """Enqueue sends, let a worker carry them out, and return bytes for each.

    Args:
        stub: where the worker sends.
        count: how many sends, each with and without an idempotency key.

    Returns:
        `queued` and `settled`: bytes of one send with its entry for erasures, and before its end with its message; `result_expires_s`: Celery's
        copy of the outcome, part of `settled`, is kept for so long. `idempotency_key`: bytes that a key adds to a settled send.

    Raises:
        SystemExit: a send was not accepted.
    """
    queued, settled = _bytes(stub, count, keyed=False)
    _, keyed = _bytes(stub, count, keyed=True)
    return {"queued": queued, "settled": settled, "idempotency_key": keyed - settled}


def _bytes(stub: Stub, count: int, *, keyed: bool) -> tuple[float, float]:
    with ExitStack() as stack:
        directory = stack.enter_context(scratch())
        url, _ = stack.enter_context(redis_server(directory))
        client = stack.enter_context(redis.Redis.from_url(url))
        environment = gatepost_environment(stub, url, tls=False)
        producer = stack.enter_context(Producer(gatepost_settings(environment)))
        _enqueue(producer, range(1), keyed=keyed)
        empty = _used(client)
        ids = _enqueue(producer, range(1, count + 1), keyed=keyed)
        queued = _used(client)
        with ExitStack() as worker:
            log = directory / "worker.log"
            worker.enter_context(started([GATEPOST, "worker", "--beat"], environment, directory, log))
            wait_for_listeners(url, 1)
            for operation_id in ids:
                outcome = producer.handle(operation_id).wait(_TIMEOUT_S)
                if outcome.state is not State.ACCEPTED:
                    raise SystemExit(f"a send ended {outcome.state}: {outcome.reason} {outcome.detail}")
        return (queued - empty) / count, (_used(client) - empty) / count


def _enqueue(producer: Producer, numbers: range, *, keyed: bool) -> list[str]:
    commands = (
        {"kind": "send_email", "email": f"guest-{number}@example.com"}
        | ({"idempotency_key": f"key {number}"} if keyed else {})
        for number in numbers
    )
    return [result.operation_id or "" for result in producer.send_many(commands)]


def _used(client: redis.Redis) -> int:
    return int(client.info("memory")["used_memory"])
