"""Clients over real sockets, and a certificate authority for TLS."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from gatepost_worker.authentication import Configuration, DeadlineAdapter, Passwordless, Timeouts
from support.over_direct import OverDirect
from support.over_wire import OverWire
from support.signed_tokens import CLIENT_ID

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def timeouts(*, connect: float = 5, read: float = 5, total: float = 10) -> Timeouts:
    """Return timeouts from seconds."""
    return Timeouts(connect=timedelta(seconds=connect), read=timedelta(seconds=read), total=timedelta(seconds=total))


@pytest.fixture
def make_client() -> Iterator[Callable[..., Passwordless]]:
    """Make clients of a base URL; they are closed after the test."""
    made: list[Passwordless] = []

    def make(
        base_url: str, *, limits: Timeouts | None = None, configuration: dict[str, Any] | None = None, **given: Any
    ) -> Passwordless:
        limits = limits or timeouts()
        changes = {"timeouts": limits, "sms_timeouts": limits, "trust_env": False, **(configuration or {})}
        fields: dict[str, Any] = {"domain": "tenant.example.com", "client_id": CLIENT_ID, "client_secret": "s3cret"}
        client = Passwordless(**{**fields, **given}, configuration=Configuration(base_url=base_url, **changes))
        made.append(client)
        return client

    yield make
    for client in made:
        client.close()


@pytest.fixture(params=["direct", "requests", "wire"])
def make_sender(
    request: pytest.FixtureRequest, make_client: Callable[..., Passwordless]
) -> Iterator[Callable[..., Passwordless | OverDirect | OverWire]]:
    """Make clients as `make_client` does, for each of the three transports. `resolver` resolves names in place of the system."""
    made: list[OverDirect | OverWire] = []

    def make(*args: Any, resolver: Any = None, **given: Any) -> Passwordless | OverDirect | OverWire:
        if request.param == "direct":
            client = make_client(*args, **given)
            if resolver is None:
                return client
            made.append(OverDirect(client, resolver=resolver))
            return made[-1]
        if request.param == "requests":
            configuration = given.get("configuration", {})
            options = {} if resolver is None else {"resolver": resolver}
            if "idle_connection" in configuration:
                options["idle_limit_s"] = configuration["idle_connection"].total_seconds()
            adapter = DeadlineAdapter(ca_bundle=configuration.get("ca_bundle"), **options)
            return make_client(*args, **{**given, "configuration": {**configuration, "adapter": adapter}})
        made.append(OverWire(make_client(*args, **given), **({} if resolver is None else {"resolver": resolver})))
        return made[-1]

    yield make
    for client in made:
        client.close()
