"""Tests for `examples/people.csv`: every kind of row, and no real person."""

from __future__ import annotations

import re

import pytest

from gatepost_core.campaigns.row import Row
from gatepost_core.kinds import Channel
from gatepost_operations.files.check import CheckReport, check_file
from gatepost_operations.files.rows import read_rows
from support.checkout import CHECKOUT

PEOPLE = CHECKOUT / "examples" / "people.csv"

# RFC 2606 and RFC 6761.
RESERVED_DOMAIN = re.compile(r"(?:[\w-]+\.)*example(?:\.com|\.net|\.org)?")
# Set aside for fiction by the North American Numbering Plan, Ofcom, ARCEP, PTS, Bundesnetzagentur, ComReg and ACMA.
FICTIONAL_NUMBER = re.compile(
    r"\+1\d{3}55501\d\d|\+447700900\d{3}|\+3363998\d{4}|\+46701740(?:60[5-9]|6[1-9]\d)"
    r"|\+493023125\d{3}|\+4917139200\d\d|\+3532091\d{5}|\+61491570(?:006|156|157|158|159|110|313|737)"
)


@pytest.fixture(scope="module")
def report() -> CheckReport:
    """The check of the file."""
    return check_file(PEOPLE)


def test_example_has_every_kind_of_row(report: CheckReport) -> None:
    """A first try meets what real files are like."""
    assert report.rows >= 240
    assert report.invalid >= 12
    assert report.duplicates >= 8
    assert report.kinds["email"] >= 100
    assert report.kinds["sms"] >= 60
    assert len(report.regions) >= 8
    assert len({(problem.field, problem.problem) for problem in report.problems}) >= 10


def test_every_problem_is_in_the_reference(report: CheckReport) -> None:
    """A reader finds each problem word for word."""
    page = (PEOPLE.parents[1] / "docs" / "reference" / "invalid-rows.md").read_text(encoding="utf-8")

    assert [problem.problem for problem in report.problems if f"| {problem.problem} |" not in page] == []


def test_example_names_nobody_who_exists() -> None:
    """Domains are reserved for documentation, numbers for fiction."""
    rows = [row for row in read_rows(PEOPLE) if isinstance(row, Row)]
    domains = {row.recipient.rpartition("@")[2] for row in rows if row.kind is Channel.EMAIL}
    numbers = {row.recipient for row in rows if row.kind is Channel.SMS}

    assert [domain for domain in domains if not RESERVED_DOMAIN.fullmatch(domain)] == []
    assert [number for number in numbers if not FICTIONAL_NUMBER.fullmatch(number)] == []


def test_example_sets_languages_ip_addresses_and_auth_params() -> None:
    """Each optional column is in use, in several alphabets."""
    rows = [row for row in read_rows(PEOPLE) if isinstance(row, Row)]

    assert len({row.language for row in rows}) >= 15
    assert any(row.client_ip and ":" in row.client_ip for row in rows)
    assert sum(row.auth_params is not None for row in rows) >= 10
    assert sum(not row.recipient.isascii() for row in rows) >= 40


def test_example_has_numbers_that_only_a_region_makes_whole(report: CheckReport) -> None:
    """The default region turns an error into a recipient."""
    assert check_file(PEOPLE, default_region="GB").invalid == report.invalid - 1
