"""A setting that does not exist is refused, with the nearest name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from gatepost.errors import ConfigurationError
from gatepost_core.settings import load_settings

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("variable", "nearest"),
    [
        ("GATEPOST_MAX_ATEMPTS", "GATEPOST_MAX_ATTEMPTS"),
        ("gatepost_redsi_url", "GATEPOST_REDIS_URL"),
        # An earlier version had it.
        ("GATEPOST_RESULT_LIFETIME", "GATEPOST_RECORD_LIFETIME"),
        ("GATEPOST_SEALING_KEY", "GATEPOST_SEALING_KEYS"),
        ("GATEPOST_SEALING_KEY_FILE", "GATEPOST_SEALING_KEYS"),
    ],
)
def test_a_misspelt_variable_is_refused(monkeypatch: pytest.MonkeyPatch, variable: str, nearest: str) -> None:
    """In any case of letters; the value is not shown."""
    monkeypatch.setenv(variable, "hush-hush-41")

    with pytest.raises(ConfigurationError) as refused:
        load_settings()

    assert str(refused.value) == (
        f"unknown setting {variable.upper()} in the environment; correct or remove it. Did you mean {nearest}?"
    )


def test_a_variable_without_a_near_setting_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message names the page that lists the settings."""
    monkeypatch.setenv("GATEPOST_XYZZY", "1")

    with pytest.raises(ConfigurationError, match=r"GATEPOST_XYZZY .*settings\.md lists the settings"):
        load_settings()


@pytest.mark.parametrize(
    "variable",
    [
        "GATEPOST_CONFIG",
        "GATEPOST_IMAGE",
        "GATEPOST_SIMULATOR_SLOW_S",
        "GATEPOST_FINGERPRINT_KEY_COMMAND",
        "GATEPOST_SERVICE_HOST",
        "GATEPOST_SERVICE_PORT_HTTP",
        "GATEPOST_PORT",
        "GATEPOST_PORT_8080_TCP_ADDR",
        "GATEPOST_REDIS_PORT_6379_TCP",
        "AUTH0_AUDIENCE",
        "NOT_GATEPOST_X",
    ],
)
def test_variables_of_others_are_allowed(monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    """Of the simulator, of Docker Compose, of Kubernetes' services, and of other Auth0 SDKs."""
    monkeypatch.setenv(variable, "" if variable == "GATEPOST_CONFIG" else f"echo {'1' * 32}")

    load_settings()


@pytest.mark.parametrize(("name", "nearest"), [("redsi_url", "redis_url"), ("auth0_domian", "auth0_domain")])
def test_a_misspelt_argument_is_refused(name: str, nearest: str) -> None:
    """As Python does for a function's arguments."""
    given: dict[str, Any] = {name: "x"}

    with pytest.raises(
        ConfigurationError, match=rf"unknown setting {name} in load_settings\(\); .* Did you mean {nearest}"
    ):
        load_settings(**given)


def test_a_misspelt_name_in_a_file_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """In `.env` and in the configuration file, which the message names."""
    (tmp_path / ".env").write_text("GATEPOST_MAX_ATEMPTS=7\n")
    (tmp_path / "gatepost.toml").write_text("max_atempts = 7\n")

    with pytest.raises(ConfigurationError, match=r"GATEPOST_MAX_ATEMPTS in \S+\.env; .*GATEPOST_MAX_ATTEMPTS"):
        load_settings(env_file=str(tmp_path / ".env"))

    monkeypatch.setenv("GATEPOST_CONFIG", str(tmp_path / "gatepost.toml"))
    with pytest.raises(ConfigurationError, match=r"max_atempts in \S+gatepost\.toml; .*Did you mean max_attempts"):
        load_settings()


def test_an_env_file_cannot_name_the_configuration_file(tmp_path: Path) -> None:
    """It would have no effect there; the message says where it has."""
    (tmp_path / ".env").write_text("gatepost_config=gatepost.toml\n")

    with pytest.raises(ConfigurationError, match=r"GATEPOST_CONFIG in \S+\.env is not read; set it in the environment"):
        load_settings(env_file=str(tmp_path / ".env"))
