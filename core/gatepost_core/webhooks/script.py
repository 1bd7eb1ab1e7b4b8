"""Calls of the webhooks' script, and the record of an event that no Lua script records."""

from __future__ import annotations

import json
from importlib import resources
from typing import TYPE_CHECKING, Any, Final

from gatepost_core.redis.errors import translated_errors
from gatepost_core.redis.keys import SERVER_CLOCK, ending, event_recorder, webhook_names
from gatepost_core.webhooks.events import EventType, checked_data

if TYPE_CHECKING:
    from collections.abc import Mapping

    from redis import Redis

    from gatepost_core.redis.keys import RedisKeys

_RECORD: Final = "return record_event(ARGV[1], cjson.decode(ARGV[2]), math.floor(now_us / 1000)) and 1 or 0\n"


class WebhookScript:
    """Calls the script in one Redis. Thread-safe."""

    def __init__(self, client: Redis, keys: RedisKeys, clock: str = SERVER_CLOCK) -> None:
        text = resources.files("gatepost_core.webhooks").joinpath("webhooks.lua").read_text(encoding="utf-8")
        self._script = client.register_script(ending(clock + keys.lua + webhook_names(keys) + event_recorder() + text))

    def __call__(self, call: str, *arguments: Any) -> list[Any]:
        """Make a call, and return its reply with texts in place of bytes.

        Raises:
            Unavailable: Redis did not answer.
        """
        with translated_errors():
            reply: list[Any] = _texts(self._script(args=[call, *arguments]))
        return reply


def _texts(reply: Any) -> Any:
    if isinstance(reply, list):
        return [_texts(part) for part in reply]
    return reply.decode() if isinstance(reply, bytes) else reply


def record(client: Redis, keys: RedisKeys, event: EventType, data: Mapping[str, Any]) -> None:
    """Record an event, such as `record(client, keys, EventType.PROBE_FAILED, {"tenant": "default", "step": "login"})`.

    Without an endpoint that subscribes to the type, nothing is written.

    Args:
        client: the ledger's Redis, or a pipeline of it: a transaction records the event together with its own changes.
        keys: the names in it.
        event: the type.
        data: the fields that the type lists in `EventType`: ids, counts, states and reasons, never a person.

    Raises:
        ValueError: a field does not belong to the type, or its value could be personal.
        Unavailable: Redis did not answer. The event may have been recorded.
    """
    script = ending(SERVER_CLOCK + keys.lua + event_recorder() + _RECORD)
    with translated_errors():
        client.eval(script, 0, event.value, json.dumps(checked_data(event, data)))
