"""What integration tests share: producers, campaigns, the ledger, a worker's parts, a simulator, and the configuration of a command line."""

from __future__ import annotations

import json
from importlib import import_module
from typing import TYPE_CHECKING, Any

import pytest

from gatepost import Producer
from gatepost.campaigns.control import Campaigns
from gatepost_core.ledger import Ledger
from gatepost_operations.cli.entry import main
from gatepost_simulator.server import SimulatorServer
from gatepost_simulator.settings import DEV_CLIENT_ID, DEV_CLIENT_SECRET
from support.campaign_parts import Bench
from support.keys import KEYS
from support.sealing_keys import SEALING_KEY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import redis
    from celery import Celery

    from gatepost_core.settings import Settings
    from gatepost_operations.local.embedded_valkey import EmbeddedValkey


@pytest.fixture
def app(settings: Settings) -> Iterator[Celery]:
    """The worker's app, with the test's settings."""
    made = import_module("gatepost_worker.celery").create(settings)
    yield made
    made.close()


@pytest.fixture
def producer(settings: Settings) -> Iterator[Producer]:
    """A producer under the test's settings."""
    with Producer(settings) as opened:
        yield opened


@pytest.fixture
def campaigns(settings: Settings) -> Iterator[Campaigns]:
    """Campaigns under the test's settings."""
    with Campaigns(settings) as opened:
        yield opened


@pytest.fixture
def ledger(redis_client: redis.Redis) -> Ledger:
    """A ledger in the test's Valkey."""
    return Ledger(redis_client, KEYS, record_lifetime_s=3600, republish_after_s=30)


@pytest.fixture
def variables(valkey: EmbeddedValkey) -> dict[str, str]:
    """A complete configuration, with a tenant that does not exist."""
    return {
        "GATEPOST_REDIS_URL": valkey.url,
        "GATEPOST_SEALING_KEYS": SEALING_KEY.reveal(),
        "GATEPOST_FINGERPRINT_KEY": "a fingerprint key of the tests alone",
        "AUTH0_DOMAIN": "localhost:1",
        "AUTH0_CLIENT_ID": "client",
        "AUTH0_CLIENT_SECRET": "s3cret-canary",
    }


@pytest.fixture
def configured(variables: dict[str, str], monkeypatch: pytest.MonkeyPatch, empty_directory: Path) -> None:
    """The configuration in the environment, in a directory without a `.env`."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, Any]]:
    """Run a command with --json; give the exit code and the objects that were printed, one alone as itself."""

    def call(*arguments: str) -> tuple[int, Any]:
        capsys.readouterr()
        code = main([*arguments, "--json"])
        shown = capsys.readouterr()
        assert "canary" not in shown.err
        documents = [json.loads(line) for line in shown.out.splitlines()]
        return code, documents[0] if len(documents) == 1 else documents

    return call


@pytest.fixture
def fill(redis_client: redis.Redis) -> Iterator[Callable[[], None]]:
    """Leaves Redis without memory until the test is over."""

    def fill() -> None:
        redis_client.config_set("maxmemory", 1)

    yield fill
    redis_client.config_set("maxmemory", 0)


@pytest.fixture(scope="session")
def unlimited_simulator() -> Iterator[SimulatorServer]:
    """A simulator over plain http, without limits."""
    with SimulatorServer(quota={"plan": "unlimited"}, slow_s=0.3) as server:
        yield server


@pytest.fixture
def simulator(unlimited_simulator: SimulatorServer) -> SimulatorServer:
    """The session's simulator, reset for this test."""
    unlimited_simulator.control.reset()
    return unlimited_simulator


@pytest.fixture
def make_bench(make_settings: Callable[..., Settings], simulator: SimulatorServer) -> Iterator[Callable[..., Bench]]:
    """Make a bench whose settings lead to Valkey and the simulator; keywords change the settings."""
    benches = []

    def make(**given: object) -> Bench:
        fields: dict[str, object] = {
            "auth0_domain": simulator.domain,
            "auth0_base_url": simulator.url,
            "auth0_client_id": DEV_CLIENT_ID,
            "auth0_client_secret": DEV_CLIENT_SECRET,
            "email_deadline": 3,
            "sms_deadline": 3,
            "lease_margin": 1,
            "republish_after": 5,
        }
        bench = Bench(make_settings(**{**fields, **given}))
        benches.append(bench)
        return bench

    yield make
    for bench in benches:
        bench.close()


@pytest.fixture
def bench(make_bench: Callable[..., Bench]) -> Bench:
    """A bench with the usual settings."""
    return make_bench()
