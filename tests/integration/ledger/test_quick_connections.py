"""The ledger's scripts over connections that are kept: what they do when a connection breaks."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

import pytest
import redis

from gatepost_core.redis.errors import REPEATED
from gatepost_core.redis.quick import QuickScript
from support.chaos_proxy import NO_ANSWER, Proxy

if TYPE_CHECKING:
    from gatepost_operations.local.embedded_valkey import EmbeddedValkey

COUNT = "#!lua\nreturn redis.call('INCRBY', KEYS[1], ARGV[1])\n"


@pytest.fixture
def count(redis_client: redis.Redis) -> QuickScript:
    """A script that adds to a counter and returns it."""
    return QuickScript(redis_client, COUNT)


def test_a_script_that_redis_has_forgotten_is_loaded_again(count: QuickScript, redis_client: redis.Redis) -> None:
    """A restarted Redis knows no scripts."""
    first = count(keys=["n"], args=[1])
    redis_client.script_flush()

    assert (first, count(keys=["n"], args=[1])) == (1, 2)


def test_a_call_after_the_connection_was_closed_is_made_through_the_client(
    count: QuickScript, redis_client: redis.Redis
) -> None:
    """Redis closes idle connections, and all of them when it restarts."""
    count(keys=["n"], args=[1])
    redis_client.client_kill_filter(_type="normal", skipme=True)

    assert count(keys=["n"], args=[1]) == 2


def test_a_late_reply_is_not_taken_for_the_next_one(valkey: EmbeddedValkey) -> None:
    """A call that timed out leaves its reply on the connection."""
    with redis.Redis(port=valkey.port, socket_timeout=0.2) as client:
        slow = QuickScript(client, "#!lua\nredis.call('BLPOP', 'nothing', 1)\nreturn ARGV[1]\n")
        answer = QuickScript(client, "#!lua\nreturn ARGV[1]\n")
        # Both are loaded, so that the late reply is a value, and not the error of an unknown script.
        slow(keys=[], args=["before"])
        answer(keys=[], args=["before"])
        with redis.Redis(port=valkey.port) as other:
            other.client_pause(600, all=True)
            with pytest.raises(redis.TimeoutError):
                slow(keys=[], args=["late"])
            other.client_unpause()

        assert answer(keys=[], args=["after"]) == b"after"


def test_a_connection_that_goes_back_to_its_pool_times_out_as_its_client_does(valkey: EmbeddedValkey) -> None:
    """One that is kept has its timeout in the kernel, where redis-py does not look for it."""
    with redis.Redis(port=valkey.port, socket_timeout=0.5, max_connections=8, retry=None) as client:
        slow = QuickScript(client, "#!lua\nlocal start = redis.call('TIME')\nreturn start\n")
        together = threading.Barrier(4)

        def call() -> None:
            together.wait()
            for _ in range(50):
                slow(keys=[], args=[])

        threads = [threading.Thread(target=call) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        with pytest.raises(redis.TimeoutError):
            client.blpop(["nothing"], timeout=5)


def test_an_error_after_a_lost_reply_says_that_the_call_was_tried_before(valkey: EmbeddedValkey) -> None:
    """The second try must not suggest that nothing was recorded."""
    with Proxy(valkey.port) as proxy, redis.Redis(port=proxy.port, retry=None) as client:
        count = QuickScript(client, COUNT)
        count(keys=["n"], args=[1])
        proxy.cut_next(b"EVALSHA", NO_ANSWER)
        with redis.Redis(port=valkey.port) as other:
            other.set("n", "no number")
        with pytest.raises(redis.ResponseError) as caught:
            count(keys=["n"], args=[1])

    assert getattr(caught.value, REPEATED)


def test_a_forked_process_uses_connections_of_its_own(count: QuickScript, valkey: EmbeddedValkey) -> None:
    """Two processes on one connection would read each other's replies."""
    count(keys=["n"], args=[1])
    observer = redis.Redis(port=valkey.port)
    before = len(observer.client_list())
    (answered, answer), (ended, end) = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(answer, b"%d" % count(keys=["child"], args=[7]))
            os.read(ended, 1)
        finally:
            os._exit(0)
    os.close(answer)
    told, connections = os.read(answered, 1), len(observer.client_list())
    os.write(end, b"x")
    os.waitpid(child, 0)
    observer.close()

    assert (told, connections) == (b"7", before + 1)
    assert count(keys=["n"], args=[1]) == 2


def test_producers_that_nobody_closes_leave_the_pool_its_connections(redis_client: redis.Redis) -> None:
    """All scripts of a client share the connections."""
    redis_client.connection_pool.max_connections = 16
    for number in range(30):
        QuickScript(redis_client, COUNT)(keys=[str(number)], args=[1])

    assert redis_client.ping()


def test_clients_of_a_small_pool_leave_its_connections_to_other_commands(valkey: EmbeddedValkey) -> None:
    """The producers of a process share two connections."""
    pool = redis.BlockingConnectionPool(port=valkey.port, max_connections=2, timeout=1)
    clients = [redis.Redis(connection_pool=pool) for _ in range(3)]
    for client in clients:
        QuickScript(client, COUNT)(keys=["n"], args=[1])

    assert [client.ping() for client in clients] == [True, True, True]
    pool.disconnect()
