"""A console over the test's Valkey, with a signed-in operator."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr

from gatepost_operations.web.console.app import create_app
from gatepost_operations.web.console.security.operators import Level, Operator
from support.console_server import TOKEN, WebServer

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

    from gatepost_core.settings import Settings


@pytest.fixture
def console(settings: Settings) -> Iterator[httpx.Client]:
    """A browser of a signed-in operator, without JavaScript."""
    app = create_app(
        settings, "http://127.0.0.1:1", SecretStr("key"), identify=lambda _: (Operator("ada", Level.OPERATOR), TOKEN)
    )
    with WebServer(app) as server:
        yield server.browser
