"""Settings: from flags, the environment and a file, in that order, and nothing misspelt."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from pydantic import ValidationError

from gatepost_simulator.server import SimulatorServer
from gatepost_simulator.settings import DEV_CLIENT_ID, DEV_CLIENT_SECRET, SimulatorSettings

if TYPE_CHECKING:
    from pathlib import Path


def test_file_environment_and_flags_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A flag wins over the environment, the environment over the file."""
    file = tmp_path / "simulator.json"
    file.write_text(json.dumps({"domain": "file.example", "slow_s": 7, "quota": {"plan": "free"}}))
    monkeypatch.setenv("GATEPOST_SIMULATOR_DOMAIN", "environment.example")
    monkeypatch.setenv("GATEPOST_SIMULATOR_SLOW_S", "8")
    settings = SimulatorSettings.load(file, domain="flag.example")

    assert (settings.domain, settings.slow_s, settings.quota.plan) == ("flag.example", 8, "free")


def test_toml_is_read_too(tmp_path: Path) -> None:
    """A TOML file has the same members."""
    file = tmp_path / "simulator.toml"
    file.write_text('[quota]\nplan = "essentials"\n[open_points]\nmissing_send = "refuse"\n')
    settings = SimulatorSettings.load(file)

    assert settings.quota.plan == "essentials"
    assert settings.open_points.missing_send == "refuse"


@pytest.mark.parametrize("variable", ["GATEPOST_SIMULATOR_QOUTA__PLAN", "GATEPOST_SIMULATOR_QUOTA__PLN"])
def test_a_misspelt_variable_is_refused(monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    """Of a group, and of a switch in a group."""
    monkeypatch.setenv(variable, "free")

    with pytest.raises(
        ValueError, match=r"unknown setting GATEPOST_SIMULATOR_QOUTA__PLAN|Extra inputs are not permitted"
    ):
        SimulatorSettings.load()


def test_a_misspelt_variable_is_refused_in_python_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the settings, and so by a server in a thread."""
    monkeypatch.setenv("GATEPOST_SIMULATOR_QOUTA__PLAN", "free")

    with pytest.raises(ValueError, match="unknown setting GATEPOST_SIMULATOR_QOUTA__PLAN; correct or unset it"):
        SimulatorSettings()
    with pytest.raises(ValueError, match="unknown setting GATEPOST_SIMULATOR_QOUTA__PLAN; correct or unset it"):
        SimulatorServer(in_thread=True)


def test_a_misspelt_name_is_refused(tmp_path: Path) -> None:
    """A switch that does not exist would silently test nothing."""
    file = tmp_path / "simulator.json"
    file.write_text('{"open_points": {"missing_sent": "refuse"}}')

    with pytest.raises(ValidationError, match="missing_sent"):
        SimulatorSettings.load(file)


@pytest.mark.parametrize("name", ["simulator.yaml", "simulator"])
def test_other_suffixes_are_refused(tmp_path: Path, name: str) -> None:
    """Only JSON and TOML are read."""
    (tmp_path / name).write_text("x")

    with pytest.raises(ValueError, match=r"\.json or \.toml"):
        SimulatorSettings.load(tmp_path / name)


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    """A file that was named must be there."""
    with pytest.raises(FileNotFoundError):
        SimulatorSettings.load(tmp_path / "none.json")


def test_secrets_do_not_show() -> None:
    """Neither repr nor dump has a client's secret."""
    settings = SimulatorSettings()

    assert settings.clients[0].client_id == DEV_CLIENT_ID
    assert DEV_CLIENT_SECRET not in repr(settings)
    assert DEV_CLIENT_SECRET not in settings.model_dump_json()
