"""`gatepost campaign check` through the command line's own entry: it needs no configuration and no Redis."""

from __future__ import annotations

import gzip
import io
import json
import sys
from pathlib import Path

import pytest

from gatepost_core.campaigns.row import Row
from gatepost_operations.cli.entry import main
from gatepost_operations.files.rows import read_rows

GOOD = "email,language\nana@example.com,de\neva@example.com,\n"
BAD = "email;language\nana@example.com;de\nno-canary-address;de\nANA@EXAMPLE.COM;\n"


pytestmark = pytest.mark.usefixtures("empty_directory")


def written(text: str | bytes, name: str = "people.csv") -> str:
    Path(name).write_bytes(text.encode() if isinstance(text, str) else text)
    return name


def test_a_good_file_is_done(capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 0, and no file of bad rows is left behind."""
    code = main(["campaign", "check", written(GOOD)])
    seen = capsys.readouterr()

    assert code == 0
    assert "2: 2 valid, 0 invalid" in seen.out
    assert [path.name for path in Path().iterdir()] == ["people.csv"]


def test_bad_rows_are_named_and_written(capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 6; line, field and problem, never the value; all of them in a private file that is read again once corrected."""
    code = main(["campaign", "check", written(BAD)])
    seen = capsys.readouterr()
    rejects = Path("people.rejects.csv")

    assert code == 6
    assert "1  email: is not an e-mail address; write it as local-part@domain\n           line 3\n" in seen.out
    assert "1 duplicate" in seen.out
    assert "canary" not in seen.out + seen.err
    assert rejects.stat().st_mode & 0o777 == 0o600
    corrected = rejects.read_text(encoding="utf-8-sig").replace("no-canary-address", "no@example.com")
    rejects.write_text(corrected, encoding="utf-8")
    assert [row.recipient for row in read_rows(rejects) if isinstance(row, Row)] == ["no@example.com"]


def test_a_file_of_invalid_rows_that_exists_is_kept(capsys: pytest.CaptureFixture[str]) -> None:
    """It may contain corrections. The report is shown nevertheless, and says how to replace the file."""
    Path("people.rejects.csv").write_text("corrected", encoding="utf-8")
    kept = main(["campaign", "check", written(BAD)])
    said = capsys.readouterr()
    good = main(["campaign", "check", written(GOOD)])

    assert (kept, good, Path("people.rejects.csv").read_text(encoding="utf-8")) == (6, 0, "corrected")
    assert "           line 3\n" in said.out
    assert "people.rejects.csv exists already and was not changed" in said.err
    assert "--force" in said.err
    assert main(["campaign", "check", written(BAD), "--force"]) == 6
    assert "error_line" in Path("people.rejects.csv").read_text(encoding="utf-8-sig")


@pytest.mark.parametrize("name", ["bad.csv", "bad.jsonl"])
def test_a_chosen_file_is_not_created_without_invalid_rows(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The command says so. A file that would be replaced is deleted: the invalid rows of an earlier check, or any file with `--force`."""
    command = ["campaign", "check", written(GOOD), "--rejects", name]
    code = main(command)
    absent, said = not Path(name).exists(), capsys.readouterr().err
    main(["campaign", "check", written(BAD), "--rejects", name])
    earlier = Path(name).exists()
    main(["campaign", "check", written(GOOD), "--rejects", name])
    deleted = not Path(name).exists()
    Path(name).write_text("mine", encoding="utf-8")
    refused, kept = main(command), Path(name).read_text(encoding="utf-8")
    forced = main([*command, "--force"])

    assert (code, absent, earlier, deleted) == (0, True, True, True)
    assert said == f"There are no invalid rows, so {name} was not written.\n"
    assert (refused, kept, forced, Path(name).exists()) == (5, "mine", 0, False)


def test_a_chosen_file_of_invalid_rows_is_not_overwritten(capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 5, before the file is read."""
    Path("mine.csv").write_text("mine", encoding="utf-8")
    code = main(["campaign", "check", written(BAD), "--rejects", "mine.csv"])

    assert (code, Path("mine.csv").read_text(encoding="utf-8")) == (5, "mine")
    assert capsys.readouterr().err == (
        "gatepost: mine.csv exists already; give another name, or replace it with --force\n"
    )


def test_invalid_rows_can_be_written_to_a_device() -> None:
    """A device stays a device, and a full one is named."""
    assert main(["campaign", "check", written(BAD), "--rejects", "/dev/null"]) == 6
    assert Path("/dev/null").is_char_device()


def test_with_json_it_is_one_object(capsys: pytest.CaptureFixture[str]) -> None:
    """With the counts, the problems, and where the bad rows are."""
    code = main(["campaign", "check", written(BAD), "--json", "--rejects", "bad.jsonl"])
    report = json.loads(capsys.readouterr().out)

    assert code == 6
    assert (report["rows"], report["valid"], report["invalid"], report["duplicates"]) == (3, 2, 1, 1)
    assert (report["format"], report["delimiter"], report["rejects"]) == ("csv", ";", "bad.jsonl")
    assert report["first_errors"][0]["line"] == 3
    assert json.loads(Path("bad.jsonl").read_text(encoding="utf-8"))["error_field"] == "email"


def test_the_file_of_bad_rows_can_be_left_out() -> None:
    """And how many are shown can be chosen."""
    assert main(["campaign", "check", written(BAD), "--no-rejects", "--errors", "0"]) == 6
    assert [path.name for path in Path().iterdir()] == ["people.csv"]


@pytest.mark.parametrize(
    ("content", "name", "options"),
    [
        (GOOD.encode("utf-8-sig"), "bom.csv", []),
        (gzip.compress(GOOD.encode(), mtime=0), "people.csv.gz", []),
        (b'{"email": "ana@example.com"}\n{"phone_number": "+447700900123"}\n', "people.jsonl", []),
        (b"ana@example.com\neva@example.com\n", "list.txt", []),
        (
            "Kontakt;Größe\nana@example.com;1\neva@example.com;2\n".encode("cp1252"),
            "k.csv",
            ["--column", "email=Kontakt"],
        ),
        (GOOD.encode("utf-16"), "wide.csv", []),
        (b"phone\n07700 900123\n07700 900124\n", "numbers.csv", ["--region", "GB", "--channel", "sms"]),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_every_form_of_file_is_read(
    content: bytes, name: str, options: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Byte order marks, gzip, JSON Lines, bare lists, other delimiters, encodings, column names and regions."""
    encoding = ["--encoding", "cp1252"] if name == "k.csv" else []
    code = main(["campaign", "check", written(content, name), *options, *encoding, "--json"])

    assert (code, json.loads(capsys.readouterr().out)["valid"]) == (0, 2)


def test_standard_input_is_read_too(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Its bad rows go to a file that names nothing."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(BAD.encode())))
    code = main(["campaign", "check", "-"])

    assert code == 6
    assert "standard input" in capsys.readouterr().out
    assert Path("rows.rejects.csv").exists()


@pytest.mark.parametrize(
    ("arguments", "expected", "says"),
    [
        (["nowhere.csv"], 6, "nowhere.csv"),
        (["people.csv", "--column", "email"], 2, "FIELD=NAME"),
        (["people.csv", "--region", "ZZ"], 6, "ISO 3166-1"),
    ],
)
def test_what_cannot_be_used_is_told_in_one_sentence(
    arguments: list[str], expected: int, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 6 for a file, and for how it is read; 2 for an option in a wrong form."""
    written(GOOD)
    code = main(["campaign", "check", *arguments])
    seen = capsys.readouterr()

    assert (code, seen.out) == (expected, "")
    assert says in seen.err
    assert len(seen.err.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["poeple.csv"], "Did you mean people.csv?"),
        (["people.csv", "--column", "emial=Kontakt"], "Did you mean email?"),
        (["people.csv", "--encoding", "utf-88"], "Did you mean utf-8?"),
        (["people.csv", "--region", "UK"], "Did you mean GB?"),
        (["people.csv", "--chanel", "sms"], "--channel"),
    ],
)
def test_a_mistyped_name_gets_the_nearest(arguments: list[str], hint: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Files, fields, encodings, countries and options alike."""
    written(GOOD)
    code = main(["campaign", "check", *arguments])

    assert code in {2, 6}
    assert hint in " ".join(capsys.readouterr().err.split())
