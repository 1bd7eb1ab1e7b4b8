"""A client over a scripted adapter, with a fixed clock and a sleep that only records."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from gatepost_worker.authentication import Configuration, Passwordless
from support.scripted_adapter import ScriptedAdapter
from support.signed_tokens import CLIENT_ID, NOW

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.scripted_adapter import Answer


@pytest.fixture
def slept() -> list[float]:
    """The waits that the client asked for."""
    return []


@pytest.fixture
def make_client(slept: list[float]) -> Callable[..., tuple[Passwordless, ScriptedAdapter]]:
    """Make a client whose adapter answers from a script; keywords go to the client, `configuration` as a dict of changes."""

    def make(*script: Answer | Exception, **given: Any) -> tuple[Passwordless, ScriptedAdapter]:
        adapter = ScriptedAdapter(*script)
        configuration = Configuration(adapter=adapter, trust_env=False, **given.pop("configuration", {}))
        fields: dict[str, Any] = {"domain": "tenant.example.com", "client_id": CLIENT_ID, "client_secret": "s3cret"}
        client = Passwordless(**{**fields, **given}, configuration=configuration, clock=lambda: NOW, sleep=slept.append)
        return client, adapter

    return make
