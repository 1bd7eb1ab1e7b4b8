"""Campaign commands against a real Valkey; no worker runs, so nothing leaves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import structlog

from gatepost.campaigns.control import Campaigns
from gatepost_operations.cli.entry import main

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from gatepost_core.settings import Settings
    from gatepost_operations.local.embedded_valkey import EmbeddedValkey

Run = "Callable[..., tuple[int, Any]]"


@pytest.fixture(autouse=True)
def _configured(valkey: EmbeddedValkey, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """The environment leads to the test's Valkey and a tenant that does not exist; the working directory is empty."""
    monkeypatch.chdir(tmp_path)
    for name, value in {
        "GATEPOST_REDIS_URL": valkey.url,
        "GATEPOST_SEALING_KEYS": "test:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8",
        "GATEPOST_FINGERPRINT_KEY": "a key for tests",
        "AUTH0_DOMAIN": "localhost:1",
        "AUTH0_CLIENT_ID": "client",
        "AUTH0_CLIENT_SECRET": "s3cret",
    }.items():
        monkeypatch.setenv(name, value)
    yield
    structlog.reset_defaults()


@pytest.fixture
def campaigns(settings: Settings) -> Iterator[Campaigns]:
    with Campaigns(settings) as opened:
        yield opened


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, Any]]:
    """Run `gatepost campaign …` with --json; give the exit code and the objects that were printed, one alone as itself."""

    def run_one(*arguments: str) -> tuple[int, Any]:
        capsys.readouterr()
        code = main([*arguments, "--json"])
        documents = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        return code, documents[0] if len(documents) == 1 else documents

    return run_one


@pytest.fixture
def people(tmp_path: Path) -> Callable[..., str]:
    """Write a file of people, and of bad rows if asked."""

    def write(count: int = 3, *, first: int = 0, bad: int = 0, name: str = "people.csv") -> str:
        rows = [f"person{number}@example.com,de" for number in range(first, first + count)]
        rows += ["nobody,de"] * bad
        Path(tmp_path / name).write_text("\n".join(["email,language", *rows, ""]), encoding="utf-8")
        return name

    return write
