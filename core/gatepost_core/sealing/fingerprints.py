"""Keyed fingerprints: tell recipients apart without naming them.

HMAC-SHA-256 under a key of its own, which does not rotate with the sealing keys: a plain hash of an address is found again by
trying a dictionary, a keyed one is not. Each purpose has a label, so that one person's fingerprints in two places have nothing in common.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

FINGERPRINT_BYTES: Final = 8
"""Bytes of a recipient's fingerprint, wherever one is stored or logged."""


class Origin(StrEnum):
    """Where a command came from.

    Each origin has idempotency keys of its own: the key of a message on the queue can be read there, and under it an outsider could
    try out commands until one is taken for the sealed one.
    """

    PRODUCER = "producer"
    SEALED = "sealed"
    """Through `gatepost.submit`, as a JWE."""
    PLAIN = "plain"
    """Through `gatepost.submit`, in clear: everybody who can write to the broker can do it."""


@dataclass(frozen=True, slots=True)
class Fingerprints:
    """Makes fingerprints under one key."""

    key: bytes = field(repr=False)

    def digest(self, *parts: str) -> bytes:
        """Return 32 bytes for the parts; their order and boundaries count."""
        text = "".join([f"{len(part)}:{part}" for part in parts])
        return hmac.digest(self.key, text.encode("utf-8", "surrogatepass"), "sha256")

    def operation(self, recipient: str, origin: Origin = Origin.PRODUCER) -> str:
        """Return a recipient's fingerprint in the index of operations, as hexadecimal digits.

        Plain submissions have a label of their own: they would otherwise show an outsider which other operations a person has.
        """
        return self._short("submission" if origin is Origin.PLAIN else "operation", recipient).hex()

    def campaign(self, campaign_id: str, recipient: str) -> bytes:
        """Return a recipient's fingerprint in one campaign: in its index and its guest list."""
        return self._short("campaign", campaign_id, recipient)

    def suppression(self, recipient: str) -> bytes:
        """Return a recipient's fingerprint in the suppression list."""
        return self._short("suppression", recipient)

    def log(self, recipient: str) -> str:
        """Return a recipient's fingerprint in logs, as hexadecimal digits."""
        return self._short("log", recipient).hex()

    @property
    def check(self) -> str:
        """Sixteen hexadecimal digits by which two processes can tell whether they have the same key."""
        return self._short("check").hex()

    def _short(self, *parts: str) -> bytes:
        return self.digest(*parts)[:FINGERPRINT_BYTES]
