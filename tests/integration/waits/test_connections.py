"""The connections of producers: closed with them, and not shared with a process that was forked off."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from gatepost import Campaigns, Producer

if TYPE_CHECKING:
    from collections.abc import Callable

    import redis

    from gatepost_core.settings import Settings


def test_producers_that_are_closed_leave_no_connection(
    make_settings: Callable[..., Settings], redis_client: redis.Redis
) -> None:
    """Those to the broker are closed too, however many producers a process makes in its life."""
    before = len(redis_client.client_list())
    for _ in range(3):
        with Producer(make_settings()) as producer:
            producer.send_email("someone@example.com")
            producer.campaigns.list()
        with Campaigns(make_settings()) as campaigns:
            campaigns.start(campaigns.create("spring"))

    assert len(redis_client.client_list()) == before


def test_a_closed_producer_leaves_another_its_connections(make_settings: Callable[..., Settings]) -> None:
    """Two with the same settings share nothing that one of them closes."""
    settings = make_settings()
    with Producer(settings) as one:
        with Producer(settings) as other:
            other.send_email("someone@example.com")
            one.send_email("someone@example.com")
        pool = one.app.pool
        handle = one.send_email("another@example.com")

        assert handle.state() == "queued"
        assert one.app.pool is pool


def test_a_child_that_was_forked_has_its_own_broker_connections(make_settings: Callable[..., Settings]) -> None:
    """Servers such as gunicorn fork without multiprocessing, which is all that Celery notices."""
    with Producer(make_settings()) as producer:
        producer.send_email("someone@example.com")
        pools = producer.app.pool, producer.app.amqp.producer_pool
        child = os.fork()
        if child == 0:
            shares = producer.app.pool is pools[0] or producer.app.amqp.producer_pool is pools[1]
            os._exit(int(shares))
        _, status = os.waitpid(child, 0)

        assert os.waitstatus_to_exitcode(status) == 0
        assert (producer.app.pool, producer.app.amqp.producer_pool) == pools
