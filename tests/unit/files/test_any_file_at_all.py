"""Tests that no content whatever makes reading fail in another way than it says."""

from __future__ import annotations

import bz2
import gzip
import io
import itertools
import lzma
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from gatepost_core.campaigns.row import Row
from gatepost_core.kinds import Channel
from gatepost_operations.files.rows import FileError, RowError, read_rows
from support.examples import examples

PIECES = st.sampled_from(
    [
        *(b"email phone language ip auth_params authParams.state sep=; \xef\xbb\xbf \xff\xfe \x1f\x8b".split(b" ")),
        *(b', ; \t | \n \r \r\n " "" \' \0 { } [ ] : \\ @ + = . \xe9 \xed\xa0\x80 \xf4\x90'.split(b" ")),
        *(
            b'guest@example.com +12025550123 "state" {"email":"guest@example.com"} {"a":1} \xc3\xb1 \xef\xbf\xbd'.split()
        ),
        b"x" * 70_000,
        b'"\n' * 70,
        b"[" * 500,
        b"9" * 5_000,
    ]
)
CONTENT = st.one_of(
    st.binary(max_size=400),
    st.lists(PIECES, max_size=40).map(b"".join),
    st.lists(PIECES, max_size=30).map(lambda pieces: b"email,language\n" + b"".join(pieces)),
    st.lists(PIECES, max_size=30).map(lambda pieces: b'{"email":' + b"".join(pieces)),
    st.text(max_size=100).map(lambda text: text.encode("utf-16", "surrogatepass")),
)
PACKED = st.builds(
    lambda pack, content, end, byte: pack(content)[:end] + byte,
    st.sampled_from([gzip.compress, bz2.compress, lzma.compress, lambda data: gzip.compress(bz2.compress(data))]),
    CONTENT,
    st.integers(0, 400),
    st.binary(max_size=3),
)
OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "channel": st.sampled_from(Channel),
        "default_region": st.sampled_from(["GB", "us", "ZZ"]),
        "encoding": st.sampled_from(
            ["utf-8", "utf-16", "cp1252", "ascii", "shift_jis", "utf-16-be", "cp037", "hz", "idna"]
        ),
        "delimiter": st.sampled_from([",", ";", "\\t", "x", '"', "\ud800"]),
        "columns": st.dictionaries(
            st.sampled_from(["email", "lang", "x"]), st.sampled_from(["email", "x", "", "#1", "#9"])
        ),
        "sheet": st.sampled_from([None, "x"]),
    },
)


@settings(deadline=None, max_examples=examples(1_500))
@given(st.one_of(CONTENT, PACKED), OPTIONS)
@example(b'email,language\n"', {})
@example(b"email\n" + b'"\n' * 1_000, {})
@example(gzip.compress(b"email\nguest@example.com\n")[:-4], {})
@example(gzip.compress(b"email\nguest@example.com\n") + b"\0" * 9, {})
@example("email\nguest@example.com\n".encode("utf-16")[:-1], {})
def test_any_bytes_give_rows_errors_or_a_file_error(content: bytes, options: dict[str, Any]) -> None:
    """No input raises anything but `FileError`, and every row's number is one of the file's lines."""
    try:
        rows = list(read_rows(io.BytesIO(content), **options))
    except FileError:
        return

    assert all(isinstance(row, (Row, RowError)) for row in rows)
    assert all(row.line > before.line for before, row in itertools.pairwise(rows))
    assert all(row.recipient.isprintable() for row in rows if isinstance(row, Row))


class _Failing(io.RawIOBase):
    """A disk that goes away."""

    def __init__(self, content: bytes, failure: Exception) -> None:
        self._content, self._failure = io.BytesIO(content), failure

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        chunk = self._content.read(size)
        if not chunk:
            raise self._failure
        return chunk


@settings(deadline=None, max_examples=examples(20))
@given(
    st.integers(0, 8_000),
    st.sampled_from([OSError(5, "Input/output error"), ValueError("closed"), EOFError(), TimeoutError()]),
)
def test_failing_stream_is_a_file_error(rows: int, failure: Exception) -> None:
    """The rows before the fault are given; then the whole file is refused."""
    stream: Any = _Failing(b"email\n" + b"guest@example.com\n" * rows, failure)

    try:
        for row in read_rows(stream):
            assert isinstance(row, Row)
    except FileError:
        return
    raise AssertionError("the stream's failure went unnoticed")
