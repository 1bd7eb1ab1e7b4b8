"""Each role of docs/how-to/secure-redis.md can do its work, and nothing else."""

from __future__ import annotations

import asyncio
import signal
import uuid
from typing import TYPE_CHECKING, Any

import pytest
import redis
from redis.exceptions import NoPermissionError

from gatepost import AsyncProducer, Producer
from gatepost.errors import Unavailable
from gatepost_core.states import State
from gatepost_operations.local.embedded_valkey import EmbeddedValkey
from support.campaign_parts import rows
from support.documented_services import as_role
from support.keys import KEYS
from support.redis_roles import PAGE, ROLES, create_users, documented_users, url_of
from support.stack import Stack

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gatepost_simulator.server import SimulatorServer

pytestmark = pytest.mark.skipif(not PAGE.exists(), reason="the wheel's tests run without the documentation")

_WHOLE_LOG = 128
QUEUES = "gatepost.login,gatepost.send,gatepost.bulk"


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory, simulator_server: SimulatorServer) -> Iterator[Stack]:
    """A Valkey with the documented users; a worker and beat run as `worker`."""
    directory = tmp_path_factory.mktemp("guarded")
    with EmbeddedValkey(directory / "valkey") as valkey, Stack(valkey, simulator_server, directory) as stack:
        with stack.redis() as client:
            create_users(client)
        stack.environment["GATEPOST_REDIS_URL"] = url_of("worker", valkey.port)
        stack.worker(QUEUES)
        stack.beat()
        yield stack
        with stack.redis() as client:
            denied = {entry["object"] for entry in client.acl_log(_WHOLE_LOG) if entry["username"] == "worker"}
        asked_here = {
            "anything",
            *("|".join(words).lower() for words in NOT_A_WORKER),
            "keys",
            "config|get",
            "fcall",
            "scan",
        }
        assert denied <= asked_here


@pytest.fixture
def guest(guarded: Stack) -> str:
    return f"guest-{uuid.uuid4().hex}@example.com"


def client_of(stack: Stack, role: str) -> redis.Redis:
    return redis.Redis.from_url(url_of(role, stack.valkey.port), protocol=2)


def logged_in(stack: Stack, producer: Producer, guest: str) -> str:
    """Log a person in, and return the login's reference; its token set waits."""
    assert producer.send_email(guest, idempotency_key=guest).result(120)
    code = stack.simulator.control.latest_code(guest, wait_s=10)
    handle = producer.login_with_email(guest, code, scope="openid")
    assert handle.wait(120).state is State.ACCEPTED
    return handle.reference


def test_the_page_has_every_role() -> None:
    """And turns the default user off."""
    names = [line.split()[1] for line in documented_users()]

    assert names == ["default", *ROLES]
    assert documented_users()[0] == "user default off"


def test_a_producer_enqueues_and_watches_but_cannot_redeem(guarded: Stack, guest: str) -> None:
    """It cannot even redeem its own operation; the result stays for a redeemer."""
    with Producer(as_role(guarded, "producer")) as producer:
        reference = logged_in(guarded, producer, guest)
        handle = producer.handle(reference)
        with pytest.raises(Unavailable, match="does not allow this user"):
            handle.redeem(5)
        # An ended operation cannot be cancelled, so the worker must not be quicker.
        guarded.programs[0].process.send_signal(signal.SIGSTOP)
        try:
            with pytest.raises(Unavailable, match="does not allow this user"):
                producer.send_email(guest).cancel()
        finally:
            guarded.programs[0].process.send_signal(signal.SIGCONT)
    with Producer(as_role(guarded, "redeemer")) as redeemer:
        assert redeemer.handle(reference).redeem(5).id_token


def test_a_redeemer_redeems_and_cancels_sync_and_async(guarded: Stack, guest: str) -> None:
    """With the rights on the page, for asyncio too."""
    settings = as_role(guarded, "redeemer")

    async def login() -> Any:
        async with AsyncProducer(settings) as producer:
            await (await producer.send_email(guest)).result(120)
            code = guarded.simulator.control.latest_code(guest, wait_s=10)
            return await (await producer.login_with_email(guest, code, scope="openid")).redeem(120)

    with Producer(settings) as producer:
        reference = logged_in(guarded, producer, guest)
        assert producer.handle(reference).redeem(5).id_token
        cancelled = producer.handle(reference).cancel()

    assert cancelled is False
    assert asyncio.run(login()).id_token


COMMON = [
    ("KEYS", "*"),
    ("SCAN", "0"),
    ("FLUSHALL",),
    ("CONFIG", "GET", "*"),
    ("ACL", "LIST"),
    ("MONITOR",),
    ("CLIENT", "LIST"),
    ("LRANGE", "gatepost.send", "0", "-1"),
    ("SMEMBERS", "unacked_index"),
    ("LRANGE", "gatepost:audit", "0", "-1"),
    ("GET", "anything"),
    ("SET", "anything", "x"),
    ("HGETALL", "gatepost:campaign:00000000-0000-4000-8000-000000000000"),
]
RESULT, OPERATION = KEYS.celery_result("x"), KEYS.operation("x")
NOT_A_PRODUCER = [
    ("GET", RESULT),
    ("GETDEL", RESULT),
    ("SET", RESULT, "x"),
    ("PUBLISH", RESULT, "x"),
    ("DEL", RESULT),
    ("DEL", OPERATION),
    ("UNLINK", OPERATION),
    ("HDEL", OPERATION, "state"),
    ("PEXPIRE", OPERATION, "0"),
    ("RENAME", OPERATION, OPERATION),
    ("DEL", KEYS.due),
    ("ZREM", KEYS.due, "x"),
    ("ZRANGE", KEYS.due, "0", "-1"),
    ("ZREMRANGEBYSCORE", KEYS.due, "-inf", "+inf"),
    ("DEL", "gatepost.send"),
    ("LPUSH", "gatepost.bulk", "x"),
    ("LPUSH", "gatepost:audit", "x"),
    ("PUBLISH", OPERATION, "accepted"),
    ("SUBSCRIBE", "celery-task-meta-x"),
    ("EVAL", "return 1", "0"),
]
NOT_A_REDEEMER = [
    ("ZRANGE", KEYS.due, "0", "-1"),
    ("DEL", OPERATION),
    ("DEL", KEYS.due),
    ("ZREMRANGEBYSCORE", KEYS.due, "-inf", "+inf"),
    ("LPUSH", "gatepost.bulk", "x"),
    ("HSET", RESULT, "a", "b"),
    ("EXPIRE", RESULT, "1"),
    ("PSUBSCRIBE", "celery-task-meta-*"),
    ("EVAL", "return 1", "0"),
]
NOT_A_READER = [
    ("HGETALL", OPERATION),
    ("GET", RESULT),
    ("ZADD", KEYS.due, "0", "x"),
    ("HSET", OPERATION, "state", "queued"),
    ("HSET", KEYS.counts, "send_email:queued", "0"),
    ("RPOP", "gatepost.send"),
    ("LPUSH", "gatepost.send", "x"),
    ("ZRANGE", "gatepost:dead_letters", "0", "-1"),
    ("EVALSHA", "0" * 40, "0"),
    ("SUBSCRIBE", OPERATION),
]
NOT_AN_API = [
    *((name, *rest) for name, *rest in COMMON if name != "HGETALL" and rest != [KEYS.audit, "0", "-1"]),
    ("RPOP", "gatepost.send"),
    ("HDEL", "unacked", "x"),
    ("HSET", KEYS.api_keys, "x", "{}"),
    ("HSET", KEYS.key_checks, "x", "y"),
    ("HSET", KEYS.tenants, "x", "y"),
    ("HGETALL", KEYS.console_session("x")),
    ("HGETALL", KEYS.webhook("x")),
    ("SUBSCRIBE", "anything"),
    ("PUBLISH", "/0.celery.pidbox", "x"),
    ("SCRIPT", "FLUSH"),
]
NOT_A_CONSOLE = [
    *((name, *rest) for name, *rest in COMMON if name not in {"HGETALL", "SCAN"} and rest != [KEYS.audit, "0", "-1"]),
    ("RPOP", "gatepost.send"),
    ("LPUSH", "gatepost.send", "x"),
    ("HDEL", "unacked", "x"),
    ("HVALS", "unacked"),
    ("GET", RESULT),
    ("HSET", OPERATION, "state", "queued"),
    ("DEL", OPERATION),
    ("HSET", KEYS.campaign("x"), "status", "running"),
    ("RPUSH", KEYS.audit, "x"),
    ("HGETALL", KEYS.api_keys),
    ("ZADD", KEYS.due, "0", "x"),
    ("PUBLISH", OPERATION, "accepted"),
    ("SUBSCRIBE", OPERATION),
]
NOT_A_WORKER = [
    ("KEYS", "*"),
    ("FLUSHALL",),
    ("FLUSHDB",),
    ("CONFIG", "GET", "*"),
    ("ACL", "LIST"),
    ("SHUTDOWN",),
    ("MONITOR",),
    ("GET", "anything"),
    ("DEL", "anything"),
    ("SUBSCRIBE", "anything"),
    ("RANDOMKEY",),
    ("SCRIPT", "FLUSH"),
    ("SCRIPT", "KILL"),
    ("FUNCTION", "LIST"),
    ("FCALL", "anything", "0"),
]
FORBIDDEN = [
    *(("producer", *command) for command in [*COMMON, *NOT_A_PRODUCER]),
    *(("redeemer", *command) for command in [*COMMON, *NOT_A_REDEEMER]),
    *(("reader", *command) for command in [*COMMON, *NOT_A_READER]),
    *((role, *command) for role in ("worker", "operator") for command in NOT_A_WORKER),
    *(("api", *command) for command in NOT_AN_API),
    *(("console", *command) for command in NOT_A_CONSOLE),
    ("worker", "SCAN", "0"),
]


@pytest.mark.parametrize("words", FORBIDDEN, ids=" ".join)
def test_each_role_is_refused_other_commands_and_keys(guarded: Stack, words: tuple[str, ...]) -> None:
    """By Redis itself, whatever our code does."""
    role, *command = words
    with client_of(guarded, role) as client, pytest.raises(NoPermissionError):
        client.execute_command(*command)


# Redis cannot limit the time of PEXPIRE, and a time in the past deletes the key.
DELETABLE = [
    ("producer", KEYS.idempotency("x")),
    ("producer", KEYS.recipients("x")),
    ("redeemer", OPERATION),
]


@pytest.mark.parametrize(("role", "key"), DELETABLE)
def test_a_role_that_sets_expiry_can_delete_only_the_keys_that_the_page_names(
    guarded: Stack, role: str, key: str
) -> None:
    """The page lists these deletions as a limit; this test fails when Redis can refuse them."""
    with client_of(guarded, role) as client, guarded.redis() as admin:
        admin.hset(key, "field", "value")
        with pytest.raises(NoPermissionError):
            client.delete(key)
        client.pexpire(key, -1)

        assert not admin.exists(key)


def test_a_script_of_a_producers_own_may_do_no_more_than_the_producer(guarded: Stack) -> None:
    """Scripts run with the rights of who calls them."""
    with client_of(guarded, "producer") as client, guarded.redis() as admin:
        sha = client.script_load("return redis.call('DEL', KEYS[1])")
        admin.hset(OPERATION, "state", "queued")
        with pytest.raises(redis.ResponseError, match=r"ACL|permission"):
            client.evalsha(sha, 1, OPERATION)

        assert admin.delete(OPERATION) == 1


def test_a_reader_sees_counts(guarded: Stack, guest: str) -> None:
    """The figures of a dashboard."""
    with Producer(as_role(guarded, "redeemer")) as producer:
        producer.send_email(guest).result(120)
    with client_of(guarded, "reader") as client:
        counts: Any = client.hgetall(KEYS.counts)
        waiting = client.llen("gatepost.send")
        letters = client.zcard("gatepost:dead_letters")

    assert int(counts[b"send_email:accepted"]) >= 1
    assert (waiting, letters) == (0, 0)


def test_an_operator_runs_campaigns_and_looks_after_the_rest(guarded: Stack) -> None:
    """Commands of the command line that touch Redis."""
    environment = {"GATEPOST_REDIS_URL": url_of("operator", guarded.valkey.port)}

    def ran(*arguments: str) -> str:
        program = guarded.start("operator", "-m", "gatepost_operations.cli", *arguments, **environment)
        assert program.wait() == 0, program.output()
        return program.output()

    with Producer(as_role(guarded, "operator")) as producer:
        campaign = producer.campaigns.create("spring")
        producer.campaigns.add(campaign, rows(20))
        producer.campaigns.start(campaign)
        status = producer.campaigns.status
        guarded.until(lambda: status(campaign).status == "finished", "the campaign is finished")
    ran("campaign", "list")
    ran("dead-letters", "replay", "--yes")
    ran("keys", "rotate")
    ran("erase", "person3@example.com", "--yes")
    ran("audit", "verify")
    ran("doctor", "--offline")
    with guarded.redis() as client:
        entries = client.acl_log(_WHOLE_LOG)
    denied = [entry for entry in entries if entry["username"] == "operator" and "gatepost" in str(entry)]
    assert denied == []
