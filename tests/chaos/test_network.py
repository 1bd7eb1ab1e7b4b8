"""A network between worker, Valkey and Auth0 that is slow, loses packets, or is partitioned."""

from __future__ import annotations

import time
from random import Random
from typing import TYPE_CHECKING

import pytest

from gatepost import State
from gatepost_operations.local.embedded_valkey import EmbeddedValkey
from support.chaos_load import Load
from support.chaos_namespace import Namespace
from support.chaos_proxy import Proxy
from support.chaos_stack import ALL_QUEUES, ChaosStack

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from gatepost_simulator.server import SimulatorServer

LONG = pytest.mark.chaos_long
LONGER_THAN_LEASES_S = 7.0


@pytest.fixture(scope="module")
def network(
    tmp_path_factory: pytest.TempPathFactory, simulator_server: SimulatorServer
) -> Iterator[tuple[ChaosStack, Proxy, Proxy]]:
    """A stack whose worker reaches Valkey through one proxy, and the API through another."""
    directory = tmp_path_factory.mktemp("network")
    with (
        EmbeddedValkey(directory / "valkey") as valkey,
        Proxy(valkey.port) as to_valkey,
        Proxy(int(simulator_server.url.rpartition(":")[2])) as to_api,
        ChaosStack(valkey, simulator_server, directory) as stack,
    ):
        stack.worker(
            ALL_QUEUES,
            GATEPOST_REDIS_URL=f"redis://127.0.0.1:{to_valkey.port}/0",
            AUTH0_BASE_URL=f"http://localhost:{to_api.port}",
        )
        yield stack, to_valkey, to_api


@pytest.fixture
def load(network: tuple[ChaosStack, Proxy, Proxy]) -> Iterator[Load]:
    stack = network[0]
    with stack.producer() as producer:
        yield Load(stack, producer)


@pytest.fixture
def proxies(network: tuple[ChaosStack, Proxy, Proxy]) -> dict[str, list[Proxy]]:
    _, to_valkey, to_api = network
    return {"Valkey": [to_valkey], "Auth0": [to_api], "both": [to_valkey, to_api]}


def put_to_work(load: Load, people: int, codes: dict[str, str]) -> None:
    """Ask for everything, and wait until it is under way."""
    control = load.stack.simulator.control
    before = control.counts()["total"]
    load.campaign(people * 2)
    load.send(people)
    load.log_in(codes)
    load.stack.until(lambda: control.counts()["total"] - before > people // 4, "the load is under way")


@pytest.mark.parametrize("people", [20, pytest.param(300, marks=LONG)])
def test_a_slow_network_that_loses_packets_costs_time_only(
    load: Load, proxies: dict[str, list[Proxy]], people: int, record: Callable[..., None]
) -> None:
    """Thirty milliseconds each way, and one packet in fifty lost: everything is sent, once."""
    codes = load.prepare_logins(5)
    seeded = Random(people)  # noqa: S311 - a seed, no secret
    for proxy in proxies["both"]:
        proxy.latency_s = 0.03
        proxy.lose(seeded, 0.02)
    try:
        put_to_work(load, people, codes)
        load.until_ended(timeout=60 + people)
    finally:
        for proxy in proxies["both"]:
            proxy.latency_s = 0.0
            proxy.lose(seeded, 0.0)

    account = load.account()
    record("slow and lossy network", account)
    assert account.states == {State.ACCEPTED: people * 3 + 5}
    account.assert_holds()


@pytest.mark.parametrize("people", [40, pytest.param(300, marks=LONG)])
@pytest.mark.parametrize("parted", ["Valkey", "Auth0", pytest.param("both", marks=LONG)])
def test_a_partition_longer_than_every_lease_doubles_nothing(
    load: Load, proxies: dict[str, list[Proxy]], parted: str, people: int, record: Callable[..., None]
) -> None:
    """Connections stay open and silent. Delayed packets arrive afterwards, and change no ended operation.

    Of many open requests, enough answers are lost in a row that the campaign pauses.
    """
    codes = load.prepare_logins(5)
    load.stack.simulator.control.script_fault(when="after", delay_s=0.05, count=people)
    put_to_work(load, people, codes)
    for proxy in proxies[parted]:
        proxy.part()
    time.sleep(LONGER_THAN_LEASES_S)
    for proxy in proxies[parted]:
        proxy.join()
    load.until_ended(resuming=True)

    account = load.account()
    record(f"partition from {parted}", account)
    assert set(account.states) <= {State.ACCEPTED, State.UNKNOWN, State.EXHAUSTED}
    account.assert_holds()


@pytest.mark.chaos_long
@pytest.mark.parametrize("parted_s", [5, 40])
def test_a_worker_behind_a_pulled_cable_doubles_nothing(
    tmp_path: Path, simulator_server: SimulatorServer, parted_s: int, record: Callable[..., None]
) -> None:
    """A network namespace: packets vanish for shorter and for longer than every time-out, and are delayed, lost, doubled, reordered."""
    if not Namespace.allowed():
        pytest.skip("network namespaces need root and iproute2")
    people = 100
    with (
        Namespace() as namespace,
        EmbeddedValkey(tmp_path / "valkey") as valkey,
        Proxy(valkey.port, namespace.outside) as to_valkey,
        Proxy(int(simulator_server.url.rpartition(":")[2]), namespace.outside) as to_api,
        ChaosStack(valkey, simulator_server, tmp_path) as stack,
        stack.producer() as producer,
    ):
        worker = stack.worker_within(
            namespace.command(),
            GATEPOST_REDIS_URL=f"redis://{namespace.outside}:{to_valkey.port}/0",
            AUTH0_BASE_URL=f"http://{namespace.outside}:{to_api.port}",
            GATEPOST_ALLOW_HTTP="1",
        )
        load = Load(stack, producer)
        codes = load.prepare_logins(5)
        disturbed = namespace.disturb("delay", "20ms", "10ms", "loss", "2%", "duplicate", "1%", "reorder", "10%")
        simulator_server.control.script_fault(when="after", delay_s=0.05, count=people)
        put_to_work(load, people, codes)
        namespace.part()
        time.sleep(parted_s)
        namespace.join()
        load.until_ended(timeout=120)
        assert worker.process.poll() is None

        account = load.account()
    record(f"cable pulled for {parted_s} s{', netem' if disturbed else ''}", account)
    assert set(account.states) <= {State.ACCEPTED, State.UNKNOWN, State.EXHAUSTED}
    account.assert_holds()
