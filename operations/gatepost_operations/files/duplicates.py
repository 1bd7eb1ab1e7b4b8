"""Which recipients have come before, in six bytes each."""

from __future__ import annotations

from hashlib import blake2b
from typing import Final

_BUCKETS: Final = 65_536
_SUFFIX: Final = 6


class DuplicateFinder:
    """A set that answers one question: has this recipient come before?

    It keeps 64 bits of a hash for each: 16 of them name a bucket, 48 are stored there, which takes about 85 MB for ten
    million recipients. The chance that any two of n different recipients are taken for one is about n² / 2⁶⁵: one in
    370,000 for ten million. That is good enough to count, and too little to leave somebody out.
    """

    def __init__(self) -> None:
        self._buckets: list[bytearray | None] = [None] * _BUCKETS

    def add(self, recipient: str) -> bool:
        """Remember the recipient, in its normal form.

        Returns:
            Whether it is new.
        """
        digest = blake2b(recipient.encode(), digest_size=2 + _SUFFIX).digest()
        number, suffix = digest[0] << 8 | digest[1], digest[2:]
        bucket = self._buckets[number]
        if bucket is None:
            self._buckets[number] = bytearray(suffix)
            return True
        place = bucket.find(suffix)
        while place % _SUFFIX and place >= 0:
            # The end of one entry and the beginning of the next.
            place = bucket.find(suffix, place + 1)
        if place >= 0:
            return False
        bucket += suffix
        return True
