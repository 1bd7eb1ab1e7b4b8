"""Compressed bytes, in the forms that message libraries write, unpacked within bounds: for the search of dead letters.

A message that comes compressed is refused and kept as it came; what is in it must be found again when a person is to be erased.
"""

from __future__ import annotations

import bz2
import lzma
import zlib
from typing import Final

LONGEST_UNPACKED: Final = 16 << 20
"""Bytes. A letter holds a mebibyte, which can unpack to a gigabyte."""
_MEMORY: Final = 256 << 20
_GZIP_OR_ZLIB: Final = 32 + zlib.MAX_WBITS
_OTHERS: Final = (b"\x28\xb5\x2f\xfd", b"\x04\x22\x4d\x18")


class CannotUnpack(Exception):
    """The bytes are compressed in a form that is not known here, or would be too long."""


def unpacked(data: bytes, longest: int = LONGEST_UNPACKED) -> bytes | None:
    """Return what compressed bytes hold, or None when they do not begin as such.

    Raises:
        CannotUnpack: they do, and cannot be unpacked.
    """
    if data.startswith(_OTHERS):
        raise CannotUnpack
    try:
        if data.startswith(b"\x1f\x8b") or _is_zlib(data):
            return _within(zlib.decompressobj(_GZIP_OR_ZLIB).decompress(data, longest + 1), longest)
        if data.startswith(b"BZh"):
            return _within(bz2.BZ2Decompressor().decompress(data, longest + 1), longest)
        if data.startswith(b"\xfd7zXZ\x00"):
            return _within(lzma.LZMADecompressor(memlimit=_MEMORY).decompress(data, longest + 1), longest)
    except (zlib.error, lzma.LZMAError, OSError, EOFError):
        # Only its beginning looked like that, or nobody can read it.
        return None
    return None


def _is_zlib(data: bytes) -> bool:
    # RFC 1950 2.2: deflate with a window of 32 KiB, and a check that makes the first two bytes a multiple of 31.
    return data[:1] == b"\x78" and len(data) > 1 and int.from_bytes(data[:2], "big") % 31 == 0


def _within(found: bytes, longest: int) -> bytes:
    if len(found) > longest:
        raise CannotUnpack
    return found
