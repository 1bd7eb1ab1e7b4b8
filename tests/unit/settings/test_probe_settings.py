"""The probe's settings: read from all sources, refused with their name, and shown nowhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from gatepost.errors import ConfigurationError
from gatepost_core.kinds import Channel
from gatepost_core.settings import load_settings
from gatepost_operations.probing.code_command import CodeCommand
from gatepost_operations.probing.configuration import load_probe_settings, source_of, target_of
from gatepost_operations.probing.imap_mailbox import ImapMailbox

if TYPE_CHECKING:
    from pathlib import Path

MAILBOX = {
    "probe_address": "Probe+EU@example.com",
    "probe_imap_host": "imap.example.com",
    "probe_imap_password": "canary-password",
}


def test_settings_come_from_the_environment_its_files_and_the_configuration(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As every other setting does; `load_settings` knows their names."""
    (tmp_path / "password").write_text("canary-password\n")
    (tmp_path / "gatepost.toml").write_text('probe_imap_host = "imap.example.com"\nprobe_imap_port = 1993\n')
    monkeypatch.setenv("GATEPOST_CONFIG", str(tmp_path / "gatepost.toml"))
    monkeypatch.setenv("GATEPOST_PROBE_ADDRESS", "Probe+EU@Example.com")
    monkeypatch.setenv("GATEPOST_PROBE_IMAP_PASSWORD_FILE", str(tmp_path / "password"))
    found, settings = load_probe_settings(), load_settings()

    assert found.probe_imap_port == 1993
    assert found.probe_imap_password is not None
    assert found.probe_imap_password.get_secret_value() == "canary-password"
    assert target_of(found, settings, None).address.get_secret_value() == "probe+eu@example.com"
    assert isinstance(source_of(found), ImapMailbox)
    assert "canary" not in repr(found)
    assert "example.com'" not in repr(found).replace("imap.example.com", "")


@pytest.mark.parametrize(
    ("variable", "nearest"),
    [
        ("GATEPOST_PROBE_ADRESS", "GATEPOST_PROBE_ADDRESS"),
        ("GATEPOST_PROBE_IMAP_PASWORD_FILE", "GATEPOST_PROBE_IMAP_PASSWORD"),
        ("GATEPOST_PROBE_COMMAND", "GATEPOST_PROBE_CODE_COMMAND"),
    ],
)
def test_a_misspelt_variable_of_the_probe_is_refused(
    monkeypatch: pytest.MonkeyPatch, variable: str, nearest: str
) -> None:
    """By every process that reads settings; the message names the nearest one."""
    monkeypatch.setenv(variable, "x")

    with pytest.raises(
        ConfigurationError, match=f"unknown setting {variable} in the environment; .* Did you mean {nearest}"
    ):
        load_settings()


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"probe_address": "canary at example.com"}, "GATEPOST_PROBE_ADDRESS: "),
        ({"probe_imap_port": 0}, "GATEPOST_PROBE_IMAP_PORT: "),
        ({"probe_imap_password": "canary\r\nA1 LOGOUT"}, "GATEPOST_PROBE_IMAP_PASSWORD: must be one line"),
        ({"probe_code_pattern": "(canary"}, "GATEPOST_PROBE_CODE_PATTERN: must be a regular expression"),
        ({"probe_code_pattern": r"(\d)(\d)"}, "GATEPOST_PROBE_CODE_PATTERN: must have at most one group"),
        ({"probe_used_messages": "burn"}, "GATEPOST_PROBE_USED_MESSAGES: "),
    ],
)
def test_a_malformed_setting_is_refused_by_its_name(given: dict[str, Any], problem: str) -> None:
    """The value is not repeated."""
    with pytest.raises(ConfigurationError, match="^" + problem) as refused:
        load_probe_settings(**given)

    assert "canary" not in str(refused.value)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"probe_address": None}, "GATEPOST_PROBE_ADDRESS is not set"),
        ({"probe_imap_host": None}, "GATEPOST_PROBE_IMAP_HOST is not set"),
        ({"probe_imap_password": ""}, "GATEPOST_PROBE_IMAP_PASSWORD is not set"),
        ({"probe_address": "+447700900847"}, "a mailbox gets no SMS"),
        ({"probe_code_command": "cat sms.txt"}, "not both"),
    ],
)
def test_a_missing_setting_is_an_error_before_anything_is_sent(changes: dict[str, Any], problem: str) -> None:
    """It names the setting, and the way out."""
    with pytest.raises(ConfigurationError, match=problem):
        source_of(load_probe_settings(**{**MAILBOX, **changes}))


def test_a_phone_number_is_probed_with_a_command() -> None:
    """By SMS, over the connection of that name unless another is set."""
    own = load_probe_settings(probe_address="+44 7700 900847", probe_code_command="cat sms.txt")
    target = target_of(own, load_settings(), None)

    assert isinstance(source_of(own), CodeCommand)
    assert (target.channel, target.connection, target.tenant) == (Channel.SMS, "sms", "default")
