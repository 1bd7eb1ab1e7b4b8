"""Tests for the check of a whole file and for the file of its bad rows."""

from __future__ import annotations

import csv
import gzip
import io
import json
import resource
import stat
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gatepost_core.kinds import Channel
from gatepost_core.number_rules import Numbers
from gatepost_operations.files.check import CheckReport, Problem, Progress, check_file
from gatepost_operations.files.output import FileExistsAlready
from gatepost_operations.files.rows import FileError, FileFormat, RowError
from support.examples import examples

if TYPE_CHECKING:
    from pathlib import Path

PEOPLE = """\
email,phone_number,language,plan
guest-1@example.com,,en,gold
Guest-1@EXAMPLE.com,,fr,
guest-2@bücher.example,,,
guest-2@xn--bcher-kva.example,,,
,+1 202 555 0123,,
,(202) 555-0123,en,
,07700 900123,,
,+44 7700 900123,,
,+41 78 668 18 00,,
not an address,,en,-1
,12,en,
guest-3@example.com,,<en>,
guest-4@example.com,,en,,x
"""


def check(content: str | bytes, **options: Any) -> CheckReport:
    """Check the content as a stream."""
    return check_file(io.BytesIO(content.encode() if isinstance(content, str) else content), **options)


def test_report_counts_everything() -> None:
    """Each row is counted once; duplicates are those of the normalised recipient."""
    report = check(PEOPLE, default_region="US")

    assert (report.rows, report.valid, report.invalid) == (13, 8, 5)
    assert (report.duplicates, report.recipients) == (3, 5)
    assert report.kinds == {"email": 4, "sms": 4}
    assert report.regions == {"US": 2, "GB": 1, "CH": 1}
    assert report.domains == {"example.com": 2, "bücher.example": 2}
    assert report.other_domains == 0
    assert (report.format, report.encoding, report.delimiter) == (FileFormat.CSV, "utf-8", ",")
    assert report.ignored_columns == ("plan",)


def test_report_names_the_problems() -> None:
    """Problems are grouped, and the first errors are shown in the file's order."""
    report = check("email\n" + "bad\n" * 5 + "\ufffd@example.com\n", keep_errors=3)

    assert report.problems == (
        Problem("email", "is not an e-mail address; write it as local-part@domain", 5, (2, 3, 4)),
        Problem("email", "contains characters that could not be decoded; check the file's encoding", 1, (7,)),
    )
    assert [error.line for error in report.first_errors] == [2, 3, 4]


def test_report_names_nobody() -> None:
    """It can be shown, logged and stored."""
    text = repr(check(PEOPLE, default_region="US"))

    assert "guest" not in text
    assert "555" not in text
    assert "address,," not in text


def test_frequent_domains_are_named_and_the_others_counted() -> None:
    """A file of a million domains gives a short report."""
    addresses = [f"guest-{number}@d{domain}.example" for domain in range(15) for number in range(20 - domain)]

    report = check("\n".join(addresses))

    assert list(report.domains.items())[:2] == [("d0.example", 20), ("d1.example", 19)]
    assert len(report.domains) == 10
    assert report.other_domains == sum(20 - domain for domain in range(10, 15))


def test_domains_beyond_the_bound_are_counted_together() -> None:
    """Memory does not grow with the number of domains, and no row is lost from the counts."""
    domains = [*range(10_050), 7, 10_049, 10_049, 10_049]
    report = check("\n".join(f"guest@d{domain}.example" for domain in domains))

    assert report.domains["d7.example"] == 2
    assert "d10049.example" not in report.domains
    assert sum(report.domains.values()) + report.other_domains == len(domains)


@pytest.mark.parametrize(
    ("number", "region"),
    [
        ("+12025550123", "US"),
        ("+14165550123", "CA"),
        ("+447700900123", "GB"),
        ("+447781123456", "GG"),
        ("+33639981234", "FR"),
        ("+870312345678", "001"),
        ("+19995550123", "US"),
        ("+390669812345", "VA"),
        ("+390612345678", "IT"),
        ("+77012345678", "KZ"),
    ],
)
def test_numbers_count_for_their_country(number: str, region: str) -> None:
    """Countries that share a code are distinguished; a number of no known range counts for the first of them."""
    report = check(f"phone\n{number}", numbers=Numbers.LENGTH, allow_landlines=True)

    assert report.regions == {region: 1}


def test_progress_is_told_on_the_way_and_at_the_end(tmp_path: Path) -> None:
    """A bar can be drawn from the bytes, whatever the rows are."""
    path = tmp_path / "people.csv.gz"
    path.write_bytes(gzip.compress(b"email\n" + b"guest@example.com\n" * 4_500))
    told: list[Progress] = []

    check_file(path, progress=told.append)

    assert [progress.rows for progress in told] == [2_000, 4_000, 4_500]
    assert told[-1].bytes_read == told[-1].bytes_total == path.stat().st_size


def test_check_of_a_damaged_file_leaves_no_reject_file(tmp_path: Path) -> None:
    """Half a list of errors would look like the whole."""
    rejects = tmp_path / "bad.jsonl"
    content = b"email\nbad\n" + b"".join(b"guest-%d@example.com\n" % (n * 7919 % 99_991) for n in range(20_000))

    with pytest.raises(FileError, match="is damaged"):
        check(gzip.compress(content)[:-10], rejects=rejects)

    assert list(tmp_path.iterdir()) == []


def test_rejects_in_json_lines_tell_what_is_wrong(tmp_path: Path) -> None:
    """Every bad row is there under its column names, or as text where it does not fit them."""
    rejects = tmp_path / "bad.jsonl"

    check(PEOPLE, rejects=rejects, keep_errors=1)

    documents = [json.loads(line) for line in rejects.read_text(encoding="utf-8").splitlines()]
    assert documents[-2]["language"] == "<en>"
    assert documents[-2]["error_field"] == "language"
    assert len(documents[-1].pop("error_stamp")) == 16
    assert documents[-1] == {
        "error_line": 14,
        "error_field": "row",
        "error_problem": "has more columns than the header row",
        "error_original": "guest-4@example.com,,en,,x",
    }


def test_rejects_in_csv_are_safe_in_a_spreadsheet(tmp_path: Path) -> None:
    """Cells that a spreadsheet would calculate are guarded, and the byte order mark names the encoding."""
    rejects = tmp_path / "bad.csv"

    check('email,phone,note\n,+12,=1+1\nñ,,"a, b"\n', rejects=rejects)

    content = rejects.read_bytes()
    rows = list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"))))
    assert content.startswith(b"\xef\xbb\xbf")
    assert (rows[0]["phone"], rows[0]["note"]) == ("'+12", "'=1+1")
    assert (rows[1]["email"], rows[1]["note"], rows[1]["error_line"]) == ("ñ", "a, b", "3")


@pytest.mark.parametrize("name", ["bad.csv", "bad.jsonl"])
def test_rejects_are_for_the_owner_alone(tmp_path: Path, name: str) -> None:
    """Mode 0600, also where a replaced file was open to others; nothing else is left behind."""
    rejects = tmp_path / name
    rejects.write_text("old")
    rejects.chmod(0o644)

    with pytest.raises(FileExistsAlready):
        check(PEOPLE, rejects=rejects)
    check(PEOPLE, rejects=rejects, replace_rejects=True)

    assert stat.S_IMODE(rejects.stat().st_mode) == 0o600
    assert b"old" not in rejects.read_bytes()
    assert list(tmp_path.iterdir()) == [rejects]


def test_rejects_never_replace_the_file_itself(tmp_path: Path) -> None:
    """Nor through another name of it."""
    path, link = tmp_path / "people.csv", tmp_path / "link.csv"
    path.write_text(PEOPLE, encoding="utf-8")
    link.symlink_to(path)

    for rejects in (path, link):
        with pytest.raises(FileError, match="must not be the file"):
            check_file(path, rejects=rejects)

    assert path.read_text(encoding="utf-8") == PEOPLE


@pytest.mark.parametrize(
    ("name", "problem"),
    [("", "is a directory"), ("none/bad.jsonl", "No such file"), ("/dev/full", "the disk is full")],
)
def test_rejects_that_cannot_be_written_say_why(tmp_path: Path, name: str, problem: str) -> None:
    """The error names the file and the cause."""
    with pytest.raises(FileError, match=problem):
        check(PEOPLE, rejects=tmp_path / name)


def test_rejects_on_a_full_disk_are_an_error(tmp_path: Path) -> None:
    """A file of which a part is missing is not taken for the whole."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))
    try:
        with pytest.raises(FileError, match=r"bad\.jsonl cannot be written"):
            check("email\n" + "bad\n" * 1_000, rejects=tmp_path / "bad.jsonl")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    assert list(tmp_path.iterdir()) == []


def test_rejects_of_json_lines_stay_json_lines(tmp_path: Path) -> None:
    """An object does not fit into cells without loss."""
    with pytest.raises(FileError, match="JSON Lines"):
        check('{"email":"bad"}', rejects=tmp_path / "bad.csv")


@pytest.mark.parametrize("name", ["bad.csv", "bad.jsonl"])
def test_corrected_rejects_can_be_read_again(tmp_path: Path, name: str) -> None:
    """The added columns are no hindrance, and a second round does not pile them up."""
    rejects, again = tmp_path / name, tmp_path / f"again-{name}"
    check(PEOPLE, rejects=rejects)
    rejects.write_text(rejects.read_text(encoding="utf-8").replace("not an address", "fine@example.com"), "utf-8")

    second = check_file(rejects, rejects=again)

    assert (second.valid, second.invalid) == (1, 5)
    assert again.read_text(encoding="utf-8-sig").count("error_line") == (1 if name.endswith("csv") else 5)
    assert "guest-4@example.com,,en,,x" in again.read_text(encoding="utf-8")


CELLS = st.one_of(
    st.sampled_from(
        ["a@example.com", "bad", "+12025550123", "'+12025550123", "+1", "=1", "fr", "<x>", "", " ", '"', "'"]
    ),
    st.text(max_size=6),
)
ROWS = st.lists(st.lists(CELLS, min_size=1, max_size=5), min_size=1, max_size=8)


@settings(
    deadline=None,
    max_examples=examples(200),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    rows=ROWS, quoting=st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL]), name=st.sampled_from(["b.csv", "b.jsonl"])
)
def test_untouched_rejects_are_rejected_again(tmp_path: Path, rows: list[list[str]], quoting: Any, name: str) -> None:
    """No bad row is lost on the way, and none turns good by being written and read."""
    text = io.StringIO()
    csv.writer(text, quoting=quoting).writerows([["=x", "email", "Phone", "language", "authParams.state"], *rows])
    try:
        first = check(text.getvalue().encode("utf-8", "replace"), rejects=tmp_path / name, replace_rejects=True)
    except FileError as unclear:
        assert "its name is unknown" in str(unclear)  # noqa: PT017 - a column of addresses whose name is unknown
        return

    if first.invalid:
        second = check_file(tmp_path / name)

        assert (second.valid, second.invalid) == (0, first.invalid)


@pytest.mark.parametrize("channel", Channel)
def test_channel_reaches_the_rows(channel: Channel) -> None:
    """The check follows the channel, as the campaign does."""
    report = check("email,phone\na@example.com,\n,+12025550123\n", channel=channel)

    assert report.valid == (2 if channel is Channel.AUTO else 1)


def test_options_reach_the_file() -> None:
    """Encoding, delimiter and columns are those of `read_rows`."""
    content = "Kontakt:Sprache\nñ@example.com:es\nx:es\n".encode("cp1252")

    report = check(content, encoding="cp1252", delimiter=":", columns={"email": "Kontakt", "language": "Sprache"})

    assert (report.valid, report.first_errors[0].line) == (1, 3)
    assert report.first_errors[0] == RowError(3, "email", "is not an e-mail address; write it as local-part@domain")
