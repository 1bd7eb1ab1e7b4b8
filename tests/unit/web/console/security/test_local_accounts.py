"""The file of local accounts."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest

from gatepost_core.errors import ConfigurationError, InvalidCommand
from gatepost_operations.web.console.security import local_accounts
from gatepost_operations.web.console.security.local_accounts import LocalAccounts
from gatepost_operations.web.console.security.operators import Level
from support.console_accounts import PASSWORD, write_accounts

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def accounts(tmp_path: Path) -> LocalAccounts:
    """Three accounts."""
    return LocalAccounts(write_accounts(tmp_path / "users"))


def test_an_added_account_signs_in_and_its_file_is_private(tmp_path: Path) -> None:
    """Only the owner can read the file, and it holds no password."""
    path = tmp_path / "users"
    accounts = LocalAccounts(path)
    added = accounts.add("ana", Level.OPERATOR, PASSWORD)
    text = path.read_text()
    operator = accounts.verify("ana", PASSWORD)

    assert added
    assert path.stat().st_mode & 0o777 == 0o600
    assert PASSWORD not in text
    assert text.startswith("ana:operator:scrypt$15$8$3$")
    assert operator is not None
    assert (operator.name, operator.level) == ("ana", Level.OPERATOR)


def test_a_file_behind_a_link_is_replaced_there(tmp_path: Path) -> None:
    """The link stays a link."""
    (tmp_path / "link").symlink_to("users")
    LocalAccounts(tmp_path / "link").add("ana", Level.OPERATOR, PASSWORD)

    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "users").read_text().startswith("ana:operator:")


@pytest.mark.parametrize(("name", "password"), [("otto", "wrong"), ("nemo", PASSWORD), ("", ""), ("otto", "x" * 5000)])
def test_a_wrong_name_or_password_signs_no_one_in(accounts: LocalAccounts, name: str, password: str) -> None:
    """Whatever is wrong."""
    assert accounts.verify(name, password) is None


def test_an_unknown_name_costs_the_same_hash_as_a_known_one(
    accounts: LocalAccounts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The time of the answer does not tell which names exist."""
    costs = []
    scrypt = hashlib.scrypt
    monkeypatch.setattr(
        local_accounts.hashlib,
        "scrypt",
        lambda *args, **cost: costs.append((cost["n"], cost["p"])) or scrypt(*args, **cost),
    )
    for name in ("otto", "nemo"):
        accounts.verify(name, "wrong")

    assert len(costs) == 2
    assert costs[0] == costs[1]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_file_that_others_can_open_is_refused(tmp_path: Path, mode: int) -> None:
    """The error gives the command that closes it."""
    path = write_accounts(tmp_path / "users")
    path.chmod(mode)

    with pytest.raises(ConfigurationError, match="chmod 600"):
        LocalAccounts(path).read()


@pytest.mark.parametrize("line", ["ana", "ana:admin", "ana:owner:scrypt$1$8$1$00$00", "a b:admin:x", "ana:admin:plain"])
def test_a_malformed_line_is_refused_and_not_repeated(tmp_path: Path, line: str) -> None:
    """A password that was written into the file by mistake is shown nowhere."""
    path = tmp_path / "users"
    path.write_text(f"{line}\n")
    path.chmod(0o600)

    with pytest.raises(ConfigurationError, match="malformed line") as raised:
        LocalAccounts(path).read()

    assert line not in str(raised.value)


def test_a_missing_file_names_the_command_that_makes_it(tmp_path: Path) -> None:
    """A newcomer sees the next step."""
    with pytest.raises(ConfigurationError, match="gatepost console-users add"):
        LocalAccounts(tmp_path / "none").read()


@pytest.mark.parametrize(
    ("name", "password", "field"),
    [("a:b", PASSWORD, "name"), ("", PASSWORD, "name"), ("\x1b[2J", PASSWORD, "name"), ("ana", "short", "password")],
)
def test_a_name_or_password_that_cannot_be_used_is_named(
    accounts: LocalAccounts, name: str, password: str, field: str
) -> None:
    """The error repeats neither."""
    with pytest.raises(InvalidCommand, match=f"{field}: must") as raised:
        accounts.add(name, Level.ADMIN, password)

    assert password not in str(raised.value)


def test_removing_an_unknown_account_changes_nothing(accounts: LocalAccounts) -> None:
    """The answer says so."""
    assert not accounts.remove("nemo")
    assert set(accounts.read()) == {"rita", "otto", "ada"}
