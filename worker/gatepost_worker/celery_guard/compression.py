"""Compressed bodies: not unpacked, because kombu would do it before anybody can look, and a megabyte can become a gigabyte.

Nothing of Gatepost's compresses. `gatepost_core.broker.message_validation` then says what is wrong with such a message.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

from kombu import compression

if TYPE_CHECKING:
    from collections.abc import Callable


def refuse() -> None:
    """Let kombu unpack nothing in this process; it keeps the refusal with the message, and leaves the body as it is."""
    for content_type in compression.encoders():
        # kombu's hints say that this is one function.
        pair: Any = compression.get_encoder(content_type)
        encoder: Callable[[bytes], bytes] = pair[0]
        compression.register(encoder, _refused, content_type)


def _refused(_body: bytes) -> NoReturn:
    raise ValueError("the body is compressed")
