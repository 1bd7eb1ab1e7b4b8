"""The services of docker-compose.yml, started with their own commands and environment, do their work."""

from __future__ import annotations

import json
from contextlib import closing
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import urlopen

import certifi
import pytest
import redis

from gatepost import Producer
from gatepost_core.settings import Settings
from gatepost_simulator.control import ControlClient
from gatepost_worker.authentication.error_attributes import Cause
from gatepost_worker.authentication.errors import AuthenticationError
from gatepost_worker.delivery.clients import Clients
from support.compose_file import secret_files
from support.documented_commands import assert_file_was_sent, container_commands

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.compose_deployment import Deployment

# Many interpreters start, and a busy machine may be several times slower.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture
def producer(deployment: Deployment, compose_directory: Path) -> Iterator[Producer]:
    """A producer with the keys of the deployment."""
    secrets = {name: file.read_text(encoding="utf-8") for name, file in secret_files(compose_directory).items()}
    settings = Settings(
        redis_url=deployment.redis_url,
        sealing_keys=secrets["sealing_keys"],
        fingerprint_key=secrets["fingerprint_key"],
    )
    with Producer(settings) as ready:
        yield ready


def test_the_demo_profile_sends_and_logs_in(deployment: Deployment, producer: Producer) -> None:
    """Every service runs with the file's command and environment, gets healthy, carries one send, one login and the documented campaign, and ends in order."""
    deployment.start("redis", "simulator")
    deployment.until_healthy("redis", "simulator")
    deployment.start("worker", "worker-bulk", "beat")
    deployment.until_healthy("worker", "worker-bulk", "beat")
    simulator = ControlClient(deployment.simulator_url, deployment.simulator_authority)

    sent = producer.send_email("ana@example.com").result(120)
    code = simulator.latest_code("ana@example.com", wait_s=10)
    tokens = producer.login_with_email("ana@example.com", code).redeem(120)
    before = len(simulator.outbox())
    documented = container_commands("deploy-with-compose.md", "docker compose run --rm -T operator")
    results = [deployment.run("operator", *command.words, given=command.given) for command in documented]
    messages = len(simulator.outbox(limit=1000))
    outside = deployment.run(
        "operator", "gatepost", "campaign", "check", "-", "--rejects", "/rows.csv", given="email\nx\n"
    )
    diagnosis = deployment.run("operator")
    used = {name: deployment.peak_bytes(name) for name in deployment.programs}
    ended = {name: deployment.stop(name) for name in ("beat", "worker-bulk", "worker", "simulator", "redis")}

    assert sent.state == "accepted"
    assert tokens.id_token
    assert_file_was_sent(results, messages=messages - before)
    assert "Read-only file system" in outside.stderr
    assert diagnosis.returncode == 0, diagnosis.stdout
    assert set(ended.values()) == {0}, ended
    # Half of the limit is free for messages and for the files in /tmp.
    assert {name for name, size in used.items() if size > deployment.services[name].memory_bytes / 2} == set(), used


def test_the_monitoring_profile_scrapes_workers_and_the_fleet(deployment: Deployment) -> None:
    """Prometheus reads its configuration and the alerts, and the targets that run answer; the services end in order."""
    names = ("worker-bulk", "metrics", "prometheus")
    deployment.start("redis")
    deployment.until_healthy("redis")
    deployment.start(*names)
    deployment.until_healthy(*names)
    deployment.until("all targets answer", lambda: _query(deployment, "count(up == 1)") == "2")
    redis_up = _query(deployment, "gatepost_redis_up")
    alerts = {group["name"] for group in _ask(deployment, "rules")["groups"]}
    ended = {name: deployment.stop(name) for name in names}

    assert redis_up == "1"
    assert alerts
    assert set(ended.values()) == {0}, ended


def test_the_web_profile_serves_the_api_and_the_console(deployment: Deployment) -> None:
    """With an account, which is in a volume, both answer and end in order; the api refuses who shows no key."""
    deployment.start("redis")
    deployment.until_healthy("redis")
    add = ("gatepost", "console-users", "add", "ana", "--level", "admin")
    added = deployment.run("console", *add, given="correct horse battery staple\n")
    deployment.start("api", "console")
    deployment.until_healthy("api", "console")
    with pytest.raises(HTTPError) as refused:
        urlopen(f"http://127.0.0.1:{deployment.ports['8790']}/v1/campaigns", timeout=10)
    refused.value.close()
    ended = {name: deployment.stop(name) for name in ("api", "console")}

    assert added.returncode == 0, added.stderr
    assert (deployment.directory / "accounts" / "console-users").exists()
    assert refused.value.code == HTTPStatus.UNAUTHORIZED
    assert set(ended.values()) == {0}, ended


def test_the_probe_without_a_mailbox_names_the_setting(deployment: Deployment) -> None:
    """The service starts with the file's command, and .env.example leaves the mailbox to the operator."""
    deployment.start("redis")
    deployment.until_healthy("redis")

    ended = deployment.run("probe")

    assert ended.returncode == 4
    assert "GATEPOST_PROBE_ADDRESS is not set" in ended.stdout


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


def test_the_demo_profile_trusts_the_simulators_authority_alone(deployment: Deployment) -> None:
    """The request goes over https, and is refused when the bundle that .env names holds another authority."""
    deployment.start("simulator")
    deployment.until_healthy("simulator")
    variables = deployment.environment(deployment.services["worker"])
    named = {name: value for name, value in variables.items() if name.startswith("AUTH0_")}
    credential = Path(named.pop("AUTH0_CLIENT_SECRET_FILE")).read_text(encoding="utf-8")
    settings = {name.lower(): value for name, value in named.items()} | {"auth0_client_secret": credential}
    trusting = Settings(**settings)
    another = Settings(**{**settings, "auth0_ca_bundle": certifi.where()})

    assert settings["auth0_base_url"] == deployment.simulator_url
    assert settings["auth0_ca_bundle"] == deployment.simulator_authority
    with closing(Clients(trusting)) as clients:
        assert clients.of("default").send_email("ana@example.com").status == HTTPStatus.OK
    with closing(Clients(another)) as clients, pytest.raises(AuthenticationError) as refused:
        clients.of("default").send_email("ana@example.com")
    assert refused.value.cause is Cause.TLS_FAILED


def _query(deployment: Deployment, expression: str) -> str:
    found = _ask(deployment, "query", query=expression)["result"]
    return str(found[0]["value"][1]) if found else ""


def _ask(deployment: Deployment, what: str, **query: str) -> Any:
    url = f"http://127.0.0.1:{deployment.ports['prometheus']}/api/v1/{what}?{urlencode(query)}"
    with urlopen(url, timeout=10) as answer:
        return json.load(answer)["data"]
