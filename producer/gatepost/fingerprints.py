"""Keyed fingerprints: tell recipients apart without naming them.

HMAC-SHA-256 under a key of its own, which does not rotate with the sealing keys: a plain hash of an address is found again by
trying a dictionary, a keyed one is not.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Fingerprints:
    """Makes fingerprints under one key."""

    key: bytes = field(repr=False)

    def digest(self, *parts: str) -> bytes:
        """Return 32 bytes for the parts; their order and boundaries count."""
        return hmac.digest(self.key, "\x1f".join(parts).encode("utf-8", "surrogatepass"), "sha256")

    def short(self, *parts: str) -> str:
        """Return 16 hexadecimal digits, for logs."""
        return self.digest(*parts)[:8].hex()
