"""`gatepost console-users`, and what `gatepost web` says without an account."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pytest

from gatepost_core.redis.keys import RedisKeys
from gatepost_operations.cli.entry import main
from gatepost_operations.cli.exit_codes import ExitCode
from gatepost_operations.web.console.security.local_accounts import LocalAccounts
from gatepost_operations.web.console.security.operators import Level, Operator
from gatepost_operations.web.console.security.sessions import Sessions

if TYPE_CHECKING:
    from pathlib import Path

    import redis

PASSWORD = "correct horse battery"


@pytest.fixture
def accounts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> LocalAccounts:
    """The accounts of a user without any."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return LocalAccounts(tmp_path / "config" / "gatepost" / "console-users")


def add(monkeypatch: pytest.MonkeyPatch, *arguments: str, password: str = PASSWORD) -> int:
    """Add an account with the password on standard input."""
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{password}\n"))
    return main(["console-users", "add", *arguments])


@pytest.mark.usefixtures("empty_directory")
def test_accounts_are_added_changed_listed_and_removed(
    accounts: LocalAccounts, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The first account makes the directory and the file, for this user alone. No output has the password."""
    codes = [
        add(monkeypatch, "ana", "--level", "admin"),
        add(monkeypatch, "bo"),
        add(monkeypatch, "bo", "--level", "admin"),
    ]
    codes.append(main(["console-users", "list"]))
    codes.append(main(["console-users", "remove", "bo", "--yes"]))
    shown = capsys.readouterr()

    assert codes == [ExitCode.DONE] * 5
    assert [line.split(",")[0] for line in shown.out.splitlines()] == [
        "added: ana",
        "added: bo",
        "changed: bo",
        "ana  admin",
        "bo   admin",
        "removed: bo",
    ]
    assert set(accounts.read()) == {"ana"}
    assert accounts.path.parent.stat().st_mode & 0o077 == 0
    assert PASSWORD not in f"{shown}"


@pytest.mark.usefixtures("accounts", "empty_directory")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["remove", "nemo", "--yes"], "gatepost console-users add NAME"),
        (["sign-out"], "NAME is missing; give it, or --all"),
        (["sign-out", "ana", "--all"], "Invalid value for --all: cannot be combined with NAME; leave one out"),
    ],
)
def test_a_wrong_use_names_the_way_out(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    """As one sentence."""
    code = main(["console-users", *arguments])

    assert code == (ExitCode.USAGE if "sign-out" in arguments else ExitCode.CONFIGURATION)
    assert message in capsys.readouterr().err


@pytest.mark.usefixtures("accounts", "empty_directory")
def test_a_short_password_is_refused_and_not_repeated(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The error names the limit."""
    code = add(monkeypatch, "ana", password="hunter2")
    shown = capsys.readouterr()

    assert code == ExitCode.INVALID
    assert "password: must have 12 to" in shown.err
    assert "hunter2" not in f"{shown}"


@pytest.mark.usefixtures("configured")
def test_an_operator_is_signed_out_everywhere(redis_client: redis.Redis, capsys: pytest.CaptureFixture[str]) -> None:
    """Also one who signed in at an identity provider. It needs no key."""
    sessions = Sessions(redis_client, RedisKeys(), idle_s=60, lifetime_s=60)
    for name in ("ana@example.com", "ana@example.com", "bo@example.com"):
        sessions.open(Operator(name, Level.ADMIN, f"oidc:{name}"))
    codes = [main(["console-users", "sign-out", "ana@example.com"]), main(["console-users", "sign-out", "--all"])]

    assert codes == [ExitCode.DONE, ExitCode.DONE]
    assert capsys.readouterr().out.splitlines() == ["2 sessions ended", "1 session ended"]


@pytest.mark.usefixtures("accounts", "configured")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "add a local account: gatepost console-users add NAME"),
        (["--role", "console"], "add a local account: gatepost console-users add NAME"),
    ],
)
def test_a_console_without_accounts_does_not_start(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A newcomer sees the command to run first."""
    assert main(["web", *arguments]) == ExitCode.CONFIGURATION
    assert message in capsys.readouterr().err
