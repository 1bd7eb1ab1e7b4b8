"""Raw envelopes pushed to a Redis broker, as a client in another language writes them."""

from __future__ import annotations

import base64
import json
import uuid
from typing import TYPE_CHECKING, Any

from gatepost_core.broker.messages import SUBMIT
from gatepost_core.kinds import Queue
from support.keys import KEYS

if TYPE_CHECKING:
    from redis import Redis


def push(client: Redis, kwargs: dict[str, Any], *, body: Any = None, **headers: Any) -> str:
    """Write the smallest envelope that a worker accepts, and return the task's id.

    Args:
        client: the broker's Redis.
        kwargs: the task's arguments.
        body: replaces the whole body when given.
        headers: instead of those that are usual, or besides them; None leaves one out.
    """
    usual = {"task": SUBMIT, "id": str(uuid.uuid4())}
    envelope = {
        "body": base64.b64encode(json.dumps([[], kwargs, {}] if body is None else body).encode()).decode(),
        "content-encoding": "utf-8",
        "content-type": "application/json",
        "headers": {name: value for name, value in {**usual, **headers}.items() if value is not None},
        "properties": {
            "body_encoding": "base64",
            "delivery_tag": str(uuid.uuid4()),
            "delivery_info": {"exchange": "", "routing_key": KEYS.queue(Queue.SEND)},
        },
    }
    client.lpush(KEYS.queue(Queue.SEND), json.dumps(envelope))
    return str(headers.get("id") or usual["id"])
