"""Find repeated recipients with little memory."""

from __future__ import annotations

from hashlib import blake2b
from typing import Final

_BUCKETS: Final = 65_536
_SUFFIX: Final = 6


class DuplicateFinder:
    """A compact set of recipients.

    It stores 64 bits of a hash for each recipient: 16 bits choose a bucket, and the bucket stores the other 48 bits. Ten million recipients
    take about 90 MB, which is nine bytes each. The probability that two of n different recipients have the same hash is about n² / 2⁶⁵, which
    is 1 in 370,000 for ten million. So use it for counts only, and never to skip a recipient.
    """

    def __init__(self) -> None:
        self._buckets: list[bytearray | None] = [None] * _BUCKETS

    def add(self, recipient: str) -> bool:
        """Add a normalised recipient.

        Returns:
            Whether the recipient is new.
        """
        digest = blake2b(recipient.encode(), digest_size=2 + _SUFFIX).digest()
        number, suffix = digest[0] << 8 | digest[1], digest[2:]
        bucket = self._buckets[number]
        if bucket is None:
            self._buckets[number] = bytearray(suffix)
            return True
        place = bucket.find(suffix)
        while place % _SUFFIX and place >= 0:
            # The match spans two entries.
            place = bucket.find(suffix, place + 1)
        if place >= 0:
            return False
        bucket += suffix
        return True
