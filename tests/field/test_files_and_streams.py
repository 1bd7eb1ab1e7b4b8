"""Files and streams as shells and disks really give them: read, or refused in one sentence, and nothing of anybody's is lost."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gatepost_operations.cli.campaign.recipient_file import FileOptions, RowCounts, open_recipient_file
from gatepost_operations.cli.entry import main
from gatepost_operations.files.check import check_file
from gatepost_operations.files.rejects import is_untouched
from gatepost_operations.files.rows import FileError, read_rows
from support.recipient_files import reader_of, recipients_of

if TYPE_CHECKING:
    from collections.abc import Callable

SAMPLES = Path(__file__).parent / "samples"
PEOPLE = b"email,name\nana@example.com,Ana\nbob@example.com,Bob\n"
BOTH = ["ana@example.com", "bob@example.com"]
BAD = "email,name\nana@example.com,Ana\nbad,Bob\n"


def in_shell(command: str, directory: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a line of a shell, in which `gatepost` is the command."""
    gatepost = f"{sys.executable} -m gatepost_operations.cli"
    return subprocess.run(
        ["bash", "-c", command.replace("gatepost", gatepost)],
        capture_output=True,
        text=True,
        check=False,
        cwd=directory,
        timeout=120,
        env={**os.environ, **environment},
    )


@pytest.mark.parametrize(
    "pack",
    [
        gzip.compress,
        bz2.compress,
        lzma.compress,
        lambda data: gzip.compress(gzip.compress(data)),
        lambda data: bz2.compress(gzip.compress(data)),
        lambda data: lzma.compress(bz2.compress(gzip.compress(data))),
        lambda data: lzma.compress(data[:20]) + lzma.compress(data[20:]),
        lambda data: bz2.compress(data[:20]) + bz2.compress(data[20:]),
    ],
)
def test_a_compressed_file_is_read(pack: object) -> None:
    """Also one that was compressed twice, or in several parts."""
    assert callable(pack)

    assert recipients_of(pack(PEOPLE)) == BOTH


def test_the_sample_of_a_file_that_was_compressed_twice_comes_out_right() -> None:
    """A browser that compresses a compressed download makes such files."""
    with read_rows(SAMPLES / "gz_double.csv.gz") as rows:
        assert [row.recipient for row in rows if hasattr(row, "recipient")] == ["ana@example.com"]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (
            lambda: b"\x28\xb5\x2f\xfd" + bytes(40),
            "is compressed with zstd, which Gatepost does not read; unpack it first: zstd -d FILE",
        ),
        (lambda: b"7z\xbc\xaf\x27\x1c" + bytes(40), "7z x FILE"),
        (lambda: gzip.compress(b"\x28\xb5\x2f\xfd" + bytes(40)), "zstd -d FILE"),
        (lambda: bz2.compress(PEOPLE)[:-8], "is damaged"),
        (lambda: lzma.compress(PEOPLE)[:-8], "is damaged"),
        (lambda: lzma.compress(PEOPLE) + b"x" * 40, "is damaged"),
        (lambda: bz2.compress(b"email\n" + b" " * 30_000_000), "unpacks to more than"),
        (lambda: lzma.compress(b"email\n" + b" " * 30_000_000), "unpacks to more than"),
        (
            lambda: gzip.compress(gzip.compress(gzip.compress(gzip.compress(PEOPLE)))),
            "more than 3 times",
        ),
    ],
    ids=[
        "zstd",
        "7z",
        "zstd in gzip",
        "cut bz2",
        "cut xz",
        "xz with a rest",
        "large bz2",
        "large xz",
        "gzip four times",
    ],
)
def test_a_file_that_cannot_be_unpacked_says_what_it_is(content: Callable[[], bytes], problem: str) -> None:
    """With the command that unpacks it, or the limit that it exceeds."""
    with pytest.raises(FileError) as refused:
        list(reader_of(content()))

    assert problem in str(refused.value)


def test_what_a_shell_reads_from_a_command_is_read_as_often_as_needed(tmp_path: Path) -> None:
    """`<(command)` and a named pipe can be read once; the check reads twice."""
    (tmp_path / "people.csv").write_text(BAD)

    done = in_shell("gatepost campaign check <(cat people.csv)", tmp_path)

    assert done.returncode == 6
    assert "2: 1 valid, 1 invalid" in done.stdout
    assert (tmp_path / "rows.rejects.csv").exists()


@pytest.mark.parametrize(
    ("command", "code", "problem"),
    [
        ("gatepost campaign check - <&-", 6, "standard input is closed"),
        ("gatepost send-email - <&-", 6, "standard input is closed"),
        ("gatepost campaign check people.csv >&-", 1, "standard output is closed"),
        ("gatepost campaign check people.csv --json >&-", 1, "standard output is closed"),
        ("gatepost campaign check people.csv >/dev/full", 1, "the disk is full"),
        ("gatepost campaign check people.csv 2>&-", 0, ""),
        ("TMPDIR=/nonexistent gatepost campaign check people.csv", 0, ""),
    ],
)
def test_a_closed_or_full_stream_is_named(tmp_path: Path, command: str, code: int, problem: str) -> None:
    """One sentence and the documented exit code."""
    (tmp_path / "people.csv").write_bytes(PEOPLE)

    done = in_shell(command, tmp_path)

    assert done.returncode == code, done.stderr
    assert problem in done.stderr
    assert "unexpected" not in done.stderr


def test_a_full_temporary_directory_is_named(tmp_path: Path) -> None:
    """The copy of standard input has no room; the message says where and what to do."""
    lines = "for i in $(seq 20000); do echo person$i@example.com; done"

    done = in_shell(f"ulimit -f 8; trap '' XFSZ; ({lines}) | gatepost campaign check -", tmp_path)

    assert done.returncode == 6
    assert "standard input cannot be copied to" in done.stderr
    assert "TMPDIR" in done.stderr


@pytest.mark.parametrize("change", [b"email,name\nana@example.com,Ana\n", PEOPLE.replace(b"bob", b"eve"), b""])
def test_a_file_that_changes_after_its_check_is_not_added(tmp_path: Path, change: bytes) -> None:
    """Its rows were not the ones that were checked. Its size, or only its content, differs."""
    path = tmp_path / "people.csv"
    path.write_bytes(PEOPLE)
    with open_recipient_file(str(path), FileOptions()) as recipients:
        recipients.check()
        assert len(list(recipients.rows(RowCounts(), "adding"))) == 2
        path.write_bytes(change)

        with pytest.raises(FileError, match="has changed since it was checked"):
            next(recipients.rows(RowCounts(), "adding"))


def test_invalid_rows_are_written_beside_the_checked_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """And not into the working directory."""
    (tmp_path / "in").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "in" / "people.csv").write_text(BAD)
    monkeypatch.chdir(tmp_path / "out")

    main(["campaign", "check", "../in/people.csv"])

    assert "people.rejects.csv" in capsys.readouterr().err
    assert (tmp_path / "in" / "people.rejects.csv").exists()
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize(("name", "content"), [("p.csv", BAD), ("p.jsonl", '{"email":"bad"}\n')])
def test_only_an_untouched_file_of_invalid_rows_is_replaced(
    tmp_path: Path, name: str, content: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The stamp of each row tells. Corrections survive a second check, and are read."""
    path, rejects = tmp_path / name, tmp_path / f"p.rejects{Path(name).suffix}"
    path.write_text(content)
    main(["campaign", "check", str(path)])
    first = rejects.read_bytes()
    main(["campaign", "check", str(path)])

    assert is_untouched(rejects)
    assert rejects.read_bytes() == first
    corrected = first.replace(b'"bad"', b'"good@example.com"').replace(b",bad,", b",good@example.com,")
    rejects.write_bytes(corrected)
    main(["campaign", "check", str(path)])
    assert not is_untouched(rejects)
    assert rejects.read_bytes() == corrected
    assert "was not changed" in capsys.readouterr().err
    assert check_file(rejects).valid == 1


@pytest.mark.parametrize("content", ["", "mine\n", "error_line,error_field\n1,2\n", '{"email": "a@example.com"}\n'])
def test_a_file_of_somebody_else_is_never_replaced_or_deleted(
    tmp_path: Path, content: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever it holds, and whether the checked file is good or bad."""
    path, rejects = tmp_path / "people.csv", tmp_path / "people.rejects.csv"
    rejects.write_text(content)
    path.write_text(BAD)
    main(["campaign", "check", str(path)])
    path.write_bytes(PEOPLE)
    main(["campaign", "check", str(path)])

    assert rejects.read_text() == content
    assert "was not changed" in capsys.readouterr().err


def test_a_file_without_rows_leaves_no_file_of_invalid_rows(tmp_path: Path) -> None:
    """There is nothing to correct."""
    path = tmp_path / "people.csv"
    path.write_text("email,name\n")

    assert main(["campaign", "check", str(path)]) == 6
    assert list(tmp_path.iterdir()) == [path]


def test_full_width_addresses_are_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The operator sees that some addresses were read with other characters."""
    path = tmp_path / "people.csv"
    path.write_text("email\n\uff41na@example.com\n", encoding="utf-8")
    main(["campaign", "check", str(path)])

    assert "1 address read with the usual characters" in capsys.readouterr().out


def test_a_file_with_many_columns_gets_a_short_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Ten thousand columns are summed up, in the report and in an error."""
    path = tmp_path / "wide.csv"
    path.write_text(f"email{',' * 10_000}\nana@example.com{',' * 10_000}\n")
    other = tmp_path / "other.csv"
    other.write_text(f"name{',' * 10_000}\nana{',' * 10_000}\n")

    good, bad = main(["campaign", "check", str(path)]), main(["campaign", "check", str(other)])
    shown = capsys.readouterr()

    assert (good, bad) == (0, 6)
    assert "and 9,995 more" in shown.out
    assert "9,981 more" in shown.err
    assert len(shown.out + shown.err) < 2_500


@pytest.mark.parametrize(
    "content",
    [
        PEOPLE,
        b"\xef\xbb\xbf" + PEOPLE,
        PEOPLE.decode().encode("utf-16"),
        b"\xfe\xff" + PEOPLE.decode().encode("utf-16-be"),
        PEOPLE.replace(b",", b";"),
        PEOPLE.replace(b",", b"\t"),
        PEOPLE.replace(b",", b"|"),
        b"sep=;\r\n" + PEOPLE.replace(b",", b";"),
        PEOPLE.replace(b"\n", b"\r\n"),
        PEOPLE.replace(b"\n", b"\r"),
        PEOPLE + b"\n\n,\n  \n",
        b"\n\n" + PEOPLE,
        PEOPLE.replace(b"ana@example.com", b'"ana@example.com"'),
        b"ana@example.com\nbob@example.com\n",
        b'{"email":"ana@example.com"}\n{"email":"bob@example.com"}',
    ],
)
def test_a_list_of_people_is_read_in_every_usual_form(content: bytes) -> None:
    """Encodings, delimiters, line ends, blank lines and quotation marks of spreadsheets."""
    assert recipients_of(content) == BOTH
