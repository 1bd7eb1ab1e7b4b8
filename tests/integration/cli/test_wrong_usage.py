"""A mistake on the command line gives exit code 2, whether an option is missing or has a wrong value."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from gatepost_operations.cli.entry import main
from gatepost_operations.cli.exit_codes import ExitCode

if TYPE_CHECKING:
    from pathlib import Path

FILE = "people.csv"
MISSING = [
    (("campaign", "change", "spring"), "--rate or --deadline"),
    (("campaign", "change", "spring", "--timezone", "Europe/Berlin"), "--rate or --deadline"),
    (("webhooks", "replay", "3f2a"), "--since"),
    (("webhooks", "replay", "3f2a", "--until", "1h"), "--since"),
    (("api-keys", "create", "texts", "--kind", "send_sms"), "--country"),
    (("health",), "--port"),
    (("console-users", "sign-out"), "NAME"),
    (("recover",), "--backup-of"),
    (("campaign", "test", FILE), "--to"),
    (("campaign", "send", FILE, "--hours", "09:00-17:00"), "--timezone"),
    (("campaign", "send", FILE, "--no-watch", "--notify", "true"), "--watch"),
    (("keys", "forget"), "ID"),
]
WRONG = [
    (("api-keys", "create", "shop", "--country", "UK"), "--country"),
    (("api-keys", "create", "shop", "--domain", "example"), "--domain"),
    (("audit", "verify", "--expect-head", "12"), "--expect-head"),
    (("campaign", "change", "spring", "--rate", "fast"), "--rate"),
    (("campaign", "export", "spring", "--state", "sent"), "--state"),
    (("campaign", "retry", "spring", "--reason", "no reason"), "--reason"),
    (("campaign", "test", FILE, "--to", "ana@example.com", "--to", "absent@"), "--to 2"),
    (("console-users", "sign-out", "ana", "--all"), "--all"),
    (("dead-letters", "list", "--since", "yesterday"), "--since"),
    (("health", "--url", "ftp://127.0.0.1"), "--url"),
    (("keys", "new", "--kid", "two words"), "--kid"),
    (("recover", "--backup-of", "2099-01-01T00:00Z"), "--backup-of"),
    (("suppression", "add", "ana@example.com", "--expires", "2020-01-01T00:00Z"), "--expires"),
    (("tenants", "accept", "default", "--from", "acme"), "--from"),
    (("webhooks", "add", "https://example.com/", "--event", "sent"), "--event"),
    (("webhooks", "rotate", "3f2a", "--overlap", "soon"), "--overlap"),
]


@pytest.fixture(autouse=True)
def _here(configured: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GATEPOST_CONSOLE_USERS", str(tmp_path / "console-users"))
    (tmp_path / FILE).write_text("email\nana@example.com\n", encoding="utf-8")
    assert main(["campaign", "create", "spring"]) == ExitCode.DONE


@pytest.mark.parametrize(("arguments", "named"), [*MISSING, *WRONG], ids=lambda one: " ".join(one[:3]))
def test_a_missing_or_wrong_option_gives_exit_code_2_and_is_named(
    arguments: tuple[str, ...], named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """For every command, so that a script can tell its own mistake from invalid input."""
    code = main(list(arguments))
    told = capsys.readouterr().err.splitlines()[-1]

    assert code == ExitCode.USAGE
    assert told.startswith("gatepost")
    assert named in told


def test_a_missing_option_is_told_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    """In the form of other mistakes."""
    capsys.readouterr()
    code = main(["webhooks", "replay", "3f2a", "--json"])
    error = json.loads(capsys.readouterr().out)["error"]

    assert code == error["exit_code"] == ExitCode.USAGE
    assert error["type"] == "UsageError"
    assert error["message"] == "--since is missing; give the start of the range, such as --since 2h"
