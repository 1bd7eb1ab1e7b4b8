"""The command line with a configuration in its environment, and campaigns under the same settings."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
import structlog

from gatepost.campaigns.control import Campaigns
from gatepost_operations.cli.entry import main

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from gatepost_core.settings import Settings

VARIABLES = ("redis_url", "fingerprint_key", "auth0_domain", "auth0_client_id", "auth0_client_secret")


@dataclass(frozen=True)
class Ran:
    """What one command did."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        return json.loads(self.out)


@pytest.fixture
def campaigns(settings: Settings) -> Iterator[Campaigns]:
    with Campaigns(settings) as opened:
        yield opened


@pytest.fixture
def gatepost(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> Iterator[Callable[..., Ran]]:
    """Run the command line under the test's settings, without a terminal."""
    for name in VARIABLES:
        value = getattr(settings, name)
        shown = value.get_secret_value() if hasattr(value, "get_secret_value") else value
        monkeypatch.setenv(name.upper() if name.startswith("auth0") else f"GATEPOST_{name.upper()}", shown)
    keys = ",".join(key.get_secret_value() for key in settings.sealing_keys)
    monkeypatch.setenv("GATEPOST_SEALING_KEYS", keys)
    monkeypatch.setenv("GATEPOST_OPERATOR", "ines")
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> Ran:
        capsys.readouterr()
        code = main(arguments)
        captured = capsys.readouterr()
        return Ran(code, captured.out, captured.err)

    yield run
    structlog.reset_defaults()
