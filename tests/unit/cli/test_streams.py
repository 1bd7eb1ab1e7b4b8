"""The streams and exit codes of commands, run through the entry of the command line."""

from __future__ import annotations

import io
import json
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from gatepost_core.sealing import Key
from gatepost_operations.cli.entry import main

CONFIGURATION = {
    # No server listens on this port.
    "GATEPOST_REDIS_URL": "redis://127.0.0.1:1/0",
    "GATEPOST_SEALING_KEYS": Key("test", bytes(32)).reveal(),
    "GATEPOST_FINGERPRINT_KEY": "fingerprints" * 3,
    "AUTH0_DOMAIN": "tenant.example.com",
    "AUTH0_CLIENT_ID": "client",
    "AUTH0_CLIENT_SECRET": "secret",
}


pytestmark = pytest.mark.usefixtures("empty_directory")


@pytest.fixture
def configured(monkeypatch: pytest.MonkeyPatch) -> None:
    """A complete configuration, with a Redis that does not answer."""
    for name, value in CONFIGURATION.items():
        monkeypatch.setenv(name, value)


def test_a_usage_error_is_one_sentence_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 2, nothing on stdout, and where to find help."""
    code = main(["send-email", "ana@example.com", "--sned", "link"])
    seen = capsys.readouterr()

    assert (code, seen.out) == (2, "")
    assert seen.err.startswith("gatepost send-email: No such option: --sned")
    assert seen.err.rstrip().endswith("Try: gatepost send-email --help")


def test_an_unknown_command_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    """A misspelt command is answered with the ones that are near."""
    code = main(["send-emali"])

    assert code == 2
    assert "send-email" in capsys.readouterr().err


def test_with_json_a_usage_error_is_an_object_on_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    """A program that asked for JSON gets JSON."""
    code = main(["send-email", "--json"])
    seen = capsys.readouterr()

    assert code == 2
    assert json.loads(seen.out)["error"]["exit_code"] == 2
    assert seen.err == ""


@pytest.mark.usefixtures("configured")
def test_a_missing_configuration_names_the_variable(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit code 4, and the variable to set."""
    monkeypatch.delenv("GATEPOST_SEALING_KEYS")
    code = main(["send-email", "ana@example.com"])
    seen = capsys.readouterr()

    assert (code, seen.out) == (4, "")
    assert "GATEPOST_SEALING_KEYS" in seen.err
    assert len(seen.err.splitlines()) == 1


@pytest.mark.usefixtures("configured")
def test_an_invalid_address_is_named_and_never_repeated(capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 6; the error names the field and the problem, not the value."""
    code = main(["send-email", "ana-canary.example.com", "--json"])
    error = json.loads(capsys.readouterr().out)["error"]

    assert code == 6
    assert [problem["field"] for problem in error["problems"]] == ["email"]
    assert "canary" not in json.dumps(error)


@pytest.mark.usefixtures("configured")
def test_a_redis_that_does_not_answer_is_unexpected(capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 1 and one sentence: nothing was sent."""
    code = main(["send-sms", "+34600000001"])
    seen = capsys.readouterr()

    assert (code, seen.out) == (1, "")
    assert "Nothing is sent" in seen.err
    assert "Traceback" not in seen.err


@pytest.mark.usefixtures("configured")
def test_debug_adds_the_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    """The sentence stays, the traceback comes with it."""
    code = main(["--debug", "send-sms", "+34600000001"])
    error = capsys.readouterr().err

    assert code == 1
    assert "Traceback" in error
    assert error.splitlines()[-1].startswith("gatepost: Redis did not answer")


@pytest.mark.usefixtures("configured")
def test_an_address_and_a_code_may_come_from_standard_input(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`-` takes the first line; the code, which no flag takes, is the second."""
    monkeypatch.setattr(sys, "stdin", io.StringIO("+1\n??\n"))
    code = main(["login", "-", "--json"])
    fields = [problem["field"] for problem in json.loads(capsys.readouterr().out)["error"]["problems"]]

    assert code == 6
    assert fields == ["code", "phone_number"]


@pytest.mark.usefixtures("configured")
def test_an_empty_standard_input_is_said(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A pipe that gives nothing is an invalid input, not a hang."""
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    code = main(["send-email", "-"])

    assert code == 6
    assert "standard input" in capsys.readouterr().err


def test_a_full_disk_under_the_output_is_named(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit code 1, and the way out."""
    full = Path("/dev/full").open("w", encoding="utf-8")  # noqa: SIM115 - closing it fails, too
    monkeypatch.setattr(sys, "stdout", full)
    code = main(["keys", "new"])
    monkeypatch.undo()
    with suppress(OSError):
        full.close()

    assert code == 1
    assert "the disk is full; free some space" in capsys.readouterr().err


@pytest.mark.usefixtures("configured")
@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["campaign", "create", "x", "--start-at", "soon"], "--start-at: is not a moment; write it as "),
        (["campaign", "create", "x", "--start-at=9999-12-31T23:00Z"], "--start-at: is too far away; give a time "),
        (["campaign", "create", "x", "--hours", "9-18", "--timezone", "UTC"], "--hours: write them as 09:00-18:00"),
        (["campaign", "retry", "x", "--state", "foo"], "--state: must be failed, or one of "),
        (["campaign", "retry", "x", "--reason", "not_reachd"], "--reason: is unknown; "),
        (
            ["audit", "list", "--since", "foo"],
            "--since: is not a moment; write it as 2026-05-04T09:00+02:00, or as a time ago: ",
        ),
        (["audit", "list", "--since", "2026-05-04"], "--since: has no timezone; add one, as in 09:00+02:00\n"),
        (["audit", "verify", "--expect-head", "3f1c"], "--expect-head: is not a head; "),
    ],
)
def test_a_wrong_value_names_its_option(arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 2, the option as it was typed, the fault of its value, and the way out."""
    code = main(arguments)

    assert code == 2
    assert capsys.readouterr().err.startswith(f"gatepost: {says}")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["campaign", "list", "--limit", "0"], "'--limit': must be at least 1. Try:"),
        (["campaign", "list", "--limit", "ten"], "'--limit': must be a whole number. Try:"),
        (["campaign", "plan", "x", "--rate", "fast"], "'--rate': must be a valid number. Try:"),
        (["campaign", "plan", "x", "--rate", "0.000001"], "'--rate': must be at least 0.00001. Try:"),
        (["web", "--port", "99999"], "'--port': must be at most 65535. Try:"),
        (["campaign", "export", "x", "--format", "xml"], "'--format': 'xml' is not one of 'ndjson', 'csv'. Try:"),
        (["campaign", "pause"], "Missing argument 'CAMPAIGN'. Try: gatepost campaign pause --help"),
    ],
)
def test_misuse_is_said_without_words_of_python(
    arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2; the option, its values, and where to find help."""
    code = main(arguments)
    said = capsys.readouterr().err

    assert code == 2
    assert says in said
    assert "Value error" not in said


def test_redeem_does_not_go_with_no_wait(capsys: pytest.CaptureFixture[str]) -> None:
    """A token set is there at the login's end."""
    code = main(["login", "ana@example.com", "--redeem", "--no-wait"])

    assert code == 2
    assert "--no-wait" in capsys.readouterr().err


@pytest.mark.parametrize("flag", ["--code", "--otp", "--client-secret", "--password"])
def test_no_flag_takes_a_secret(flag: str) -> None:
    """A secret in a flag is in the process list and in the shell's history."""
    assert main(["login", "ana@example.com", flag, "123456"]) == 2


def test_new_keys_are_environment_lines(capsys: pytest.CaptureFixture[str]) -> None:
    """Data on stdout, so that it can be appended to a file; advice on stderr."""
    code = main(["keys", "new", "--kid", "spring"])
    seen = capsys.readouterr()
    lines = dict(line.split("=", 1) for line in seen.out.splitlines())

    assert code == 0
    assert Key.parse(lines["GATEPOST_SEALING_KEYS"]).kid == "spring"
    assert len(lines["GATEPOST_FINGERPRINT_KEY"]) > 32
    assert "rotate" in seen.err


def test_a_malformed_key_id_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    """An id with a space would not be read back."""
    assert main(["keys", "new", "--kid", "two words"]) == 2
    assert capsys.readouterr().out == ""
