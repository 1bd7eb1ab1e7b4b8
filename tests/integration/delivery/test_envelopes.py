"""How a worker reads an envelope on a Redis list, which any client may write."""

from __future__ import annotations

import base64
import json
import uuid
from typing import TYPE_CHECKING, Any

import kombu

from gatepost_core.kinds import Queue
from support.keys import KEYS

if TYPE_CHECKING:
    import redis
    from celery import Celery


def test_an_envelope_does_not_say_where_its_message_goes_back_to(app: Celery, redis_client: redis.Redis) -> None:
    """Otherwise an unacknowledged message would go to a key that the message names, under the tag of another message."""
    envelope = {
        "body": base64.b64encode(b"[[], {}, {}]").decode(),
        "content-type": "application/json",
        "content-encoding": "utf-8",
        "headers": {"id": str(uuid.uuid4()), "task": "gatepost.reconcile"},
        "properties": {
            "body_encoding": "base64",
            "delivery_tag": "a tag of another",
            "delivery_info": {"exchange": "elsewhere", "routing_key": "gatepost:operation:1"},
        },
    }
    redis_client.lpush(KEYS.queue(Queue.SEND), json.dumps(envelope))
    taken: list[Any] = []

    def take(message: Any) -> None:
        taken.append((dict(message.delivery_info), message.delivery_tag))
        message.ack()

    with app.connection_for_read() as connection, connection.channel() as channel:
        queues = [kombu.Queue(KEYS.queue(Queue.SEND))]
        with kombu.Consumer(channel, queues, on_message=take, accept=["json"]):
            connection.drain_events(timeout=10)

    (where, tag) = taken[0]
    assert (where["exchange"], where["routing_key"]) == (KEYS.queue(Queue.SEND), KEYS.queue(Queue.SEND))
    assert tag != "a tag of another"
