"""Addresses as people really send them: the address that comes out, or why the row is refused."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from gatepost_core.campaigns.row import Row
from gatepost_core.commands import SendEmail, build, recipient_of
from gatepost_core.errors import InvalidCommand
from gatepost_operations.files.check import OTHER_PROBLEMS, check_file
from gatepost_operations.files.rows import RowError, read_rows
from support.recipient_files import one_error, one_row, reader_of, rows_of

SAMPLES = Path(__file__).parent / "samples"
TYPOGRAPHIC = "contains a character that an address cannot have, at position "
INVISIBLE = "contains an invisible character at position "
ENCODING = "contains characters of a wrong encoding"
SEVERAL = "contains several addresses"
OTHER = "is not an e-mail address"

TYPOGRAPHIC_CHARACTERS = [
    ("o\u2019neil@example.com", TYPOGRAPHIC + "2: right single quotation mark"),
    ("ana\u2013maria@example.com", TYPOGRAPHIC + "4: en dash"),
    ("\u201cana@example.com", TYPOGRAPHIC + "1: left double quotation mark"),
    ("\u2022ana@example.com", TYPOGRAPHIC + "1: bullet"),
    ("ana\u2026@example.com", TYPOGRAPHIC + "4: horizontal ellipsis"),
    ("\u00abana\u00bb@example.com", TYPOGRAPHIC + "1: left-pointing double angle"),
    ("ana\u2014@example.com", TYPOGRAPHIC + "4: em dash"),
    ("ana\u00b7@example.com", TYPOGRAPHIC + "4: middle dot"),
    ("ana@col\u00b7legi.example", "ana@col\u00b7legi.example"),
    ("ana\u00a9@example.com", TYPOGRAPHIC + "4: copyright sign"),
    ("ana\U0001f600@example.com", TYPOGRAPHIC + "4: grinning face"),
    ("\ufb01n@example.com", TYPOGRAPHIC + "1: latin small ligature fi"),
    ("ana\u00b2@example.com", TYPOGRAPHIC + "4: superscript two"),
    ("ana@exam\u2019ple.com", TYPOGRAPHIC + "9: right single"),
    ("jos\u00c3\u00a9@example.com", ENCODING),
    ("m\u00c3\u00bcller@example.com", ENCODING),
    ("ana@b\u00c3\u00bccher.example", ENCODING),
    ("\u00e2\u20ac\u0153ana@example.com", ENCODING),
    ("\uff41na@example.com", "ana@example.com"),
    ("ana\uff20example.com", "ana@example.com"),
    ("ana@\uff45xample.com", "ana@example.com"),
    ("ana@\u4f8b\u3048\u3002jp", "ana@\u4f8b\u3048.jp"),
    ("'gus@example.com", "'gus@example.com"),
    ("o'neil@example.com", "o'neil@example.com"),
    ("jos\u00e9@example.com", "jos\u00e9@example.com"),
    ("M\u00fcller@b\u00fccher.example", "m\u00fcller@b\u00fccher.example"),
    ("\u7528\u6237@\u4f8b\u3048.jp", "\u7528\u6237@\u4f8b\u3048.jp"),
    ("\u0905\u0928\u093f\u0932@example.com", "\u0905\u0928\u093f\u0932@example.com"),
    ("\u0430\u043d\u043d\u0430@example.com", "\u0430\u043d\u043d\u0430@example.com"),
    ("\u0639\u0644\u064a@example.com", "\u0639\u0644\u064a@example.com"),
]
INVISIBLE_CHARACTERS = [
    ("\u200bana@example.com\u200b", "ana@example.com"),
    ("bob@example.com\u00a0", "bob@example.com"),
    ("\ufeffana@example.com", "ana@example.com"),
    ("\u202aana@example.com\u202c", "ana@example.com"),
    ("\u00a0 \u2060ana@example.com\u200e", "ana@example.com"),
    ("\u3000ana@example.com", "ana@example.com"),
    ("an\u200ba@example.com", INVISIBLE + "3: zero width space (U+200B)"),
    ("ana\u00ad@example.com", INVISIBLE + "4: soft hyphen (U+00AD)"),
    ("ana@exam\u200cple.com", INVISIBLE + "9: zero width non-joiner (U+200C)"),
    ("ana\u202e@example.com", INVISIBLE + "4: right-to-left override (U+202E)"),
    ("ana\ufeff@example.com", INVISIBLE + "4: zero width no-break space (U+FEFF)"),
    ("ana\u3164@example.com", INVISIBLE + "4: hangul filler (U+3164)"),
    ("ana\x00@example.com", INVISIBLE + "4: "),
]
SURROUNDINGS = [
    ("Ana Silva <ana@example.com>", "ana@example.com"),
    ('"Silva, Ana" <ana@example.com>', "ana@example.com"),
    ("<ana@example.com>", "ana@example.com"),
    ("bob@example.net <ana@example.com>", SEVERAL),
    ("mailto:ana@example.com", "ana@example.com"),
    ("MAILTO:Ana@Example.COM", "ana@example.com"),
    ("mailto:ana@example.com?subject=x", OTHER),
    ('="ana@example.com"', "ana@example.com"),
    ('=HYPERLINK("mailto:ana@example.com","Ana")', "is a spreadsheet formula"),
    ("ana@example.com, bob@example.com", SEVERAL),
    ("ana@example.com;bob@example.com", SEVERAL),
    ("ana@example.com / bob@example.com", SEVERAL),
    ("ana@example.com bob@example.com", SEVERAL),
    ("ANA@EXAMPLE.COM", "ana@example.com"),
    ("ana@example.com.", OTHER),
    ('"ana b"@example.com', OTHER),
    ("ana @example.com", OTHER),
    ("Ana ana@example.com", OTHER),
    ("ana(at)example.com", OTHER),
    ("ana@example.com (Ana)", OTHER),
    ("ana@@example.com", OTHER),
    ("ana@example,com", OTHER),
    ("N/A", OTHER),
    ("-", OTHER),
    ("none", OTHER),
]
ALL = [*TYPOGRAPHIC_CHARACTERS, *INVISIBLE_CHARACTERS, *SURROUNDINGS]


def is_valid(expected: str) -> bool:
    return "@" in expected


@pytest.mark.parametrize(("cell", "expected"), ALL, ids=ascii)
def test_an_address_is_read_or_its_fault_is_named(cell: str, expected: str) -> None:
    """A cell of a file gives its address, or one problem that says what to change."""
    quoted = cell.replace('"', '""')
    [row] = rows_of(f'email\n"{quoted}"\n')

    if is_valid(expected):
        assert isinstance(row, Row), row
        assert row.recipient == expected
    else:
        assert isinstance(row, RowError), row
        assert row.problem.startswith(expected), row.problem


@pytest.mark.parametrize(("cell", "expected"), ALL, ids=ascii)
def test_a_single_command_reads_an_address_like_a_row(cell: str, expected: str) -> None:
    """The same text gives the same address, or is refused with the same problem."""
    if is_valid(expected):
        assert recipient_of(build(SendEmail, {"email": cell})) == expected
    else:
        with pytest.raises(InvalidCommand) as refused:
            build(SendEmail, {"email": cell})
        assert refused.value.problems[0].problem.startswith(expected)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("typographic.csv", [TYPOGRAPHIC] * 4 + [ENCODING, "ana@example.com", "'gus@example.com"]),
        ("invisible.csv", ["ana@example.com", "bob@example.com"]),
    ],
)
def test_a_sample_of_addresses_comes_out_right(name: str, expected: list[str]) -> None:
    """Each row of a sample has its address or its problem."""
    with read_rows(SAMPLES / name) as rows:
        found = [row.recipient if isinstance(row, Row) else row.problem for row in rows]

    assert len(found) == len(expected)
    assert all(one.startswith(beginning) for one, beginning in zip(found, expected, strict=True)), found


def test_full_width_addresses_are_reported() -> None:
    """The check counts the addresses that it read with other characters than those of the file."""
    assert check_file(SAMPLES / "typographic.csv").full_width == 1
    assert check_file(SAMPLES / "invisible.csv").full_width == 0


def test_invisible_characters_in_a_column_name_do_not_count() -> None:
    """A name that looks right is right."""
    content = "\u200bE\u00admail\u200b,\ufefflanguage\u00a0\nana@example.com,fr\n"

    assert one_row(content).language == "fr"
    assert reader_of(content).ignored_columns == ()


def test_a_problem_names_the_character_and_not_the_address() -> None:
    """The message can be shown and logged."""
    error = one_error("email\nsecret\u2019017@example.com")

    assert error.problem.endswith("position 7: right single quotation mark (U+2019); replace or delete it")
    assert "secret" not in error.problem


def test_many_kinds_of_problems_keep_the_report_small() -> None:
    """A file of which every row has another problem is summed up."""
    rows = "".join(
        f"{'a' * (number % 600)}\u2019{chr(0x2190 + number // 600)}@example.com\n" for number in range(2_000)
    )
    report = check_file(io.BytesIO(f"email\n{rows}".encode()))

    assert report.invalid == 2_000
    assert len(report.problems) == 501
    assert ("email", OTHER_PROBLEMS) in {(problem.field, problem.problem) for problem in report.problems}
