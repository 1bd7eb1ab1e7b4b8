"""Compressed bytes, in the forms that message libraries write, unpacked within bounds: for the search of dead letters.

A message that comes compressed is refused and kept as it came; what is in it must be found again when a person is to be erased.
"""

from __future__ import annotations

import bz2
import lzma
import zlib
from typing import Any, Final

LONGEST_UNPACKED: Final = 4 << 20
"""Bytes. A letter holds a mebibyte, which can unpack to a gigabyte."""
_MEMORY: Final = 256 << 20
_GZIP_OR_ZLIB: Final = 32 + zlib.MAX_WBITS
# Zstandard's and LZ4's, which the standard library does not read.
_OTHERS: Final = (b"\x28\xb5\x2f\xfd", b"\x04\x22\x4d\x18")
_BEGINNINGS: Final[dict[bytes, Any]] = {
    b"\x1f\x8b": lambda: zlib.decompressobj(_GZIP_OR_ZLIB),
    # A block, or the end, in front of which stands nothing but the block's size.
    **{b"BZh%d1AY" % size: bz2.BZ2Decompressor for size in range(1, 10)},
    **{b"BZh%d\x17\x72" % size: bz2.BZ2Decompressor for size in range(1, 10)},
    b"\xfd7zXZ\x00": lambda: lzma.LZMADecompressor(memlimit=_MEMORY),
    b"\x5d\x00\x00": lambda: lzma.LZMADecompressor(memlimit=_MEMORY),
}


class CannotUnpack(Exception):
    """The bytes are compressed, and in a form that is not known here, damaged, or too long."""


def unpacked(data: bytes, longest: int = LONGEST_UNPACKED) -> bytes | None:
    """Return what compressed bytes hold, all members of them and whatever is compressed within; None when they are plain.

    Raises:
        CannotUnpack: they are not, and cannot be unpacked as a whole.
    """
    inner = _once(data, longest)
    found = None
    while inner is not None:
        found = inner
        longest -= len(inner)
        inner = _once(inner, longest)
    return found


def _once(data: bytes, longest: int) -> bytes | None:
    rest, found = data.lstrip(b"\r\n\t "), b""
    if rest.startswith(_OTHERS):
        raise CannotUnpack
    is_packed = False
    while (reader := _reader_of(rest)) is not None:
        try:
            found += reader.decompress(rest, longest + 1 - len(found))
        except (zlib.error, lzma.LZMAError, OSError, EOFError):
            if _is_zlib(rest) and not is_packed:
                # Two letters of a plain text can look like it.
                return None
            raise CannotUnpack from None
        is_packed = True
        if len(found) > longest:
            raise CannotUnpack
        # What was cut off says what is left of it; what follows a member is another one, or padding.
        rest = reader.unused_data if reader.eof else b""
    return found if is_packed else None


def _reader_of(data: bytes) -> Any:
    if _is_zlib(data):
        return zlib.decompressobj(_GZIP_OR_ZLIB)
    return next((make() for beginning, make in _BEGINNINGS.items() if data.startswith(beginning)), None)


def _is_zlib(data: bytes) -> bool:
    # RFC 1950 2.2: deflate with a window of 32 KiB, and a check that makes the first two bytes a multiple of 31.
    return data[:1] == b"\x78" and len(data) > 1 and int.from_bytes(data[:2], "big") % 31 == 0
