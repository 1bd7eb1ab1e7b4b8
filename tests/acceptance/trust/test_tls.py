"""Everything over TLS with certificates on both sides: the ledger's Redis, and RabbitMQ as the broker."""

from __future__ import annotations

import asyncio
import json
import uuid
from typing import TYPE_CHECKING

import pytest

from gatepost import AsyncProducer, State
from gatepost.errors import Unavailable
from gatepost_core.dead_letters import Selection
from gatepost_operations.maintenance.dead_letters import DeadLetterControl
from support.campaign_parts import rows
from support.free_ports import free_port
from support.redis_roles import PAGE, create_users, url_of
from support.stack import Stack
from support.tls_authority import Authority
from support.tls_services import Files, TlsRabbit, TlsRedis, TlsSentinel

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from gatepost import Producer
    from gatepost_operations.local.embedded_valkey import EmbeddedValkey
    from gatepost_simulator.server import SimulatorServer

pytestmark = pytest.mark.slow

QUEUES = "gatepost.login,gatepost.send,gatepost.bulk"


@pytest.fixture(scope="module")
def client_files(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Files:
    return Files.issue(authority, tmp_path_factory.mktemp("client"), "worker.example.com")


@pytest.fixture(scope="module")
def server_files(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Files:
    return Files.issue(authority, tmp_path_factory.mktemp("server"), "localhost")


@pytest.fixture(scope="module")
def tls_redis(server_files: Files, client_files: Files, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TlsRedis]:
    with TlsRedis(tmp_path_factory.mktemp("redis"), server_files) as server:
        if PAGE.exists():
            with server.client(client_files) as client:
                create_users(client)
        yield server


@pytest.fixture
def over_tls(
    valkey: EmbeddedValkey, simulator: SimulatorServer, tls_redis: TlsRedis, client_files: Files, tmp_path: Path
) -> Iterator[Stack]:
    """A stack whose Redis speaks TLS alone, as the page's `worker` where there is the page."""
    with Stack(valkey, simulator, tmp_path) as stack:
        url = f"rediss://localhost:{tls_redis.port}/0"
        if PAGE.exists():
            url = url_of("worker", tls_redis.port, "rediss", "localhost")
        stack.environment |= {
            "GATEPOST_REDIS_URL": f"{url}?ssl_cert_reqs=CERT_REQUIRED",
            **client_files.environment("REDIS"),
        }
        yield stack


def log_in(stack: Stack, producer: Producer) -> None:
    guest = f"guest-{uuid.uuid4().hex}@example.com"
    producer.send_email(guest).result(120)
    code = stack.simulator.control.latest_code(guest, wait_s=10)
    assert producer.login_with_email(guest, code, scope="openid").redeem(120).id_token


def send_campaign(stack: Stack, producer: Producer) -> None:
    campaign = producer.campaigns.create("spring")
    producer.campaigns.add(campaign, rows(50))
    producer.campaigns.start(campaign)
    status = producer.campaigns.status
    stack.until(lambda: status(campaign).status == "finished", "the campaign is finished", timeout=120)


def is_healthy(stack: Stack, port: int) -> bool:
    return stack.start("health", "-m", "gatepost_operations.cli", "health", "--port", str(port)).wait() == 0


def test_everything_goes_over_tls_to_redis(over_tls: Stack) -> None:
    """Ledger, broker, results and the health's own questions; the command line too."""
    port = free_port()
    over_tls.worker(QUEUES, GATEPOST_HEALTH_PORT=str(port), GATEPOST_HEALTH_PATIENCE="5")
    over_tls.beat()
    with over_tls.producer() as producer:
        log_in(over_tls, producer)
        send_campaign(over_tls, producer)
    over_tls.until(lambda: is_healthy(over_tls, port), "the worker is healthy")
    doctor = over_tls.start("doctor", "-m", "gatepost_operations.cli", "doctor", "--offline", "--json")
    doctor.wait()
    checks = {check["name"]: check["status"] for check in json.loads(doctor.output())["checks"]}

    assert (checks["broker"], checks["workers"]) == ("ok", "ok")


@pytest.fixture
def through_sentinel(
    over_tls: Stack, tls_redis: TlsRedis, server_files: Files, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stack]:
    """The same, and a Sentinel names the server."""
    with TlsSentinel(tmp_path_factory.mktemp("sentinel"), server_files) as sentinel:
        sentinel.watch(tls_redis)
        user = over_tls.environment["GATEPOST_REDIS_URL"].removeprefix("rediss://").rpartition("@")[0]
        over_tls.environment |= {
            "GATEPOST_REDIS_URL": f"sentinel://{user}{'@' * bool(user)}localhost:{sentinel.port}/0",
            "GATEPOST_SENTINEL_MASTER": sentinel.master,
        }
        yield over_tls


def test_everything_goes_over_tls_through_sentinel(through_sentinel: Stack) -> None:
    """To the Sentinel and to the server alike; with asyncio too."""

    async def send() -> State:
        async with AsyncProducer(through_sentinel.settings) as producer:
            return (await (await producer.send_email("guest@example.com")).wait(120)).state

    through_sentinel.worker(QUEUES)
    with through_sentinel.producer() as producer:
        log_in(through_sentinel, producer)
        send_campaign(through_sentinel, producer)

    assert asyncio.run(send()) is State.ACCEPTED


@pytest.mark.parametrize("flaw", ["no TLS", "another authority"])
def test_a_flawed_connection_to_a_sentinel_is_refused(through_sentinel: Stack, flaw: str, tmp_path: Path) -> None:
    """Without files there is no TLS, and it is not answered; a stranger's certificate is not trusted."""
    if flaw == "no TLS":
        for name in ("CA_BUNDLE", "CERTIFICATE", "KEY"):
            del through_sentinel.environment[f"GATEPOST_REDIS_{name}"]
    else:
        (tmp_path / "other").mkdir()
        through_sentinel.environment["GATEPOST_REDIS_CA_BUNDLE"] = Authority.create(tmp_path / "other").bundle

    with through_sentinel.producer() as producer, pytest.raises(Unavailable):
        producer.send_email("guest@example.com")


@pytest.mark.parametrize("flaw", ["no certificate", "another authority", "another name"])
def test_a_flawed_connection_to_redis_is_refused(
    over_tls: Stack, flaw: str, tls_redis: TlsRedis, tmp_path: Path
) -> None:
    """The server refuses a client without a certificate; the client refuses a server with a wrong one."""
    if flaw == "no certificate":
        del over_tls.environment["GATEPOST_REDIS_CERTIFICATE"], over_tls.environment["GATEPOST_REDIS_KEY"]
    elif flaw == "another authority":
        (tmp_path / "other").mkdir()
        over_tls.environment["GATEPOST_REDIS_CA_BUNDLE"] = Authority.create(tmp_path / "other").bundle
    else:
        over_tls.environment["GATEPOST_REDIS_URL"] = f"rediss://127.0.0.1:{tls_redis.port}/0"

    with over_tls.producer() as producer, pytest.raises(Unavailable):
        producer.send_email("guest@example.com")


@pytest.fixture(scope="module")
def rabbit(server_files: Files, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TlsRabbit]:
    with TlsRabbit(tmp_path_factory.mktemp("rabbit"), server_files) as server:
        yield server


@pytest.mark.timeout(300)
def test_everything_goes_over_tls_to_rabbitmq(
    valkey: EmbeddedValkey, simulator: SimulatorServer, rabbit: TlsRabbit, client_files: Files, tmp_path: Path
) -> None:
    """Sends, logins, a campaign, the health's questions, and a dead letter that is replayed there. The URL says how to log in."""
    with Stack(valkey, simulator, tmp_path) as stack:
        url = f"amqps://guest:guest@localhost:{rabbit.port}//?heartbeat=30&login_method=PLAIN"
        stack.environment |= {"GATEPOST_BROKER_URL": url, **client_files.environment("BROKER")}
        port = free_port()
        stack.worker(QUEUES, GATEPOST_HEALTH_PORT=str(port), GATEPOST_HEALTH_PATIENCE="5")
        stack.beat()
        guest = f"guest-{uuid.uuid4().hex}@example.com"
        letter = {
            "headers": {"id": str(uuid.uuid4()), "task": "gatepost.submit"},
            "properties": {},
            "body": json.dumps([[], {"command": {"kind": "send_email", "email": guest}}, {}]),
        }
        with stack.producer() as producer, DeadLetterControl(stack.settings) as control:
            log_in(stack, producer)
            send_campaign(stack, producer)
            control.letters.add(letter, reason="there is no such task here", queue="gatepost.send")
            replayed = control.replay(Selection())
        stack.until(lambda: is_healthy(stack, port), "the worker is healthy")

        assert replayed.replayed == 1
        assert simulator.control.latest_code(guest, wait_s=30)
        with stack.redis() as client:
            assert client.llen("gatepost.send") == 0
            assert not client.exists("_kombu.binding.gatepost.send")


def test_rabbitmq_is_not_spoken_to_without_the_right_authority(
    valkey: EmbeddedValkey, simulator: SimulatorServer, rabbit: TlsRabbit, client_files: Files, tmp_path: Path
) -> None:
    """The command is recorded, and published after the correction; nothing goes to an untrusted server."""
    with Stack(valkey, simulator, tmp_path) as stack:
        url = f"amqps://guest:guest@localhost:{rabbit.port}//"
        (tmp_path / "other").mkdir()
        other = Authority.create(tmp_path / "other").bundle
        files = client_files.environment("BROKER") | {"GATEPOST_BROKER_CA_BUNDLE": other}
        stack.environment |= {"GATEPOST_BROKER_URL": url, **files}
        with stack.producer() as producer:
            handle = producer.send_email("guest@example.com")

            assert handle.state() == "queued"
