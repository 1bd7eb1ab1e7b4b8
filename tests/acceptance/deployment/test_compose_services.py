"""The services of docker-compose.yml, started with their own commands and environment, do their work."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import redis

from compose_file import env_file
from gatepost import Producer
from gatepost.settings import Settings
from gatepost_simulator.control import ControlClient

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from compose_deployment import Deployment

pytestmark = pytest.mark.slow


@pytest.fixture
def producer(deployment: Deployment, compose_directory: Path) -> Iterator[Producer]:
    """A producer with the keys of the deployment's .env."""
    variables = env_file(compose_directory / ".env")
    settings = Settings(
        redis_url=deployment.redis_url,
        sealing_keys=variables["GATEPOST_SEALING_KEYS"],
        fingerprint_key=variables["GATEPOST_FINGERPRINT_KEY"],
        auth0_domain="localhost",
        auth0_client_id="only the workers call",
        auth0_client_secret="nothing",
    )
    with Producer(settings) as ready:
        yield ready


def test_the_demo_profile_sends_and_logs_in(deployment: Deployment, producer: Producer) -> None:
    """Every service runs with what the file gives it, gets healthy, carries one send and one login, and ends in order."""
    deployment.start("redis", "simulator")
    deployment.until_healthy("redis", "simulator")
    deployment.start("worker", "worker-bulk", "beat")
    deployment.until_healthy("worker", "worker-bulk", "beat")
    simulator = ControlClient(deployment.simulator_url)

    sent = producer.send_email("ana@example.com").result(30)
    code = simulator.latest_code("ana@example.com", wait_s=10)
    tokens = producer.login_with_email("ana@example.com", code).redeem(30)
    ended = {name: deployment.stop(name) for name in ("beat", "worker-bulk", "worker", "simulator", "redis")}

    assert sent.state == "accepted"
    assert tokens.id_token
    assert set(ended.values()) == {0}, ended


def test_redis_keeps_what_it_was_told_through_a_kill(deployment: Deployment) -> None:
    """Its flags are taken: the append-only file is on, nothing is evicted, and memory has a bound."""
    deployment.start("redis")
    deployment.until_healthy("redis")
    with redis.Redis.from_url(deployment.redis_url, decode_responses=True) as client:
        client.set("kept", "yes")
        wanted = {name: client.config_get(name)[name] for name in ("appendonly", "maxmemory-policy", "maxmemory")}
    deployment.programs.pop("redis").kill()

    deployment.start("redis")
    deployment.until_healthy("redis")

    with redis.Redis.from_url(deployment.redis_url, decode_responses=True) as client:
        assert client.get("kept") == "yes"
    assert wanted == {"appendonly": "yes", "maxmemory-policy": "noeviction", "maxmemory": str(2**30)}


def test_a_health_check_tells_a_dead_worker(deployment: Deployment) -> None:
    """The checks measure something: without a worker neither it nor the reconciler's schedule is healthy."""
    deployment.start("redis")
    deployment.until_healthy("redis")
    deployment.start("beat")

    assert deployment.health("worker").returncode != 0
    assert deployment.health("beat").returncode != 0
