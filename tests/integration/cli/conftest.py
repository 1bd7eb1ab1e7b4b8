"""A configuration in the environment that leads to the test's Valkey, and the command line run in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import structlog

from gatepost_core.sealing import Key

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from gatepost_operations.local.embedded_valkey import EmbeddedValkey


@pytest.fixture
def variables(valkey: EmbeddedValkey) -> dict[str, str]:
    """A complete configuration, with a tenant that does not exist."""
    return {
        "GATEPOST_REDIS_URL": valkey.url,
        "GATEPOST_SEALING_KEYS": Key("test", bytes(range(32))).reveal(),
        "GATEPOST_FINGERPRINT_KEY": "a key for tests",
        "AUTH0_DOMAIN": "localhost:1",
        "AUTH0_CLIENT_ID": "client",
        "AUTH0_CLIENT_SECRET": "s3cret-canary",
    }


@pytest.fixture
def configured(variables: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """The configuration in the environment, in a directory without a `.env`."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    yield
    structlog.reset_defaults()
