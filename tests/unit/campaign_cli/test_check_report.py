"""The report of `gatepost campaign check`: it fits a screen, and says which rows are wrong and why."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from gatepost_operations.cli.campaign.check_text import check_lines, file_lines
from gatepost_operations.cli.entry import main
from gatepost_operations.files.check import CheckReport, Problem, check_file

pytestmark = pytest.mark.usefixtures("empty_directory")

FILE = """E-Mail;Mobile;Sprache;Company
ana@example.com;;de;A
eva@example.com;;de;A
EVA@example.com;;;A
;+447400123456;en-GB;A
;+33612345678;fr;A
no-canary-address;;de;A
canary;;de;A
canary2;;de;A
canary3;;de;A
ben@example.com;;canarish;A
"""
EXPECTED = """\
file        people.csv (CSV, semicolon, utf-8)
rows        10: 5 valid, 5 invalid, 1 duplicate
recipients  4, from 3 e-mail rows and 2 SMS rows
countries   GB 1, FR 1
domains     example.com 3
languages   de 2, en-GB 1, fr 1, none in 1 row
columns     E-Mail as email, Mobile as phone_number, Sprache as language
ignored     Company
        4  email: is not an e-mail address; write it as local-part@domain
           lines 7, 8, 9, …
        1  language: is not a language that Auth0 supports; write its tag, such
           as fr or pt-BR, or remove it
           line 11
"""
COLUMNS = ["--column", "email=E-Mail", "--column", "phone_number=Mobile", "--column", "language=Sprache"]


@pytest.fixture
def report() -> CheckReport:
    """The check of the file."""
    Path("people.csv").write_text(FILE, encoding="utf-8")
    columns = {"email": "E-Mail", "phone_number": "Mobile", "language": "Sprache"}
    return check_file("people.csv", columns=columns)


def test_the_report_says_what_is_in_the_file_and_what_is_wrong(
    report: CheckReport, capsys: pytest.CaptureFixture[str]
) -> None:
    """Columns, countries, languages, and each kind of error with its first lines; never a value."""
    assert report.invalid == 5
    assert main(["campaign", "check", "people.csv", *COLUMNS]) == 6
    assert (shown := capsys.readouterr().out) == EXPECTED
    assert "canary" not in shown


def test_json_has_all_of_it(report: CheckReport, capsys: pytest.CaptureFixture[str]) -> None:
    """Also what the screen has no room for."""
    main(["campaign", "check", "people.csv", *COLUMNS, "--json"])
    shown = json.loads(capsys.readouterr().out)

    assert shown["columns"] == {"email": "E-Mail", "phone_number": "Mobile", "language": "Sprache"}
    assert (shown["languages"], shown["regions"]) == ({"de": 2, "en-GB": 1, "fr": 1}, {"GB": 1, "FR": 1})
    assert (shown["cannot_receive_sms"], shown["ignored_columns"]) == (0, ["Company"])
    assert [(one["field"], one["rows"], one["lines"]) for one in shown["problems"]] == [
        ("email", 4, [7, 8, 9]),
        ("language", 1, [11]),
    ]
    assert len(shown["first_errors"]) == report.invalid


def test_the_number_of_examples_can_be_chosen(report: CheckReport, capsys: pytest.CaptureFixture[str]) -> None:
    """Four fit here; the dots disappear with the last."""
    del report
    main(["campaign", "check", "people.csv", *COLUMNS, "--errors", "4"])

    assert "lines 7, 8, 9, 10\n" in capsys.readouterr().out


def test_a_report_of_anything_fits_a_screen(report: CheckReport) -> None:
    """80 columns and 24 lines with the command, its last message and the prompt; the rest is counted, and in --json."""
    names = [f"field_{number}" for number in range(40)]
    full = replace(
        report,
        rows=12_345_678,
        invalid=9_000_000,
        regions={f"{chr(65 + one // 26)}{chr(65 + one % 26)}": 1_000_000 - one for one in range(240)},
        languages={f"zh-Hant-{chr(65 + one)}X": 100_000 for one in range(26)},
        domains={f"a-rather-long-domain-{one}.example.com": 900_000 for one in range(10)},
        columns={name: f"A long name of a column {name}" for name in names[:6]},
        ignored_columns=tuple(f"Another long name of a column {name}" for name in names),
        cannot_receive_sms=12_345,
        valid_by_length=12_345,
        problems=tuple(
            Problem(
                "phone_number", f"is wrong in the way number {one}, which takes some words to say to a person", 20, (1,)
            )
            for one in range(30)
        ),
    )
    lines = check_lines(full, "people.csv")

    assert max(map(len, lines)) <= 80
    assert len(lines) <= 24 - len(["the command", "N invalid rows in FILE …", "the prompt"])
    assert "more kinds of error; --json shows all" in lines[-1]
    assert "in 232 others" in " ".join(lines)


def test_numbers_that_cannot_receive_sms_are_counted(report: CheckReport) -> None:
    """They have a separate line, because their rows are of no use for SMS."""
    lines = list(file_lines(replace(report, cannot_receive_sms=1_234), "people.csv"))

    assert "no SMS      1,234 numbers cannot receive SMS" in lines


def test_a_column_of_json_lines_is_named_too(capsys: pytest.CaptureFixture[str]) -> None:
    """By the first name that was found; the name of a parameter is not shown, because it is the file's own."""
    Path("people.jsonl").write_text('{"mail": "a@example.com", "authParams.canary": "x"}\n', encoding="utf-8")
    main(["campaign", "check", "people.jsonl"])

    assert "columns     mail as email, authParams.NAME (1) as auth_params" in (out := capsys.readouterr().out)
    assert "canary" not in out
