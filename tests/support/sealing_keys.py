"""The sealing key of the tests, and how settings spell several keys."""

from __future__ import annotations

from typing import Final

from gatepost_core.sealing import Key

SEALING_KEY: Final = Key("test", bytes(range(32)))


def ring(*keys: Key) -> str:
    """Return the keys as GATEPOST_SEALING_KEYS lists them."""
    return ",".join(key.reveal() for key in keys)
