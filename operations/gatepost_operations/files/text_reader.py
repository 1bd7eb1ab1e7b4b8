"""A recipients' file as lines of text: opened, unpacked and decoded, with every read bounded."""

from __future__ import annotations

import codecs
import gzip
import io
import os
import stat
import sys
import zlib
from contextlib import ExitStack
from typing import TYPE_CHECKING, BinaryIO, Final, Self, cast

from gatepost_core.errors import GatepostError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

Source = str | os.PathLike[str] | BinaryIO
"""A path, `-` for standard input, or an open binary stream."""

STANDARD_INPUT: Final = "-"
LONGEST_LINE: Final = 65_536
"""Characters. A longer line is passed over in pieces, so that no file can fill the memory."""

_HEAD: Final = 65_536
_GZIP_MAGIC: Final = b"\x1f\x8b"
# Deflate reaches about 1,030; a list of recipients stays under 100 even where only a number differs between its rows.
_STEEPEST_RATIO: Final = 400
_RATIO_COUNTS_FROM: Final = 8 * 1024 * 1024
_FOREIGN: Final = {
    b"PK\x03\x04": "a spreadsheet or ZIP archive",
    b"\xd0\xcf\x11\xe0": "a spreadsheet",
    b"%PDF": "a PDF",
}
# UTF-32 first: its little-endian mark begins with that of UTF-16.
_BYTE_ORDER_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# Python's text codecs that no file of people is written in; several raise where others replace.
_NOT_FOR_FILES: Final = frozenset({"idna", "punycode", "undefined", "unicode-escape", "raw-unicode-escape", "utf-7"})

_READ_FAILURES: Final = (OSError, EOFError, zlib.error, ValueError)


class FileError(GatepostError):
    """The file cannot be read as a list of recipients."""


class TextLines:
    """The lines of one file, at most `LONGEST_LINE` characters each.

    Attributes:
        name: what to call the file in messages.
        encoding: the encoding in use.
        bytes_total: the size of the file, where it is known.
    """

    def __init__(self, source: Source, *, encoding: str | None = None) -> None:
        """Open the file and look at its beginning.

        Args:
            source: a path, `-` for standard input, or a binary stream, which stays open afterwards.
            encoding: the file's encoding; None finds out.

        Raises:
            FileError: there is no such file, it is empty or not text, or its encoding cannot be told.
        """
        self.name = _name(source)
        self.bytes_total: int | None = None
        self.encoding = encoding or "binary"
        self._own = ExitStack()
        stream = self._open(source)
        try:
            self._counted = _Counted(stream)
            unpacked, head = self._unpack(self._counted)
            self.encoding = self._chosen(encoding) if encoding else self._detect(head)
            # What cannot be decoded stays recognisable, so that one broken row is one bad row.
            errors = "surrogateescape" if self.encoding == "utf-8" else "replace"
            self._text = io.TextIOWrapper(unpacked, encoding=self.encoding, errors=errors, newline="")
            self._first: str | None = self._read().removeprefix("\ufeff")
        except BaseException:
            self.close()
            raise

    @property
    def bytes_read(self) -> int:
        """Bytes taken from the file so far, as stored."""
        return self._counted.total

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> str | None:
        """Return the next line with its end, or None for one that is too long and was passed over."""
        line = self._first
        if line is None:
            line = self._read()
        else:
            self._first = None
        if not line:
            raise StopIteration
        if len(line) <= LONGEST_LINE:
            return line
        while line and line[-1] not in "\r\n":
            line = self._read()
        return None

    def close(self) -> None:
        """Close the file, unless it was given open."""
        self._own.close()

    def _read(self) -> str:
        try:
            return self._text.readline(LONGEST_LINE + 1)
        except _READ_FAILURES as failure:
            raise self._translated(failure) from None

    def _translated(self, failure: Exception) -> FileError:
        match failure:
            case EOFError() | zlib.error() | gzip.BadGzipFile():
                return FileError(f"{self.name} is damaged: its gzip data ends early or is broken; copy it again")
            case OSError():
                return FileError(f"{self.name} cannot be read: {failure.strerror or failure}")
            case _:
                # The decoder's own text quotes the bytes.
                return FileError(f"{self.name} cannot be read as {self.encoding}; name its encoding (--encoding)")

    def _open(self, source: Source) -> BinaryIO:
        if not isinstance(source, (str, os.PathLike)):
            return source
        if source == STANDARD_INPUT:
            return sys.stdin.buffer
        try:
            stream = self._own.enter_context(io.FileIO(source))
            status = os.fstat(stream.fileno())
            # A pipe has a name as well, and no size.
            self.bytes_total = status.st_size if stat.S_ISREG(status.st_mode) else None
        except (OSError, ValueError) as failure:
            reason = failure.strerror if isinstance(failure, OSError) else "that is not a path"
            raise FileError(f"{self.name} cannot be opened: {reason}") from failure
        return cast("BinaryIO", stream)

    def _unpack(self, counted: _Counted) -> tuple[io.BufferedReader[_Rejoined], bytes]:
        whole, head = self._peek(counted)
        if head.startswith(_GZIP_MAGIC):
            whole, head = self._peek(_Unpacked(whole, counted, self.name))
        if not head:
            raise FileError(f"{self.name} is empty")
        return whole, head

    def _peek(self, raw: io.RawIOBase) -> tuple[io.BufferedReader[_Rejoined], bytes]:
        buffered = io.BufferedReader(raw, _HEAD)
        try:
            head = buffered.read(_HEAD)
        except _READ_FAILURES as failure:
            raise self._translated(failure) from None
        return io.BufferedReader(_Rejoined(head, buffered), _HEAD), head

    def _chosen(self, encoding: str) -> str:
        try:
            found = codecs.lookup(encoding).name
            io.TextIOWrapper(io.BytesIO(), encoding=found)
        except (LookupError, ValueError):
            found = ""
        if not found or found in _NOT_FOR_FILES:
            raise FileError("the encoding is not known; use a name such as utf-8, utf-16, cp1252 or latin-1")
        return found

    def _detect(self, head: bytes) -> str:
        for magic, what in _FOREIGN.items():
            if head.startswith(magic):
                raise FileError(f"{self.name} is {what}, not a text file; export it as CSV")
        for mark, encoding in _BYTE_ORDER_MARKS:
            if head.startswith(mark):
                return encoding
        if head.count(0) * 4 > len(head):
            raise FileError(
                f"{self.name} is binary, or UTF-16 without a byte order mark; if so, name it (--encoding utf-16-le)"
            )
        text = codecs.getincrementaldecoder("utf-8")("surrogateescape").decode(head, len(head) < _HEAD)
        broken = sum("\ud800" <= character <= "\udfff" for character in text)
        well_formed = sum(character > "\x7f" for character in text) - broken
        if broken > well_formed:
            raise FileError(
                f"{self.name} is not UTF-8; name its encoding (--encoding cp1252 for Windows, latin-1, ...)"
            )
        return "utf-8"


class _Counted(io.RawIOBase):
    """A stream that counts what is read from it, and leaves the one below open."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.total = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        view = memoryview(buffer).cast("B")
        chunk: bytes | None = self._stream.read(len(view))
        if chunk is None:
            raise BlockingIOError("the stream does not wait for data")
        view[: len(chunk)] = chunk
        self.total += len(chunk)
        return len(chunk)


class _Unpacked(io.RawIOBase):
    """Gzip data unpacked, as long as it grows at a believable rate."""

    def __init__(self, packed: io.BufferedReader[_Rejoined], counted: _Counted, name: str) -> None:
        self._gzip = gzip.GzipFile(fileobj=packed, mode="rb")
        self._counted = counted
        self._name = name
        self._total = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        size = self._gzip.readinto(memoryview(buffer))
        self._total += size
        if self._total > max(_RATIO_COUNTS_FROM, _STEEPEST_RATIO * self._counted.total):
            raise FileError(
                f"{self._name} unpacks to more than {_STEEPEST_RATIO} times its size: no list of recipients"
            )
        return size


class _Rejoined(io.RawIOBase):
    """The beginning that was looked at, and the rest after it."""

    def __init__(self, head: bytes, rest: io.BufferedReader[io.RawIOBase]) -> None:
        self._head = head
        self._rest = rest

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        if not self._head:
            return self._rest.readinto(memoryview(buffer))
        view = memoryview(buffer).cast("B")
        chunk, self._head = self._head[: len(view)], self._head[len(view) :]
        view[: len(chunk)] = chunk
        return len(chunk)


def _name(source: Source) -> str:
    if isinstance(source, (str, os.PathLike)):
        return "standard input" if source == STANDARD_INPUT else os.fspath(source)
    return "the stream"
