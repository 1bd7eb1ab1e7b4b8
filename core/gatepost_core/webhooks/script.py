"""Calls of the webhooks' script."""

from __future__ import annotations

from importlib import resources
from typing import TYPE_CHECKING, Any

from gatepost_core.redis.errors import translated_errors
from gatepost_core.redis.keys import SERVER_CLOCK, ending, event_recorder, webhook_names

if TYPE_CHECKING:
    from redis import Redis

    from gatepost_core.redis.keys import RedisKeys


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
