"""Decompress gzip, bzip2 and xz data, also one inside another, within bounds of size and memory."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zlib
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from _typeshed import WriteableBuffer

DAMAGES: Final = (EOFError, zlib.error, gzip.BadGzipFile, lzma.LZMAError)
"""The errors of compressed data that is broken or ends early."""
STEEPEST_RATIO: Final = 400
"""Deflate reaches about 1,030. A recipient file stays below 100, even if its rows differ in a number only."""

_RATIO_COUNTS_FROM: Final = 8 * 1024 * 1024
_XZ_MEMORY: Final = 256 * 1024 * 1024
_BLOCK: Final = 65_536
_UNREADABLE: Final = {
    b"\x28\xb5\x2f\xfd": ("zstd", "zstd -d"),
    b"\x04\x22\x4d\x18": ("lz4", "lz4 -d"),
    b"7z\xbc\xaf\x27\x1c": ("7-Zip", "7z x"),
    b"Rar!\x1a\x07": ("RAR", "unrar x"),
    b"\x1f\x9d": ("compress", "uncompress"),
    b"LZIP": ("lzip", "lzip -d"),
}


class TooSteep(Exception):
    """The data unpacks to implausibly much."""


def unpacked(head: bytes, packed: io.BufferedReader[io.RawIOBase], stored: Callable[[], int]) -> io.RawIOBase | None:
    """Return the decompressed data, or None if the data is not compressed in a known way.

    Args:
        head: the first bytes.
        packed: the data.
        stored: gives the bytes read so far from the stored file.
    """
    if head.startswith(b"\x1f\x8b"):
        return _Bounded(gzip.GzipFile(fileobj=packed, mode="rb"), stored)
    if head.startswith(b"BZh"):
        return _Bounded(_Bzip2(packed), stored)
    if head.startswith(b"\xfd7zXZ\x00"):
        return _Bounded(_Xz(packed), stored)
    return None


def how_to_unpack(head: bytes) -> tuple[str, str] | None:
    """Return the name of a compression that is not read, and the command that unpacks it; None for other data."""
    return next((names for magic, names in _UNREADABLE.items() if head.startswith(magic)), None)


class _Bounded(io.RawIOBase):
    """Reads from a decompressor, up to a plausible ratio."""

    def __init__(self, source: Any, stored: Callable[[], int]) -> None:
        self._source = source
        self._stored = stored
        self._total = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        size: int = self._source.readinto(memoryview(buffer))
        self._total += size
        if self._total > max(_RATIO_COUNTS_FROM, STEEPEST_RATIO * self._stored()):
            raise TooSteep
        return size


class _Bzip2(bz2.BZ2File):
    """Tells damage from an error of the disk: the library raises the same class for both."""

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        try:
            return super().readinto(buffer)
        except OSError as failure:
            if failure.errno is not None:
                raise
        raise EOFError


class _Xz(io.RawIOBase):
    """Decompresses xz data with a limit of memory, which the library's file class does not have."""

    def __init__(self, packed: io.BufferedReader[io.RawIOBase]) -> None:
        self._packed = packed
        self._part = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_XZ_MEMORY)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        view = memoryview(buffer).cast("B")
        while True:
            given = b""
            if self._part.eof:
                # Several streams may follow one another, with padding between them.
                given = (self._part.unused_data or self._packed.read(_BLOCK)).lstrip(b"\0")
                if not given and not self._packed.peek(1):
                    return 0
                self._part = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_XZ_MEMORY)
            elif self._part.needs_input:
                given = self._packed.read(_BLOCK)
                if not given:
                    raise EOFError
            found = self._part.decompress(given, len(view))
            if found:
                view[: len(found)] = found
                return len(found)
