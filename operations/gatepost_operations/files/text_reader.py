"""Read a recipient file as lines of text: open, decompress and decode it, with every read bounded."""

from __future__ import annotations

import codecs
import hashlib
import io
import os
import re
import stat
import sys
from contextlib import ExitStack
from encodings.aliases import aliases
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, BinaryIO, Final, cast

from gatepost_core.errors import GatepostError
from gatepost_core.nearest import did_you_mean
from gatepost_operations.files.unpacking import DAMAGES, STEEPEST_RATIO, TooSteep, how_to_unpack, unpacked

if TYPE_CHECKING:
    from collections.abc import Iterator

    from _typeshed import WriteableBuffer

Source = str | os.PathLike[str] | BinaryIO
"""A path, `-` for standard input, or an open binary stream."""

STANDARD_INPUT: Final = "-"
LONGEST_LINE: Final = 65_536
"""Characters. A longer line is skipped in pieces, so that no file can fill the memory."""

PACKED_SUFFIXES: Final = frozenset({".gz", ".bz2", ".xz"})
"""The ends of the names of compressed files that are read."""

_HEAD: Final = 65_536
_FOREIGN: Final = {
    b"PK\x03\x04": "a spreadsheet or ZIP archive",
    b"\xd0\xcf\x11\xe0": "a spreadsheet",
    b"%PDF": "a PDF",
}
# UTF-32 comes first, because its little-endian mark begins with that of UTF-16.
_BYTE_ORDER_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# Text codecs of Python that no recipient file uses. Several raise errors where others replace characters.
_ENCODINGS: Final = frozenset(name.replace("_", "-") for name in {*aliases, *aliases.values()})
_NOT_FOR_FILES: Final = frozenset({"idna", "punycode", "undefined", "unicode-escape", "raw-unicode-escape", "utf-7"})

# Bytes that are not UTF-8, and characters of more than one byte.
_BROKEN: Final = re.compile("[\ud800-\udfff]")
_WELL_FORMED: Final = re.compile("[\x80-\ud7ff\ue000-\U0010ffff]")

_READ_FAILURES: Final = (OSError, ValueError, TooSteep, *DAMAGES)
_MOST_LAYERS: Final = 3


class FileError(GatepostError):
    """The file cannot be read as a recipient file."""


def why_not_opened(source: object, failure: Exception) -> str:
    """Return why a file cannot be opened, for one that does not exist with the nearest name in its folder."""
    if not isinstance(failure, OSError):
        return "that is not a path"
    reason = failure.strerror or "unknown error"
    if not isinstance(failure, FileNotFoundError) or not isinstance(source, str | os.PathLike):
        return reason
    path = Path(source)
    try:
        beside = [one.name for one in path.parent.iterdir()]
    except OSError:
        return reason
    hint = did_you_mean(path.name, beside)
    return f"{reason}.{hint}" if hint else reason


class TextLines:
    """The lines of one file, at most `LONGEST_LINE` characters each.

    Attributes:
        name: the file's name in messages.
        encoding: the file's encoding.
        bytes_total: the size of the file; None if it is unknown.
    """

    def __init__(self, source: Source, *, encoding: str | None = None) -> None:
        """Open the file and detect its encoding.

        Args:
            source: a path, `-` for standard input, or a binary stream, which stays open.
            encoding: the file's encoding [default: detected].

        Raises:
            FileError: the file does not exist, is empty, is not text, or has an unknown encoding.
        """
        self.name = name_of(source)
        self.bytes_total: int | None = None
        self.encoding = encoding or "binary"
        self._own = ExitStack()
        stream = self._open(source)
        try:
            self._counted = _Counted(stream)
            unpacked, head = self._unpack(self._counted)
            self.encoding = self._chosen(encoding) if encoding else self._detect(head)
            # Bytes that cannot be decoded stay recognisable, so that they make only their own row invalid.
            errors = "surrogateescape" if self.encoding == "utf-8" else "replace"
            self._text = io.TextIOWrapper(unpacked, encoding=self.encoding, errors=errors, newline="")
            first = self._read().removeprefix("\ufeff")
        except BaseException:
            self.close()
            raise
        self._lines = self._rest(first)

    @property
    def bytes_read(self) -> int:
        """Bytes read from the stored file so far."""
        return self._counted.total

    @property
    def digest(self) -> str:
        """The SHA-256 of the bytes read from the stored file so far."""
        return self._counted.digest.hexdigest()

    def __iter__(self) -> Iterator[str | None]:
        """Return the lines that were not read yet, each with its end. None is a line that is too long and was skipped."""
        return self._lines

    def __next__(self) -> str | None:
        return next(self._lines)

    def close(self) -> None:
        """Close the file, unless the source is a stream."""
        self._own.close()

    def _rest(self, line: str) -> Iterator[str | None]:
        readline = self._text.readline
        while line:
            if len(line) <= LONGEST_LINE:
                yield line
            else:
                while line and line[-1] not in "\r\n":
                    line = self._read()
                yield None
            try:
                line = readline(LONGEST_LINE + 1)
            except _READ_FAILURES as failure:
                raise self._translated(failure) from None

    def _read(self) -> str:
        try:
            return self._text.readline(LONGEST_LINE + 1)
        except _READ_FAILURES as failure:
            raise self._translated(failure) from None

    def _translated(self, failure: Exception) -> FileError:
        match failure:
            case TooSteep():
                return FileError(
                    f"{self.name} unpacks to more than {STEEPEST_RATIO} times its size, so it is not a recipient file"
                )
            case failure if isinstance(failure, DAMAGES):
                return FileError(f"{self.name} is damaged: its compressed data ends early or is broken; copy it again")
            case OSError():
                return FileError(f"{self.name} cannot be read: {failure.strerror or failure}")
            case _:
                # The decoder's message quotes the bytes.
                return FileError(f"{self.name} cannot be read as {self.encoding}; give its encoding (--encoding)")

    def _open(self, source: Source) -> BinaryIO:
        if not isinstance(source, (str, os.PathLike)):
            return source
        if source == STANDARD_INPUT:
            return standard_input()
        try:
            stream = self._own.enter_context(io.FileIO(source))
            status = os.fstat(stream.fileno())
            # A named pipe has no size.
            self.bytes_total = status.st_size if stat.S_ISREG(status.st_mode) else None
        except (OSError, ValueError) as failure:
            raise FileError(f"{self.name} cannot be opened: {why_not_opened(source, failure)}") from failure
        return cast("BinaryIO", stream)

    def _unpack(self, counted: _Counted) -> tuple[io.BufferedReader[io.RawIOBase], bytes]:
        whole: io.BufferedReader[io.RawIOBase] = io.BufferedReader(counted, _HEAD)
        for _ in range(_MOST_LAYERS + 1):
            head = self._peek(whole)
            inner = unpacked(head, whole, lambda: counted.total)
            if inner is None:
                break
            whole = io.BufferedReader(inner, _HEAD)
        else:
            raise FileError(f"{self.name} is compressed more than {_MOST_LAYERS} times; unpack it first")
        if not head:
            raise FileError(f"{self.name} is empty")
        return whole, head

    def _peek(self, stream: io.BufferedReader[io.RawIOBase]) -> bytes:
        try:
            return stream.peek(_HEAD)
        except _READ_FAILURES as failure:
            raise self._translated(failure) from None

    def _chosen(self, encoding: str) -> str:
        try:
            found = codecs.lookup(encoding).name
            io.TextIOWrapper(io.BytesIO(), encoding=found)
        except (LookupError, ValueError):
            found = ""
        if not found or found in _NOT_FOR_FILES:
            hint = did_you_mean(encoding, _ENCODINGS) or " Use a name such as utf-8, utf-16, cp1252 or latin-1."
            raise FileError(f"the encoding is not known.{hint}")
        return found

    def _detect(self, head: bytes) -> str:
        compression = how_to_unpack(head)
        if compression:
            name, command = compression
            raise FileError(
                f"{self.name} is compressed with {name}, which Gatepost does not read; unpack it first: {command} FILE"
            )
        for magic, what in _FOREIGN.items():
            if head.startswith(magic):
                raise FileError(f"{self.name} is {what}, not a text file; export it as CSV")
        for mark, encoding in _BYTE_ORDER_MARKS:
            if head.startswith(mark):
                return encoding
        if head.count(0) * 4 > len(head):
            raise FileError(
                f"{self.name} is binary, or UTF-16 without a byte order mark; if it is UTF-16, give the encoding (--encoding utf-16-le)"
            )
        text = codecs.getincrementaldecoder("utf-8")("surrogateescape").decode(head, len(head) < _HEAD)
        broken = len(_BROKEN.findall(text))
        if broken > len(_WELL_FORMED.findall(text)):
            raise FileError(
                f"{self.name} is not UTF-8; give its encoding (--encoding cp1252 for Windows, latin-1, ...)"
            )
        return "utf-8"


def standard_input() -> BinaryIO:
    """Return standard input.

    Raises:
        FileError: it is closed.
    """
    if sys.stdin is None:
        raise FileError("standard input is closed; give a file, or pipe one in")
    return sys.stdin.buffer


def stem_of(name: str) -> str:
    """Return the last part of a file's name, without the ends that name its format and compression."""
    path = PurePath(name)
    while path.suffix.lower() in PACKED_SUFFIXES:
        path = path.with_suffix("")
    return path.stem


class _Counted(io.RawIOBase):
    """Counts and digests the bytes read from a stream, and leaves the stream open."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.digest = hashlib.sha256()
        self.total = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        view = memoryview(buffer).cast("B")
        size = 0
        # A pipe gives less than was asked for. The detection of the encoding needs a full buffer.
        while size < len(view):
            chunk: bytes | None = self._stream.read(len(view) - size)
            if chunk is None:
                raise BlockingIOError("the stream does not wait for data")
            if not chunk:
                break
            view[size : size + len(chunk)] = chunk
            self.digest.update(chunk)
            size += len(chunk)
        self.total += size
        return size


def name_of(source: Source) -> str:
    """Return the name of a source in messages."""
    if isinstance(source, (str, os.PathLike)):
        return "standard input" if source == STANDARD_INPUT else os.fspath(source)
    return "the stream"
