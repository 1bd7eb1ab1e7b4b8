"""The HTTP API, on a real server; each test has an empty Valkey."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gatepost_core.settings import Settings
from support.sealing_keys import SEALING_KEY
from support.web_api import CONSOLE_KEY, Api, running_api

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gatepost_operations.local.embedded_valkey import EmbeddedValkey


@pytest.fixture(scope="module")
def served(valkey_server: EmbeddedValkey) -> Iterator[Api]:
    """The API, which also accepts the console's key."""
    settings = Settings(
        redis_url=valkey_server.url,
        sealing_keys=SEALING_KEY.reveal(),
        fingerprint_key="a fingerprint key of the tests alone",
        AUTH0_DOMAIN="localhost:1",
        AUTH0_CLIENT_ID="client",
        web_api_key=CONSOLE_KEY,
    )
    with running_api(settings) as running:
        yield running


@pytest.fixture
def api(served: Api, valkey: EmbeddedValkey) -> Api:
    """The API, without what it remembers of earlier tests."""
    served.forget()
    return served
