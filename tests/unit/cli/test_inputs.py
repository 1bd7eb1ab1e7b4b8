"""Input of commands besides their options."""

from __future__ import annotations

import io
import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from gatepost.errors import InvalidCommand
from gatepost_core.identifiers import is_address
from gatepost_operations.cli.inputs import address_from, code_from, deadline_in, given_only, json_object

if TYPE_CHECKING:
    from pathlib import Path


def test_an_address_is_itself() -> None:
    """Only a dash reads standard input."""
    assert address_from("ana@example.com") == "ana@example.com"


def test_a_code_comes_from_a_file(tmp_path: Path) -> None:
    """White space around it does not count."""
    file = tmp_path / "code"
    file.write_text(" 123456\n", encoding="utf-8")

    assert code_from(file, address="ana@example.com") == "123456"


def test_a_code_comes_from_a_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first line, when the address was an argument."""
    monkeypatch.setattr(sys, "stdin", io.StringIO("654321\n"))

    assert code_from(None, address="ana@example.com") == "654321"


def test_a_missing_code_file_is_named(tmp_path: Path) -> None:
    """The file's name, and that it cannot be read."""
    with pytest.raises(InvalidCommand, match="nowhere cannot be read: No such file or directory"):
        code_from(tmp_path / "nowhere", address="ana@example.com")


def test_json_may_stand_in_a_file(tmp_path: Path) -> None:
    """`@file`, as curl has it."""
    file = tmp_path / "params.json"
    file.write_text('{"scope": "openid"}', encoding="utf-8")

    assert json_object(f"@{file}", "auth_params") == {"scope": "openid"}
    assert json_object('{"state": "x"}', "auth_params") == {"state": "x"}
    assert json_object(None, "auth_params") is None


@pytest.mark.parametrize("given", ["{canary", "[1]", '"canary"', "7"])
def test_what_is_no_json_object_is_not_repeated(given: str) -> None:
    """The field is named, the value never."""
    with pytest.raises(InvalidCommand, match="auth_params") as caught:
        json_object(given, "auth_params")

    assert "canary" not in str(caught.value)


def test_a_deadline_counts_from_now() -> None:
    """Seconds become an aware moment."""
    before = datetime.now(UTC)
    deadline = deadline_in(60)

    assert deadline is not None
    assert before + timedelta(seconds=60) <= deadline <= datetime.now(UTC) + timedelta(seconds=60)
    assert deadline_in(None) is None


def test_only_what_was_given_travels_on() -> None:
    """The command's own defaults hold for the rest; an empty text was given."""
    assert given_only({"tenant": None, "language": "", "max_age": 0}) == {"language": "", "max_age": 0}


@pytest.mark.parametrize(("address", "email"), [("ana@example.com", True), ("+34600000001", False)])
def test_the_channel_follows_from_the_form(address: str, *, email: bool) -> None:
    """An @ makes it an e-mail address."""
    assert is_address(address) is email
