"""The reconciler continues, whatever a record contains."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from gatepost import Producer
from gatepost_core.kinds import Queue
from gatepost_worker.upkeep.reconciler import Reconciler
from support.keys import KEYS

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest
    import redis

    from gatepost_core.settings import Settings


def test_a_record_of_a_later_version_does_not_stop_the_sweep(
    make_settings: Callable[..., Settings], redis_client: redis.Redis
) -> None:
    """Its kind is unknown here; everybody else's lost message is published again all the same."""
    settings = make_settings(republish_after=0.3)
    with Producer(settings) as producer:
        first, second = (producer.send_email(f"guest-{number}@example.com") for number in range(2))
        redis_client.hset(KEYS.operation(first.operation_id), "kind", "send_pigeon")
        assert redis_client.delete(KEYS.queue(Queue.SEND)) == 1
        while len(producer.ledger.due(10)) < 2:
            time.sleep(0.01)
        looked_at = Reconciler(producer.app, producer.ledger, redis_client, KEYS).run()

        published = b"".join(redis_client.lrange(KEYS.queue(Queue.SEND), 0, -1))
    assert looked_at >= 2
    assert second.operation_id.encode() in published


def test_an_open_operation_whose_record_is_gone_is_named_in_the_log(
    make_settings: Callable[..., Settings], redis_client: redis.Redis, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its end is not known, so the log has its id; it is not published again."""
    with Producer(make_settings()) as producer:
        handle = producer.send_email("guest@example.com", deadline=datetime.now(UTC) - timedelta(seconds=1))
        redis_client.delete(KEYS.operation(handle.operation_id), KEYS.queue(Queue.SEND))
        looked_at = Reconciler(producer.app, producer.ledger, redis_client, KEYS).run()

    said = capsys.readouterr()
    assert looked_at == 1
    assert "operation.missing" in said.out + said.err
    assert handle.operation_id in said.out + said.err
    assert redis_client.llen(KEYS.queue(Queue.SEND)) == 0
