"""When a worker calls itself unhealthy, by a clock of the test's own; and how that is served and asked for."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest

from gatepost.errors import ConfigurationError
from gatepost_operations.cli.entry import main
from gatepost_worker.upkeep.health_server import HealthServer, QueueSampler
from gatepost_worker.upkeep.liveness import Liveness

if TYPE_CHECKING:
    from collections.abc import Iterator

PATIENCE_S = 30.0


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Watch:
    """A worker whose progress a test sets."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.liveness = Liveness(PATIENCE_S, monotonic=self.clock)

    def pass_time(
        self, seconds: float, *, turning: bool = True, waiting: int | None = 0, slots: int = 8, taking: bool = False
    ) -> None:
        """Let time pass, second by second; `waiting` None: the broker does not say."""
        for _ in range(int(seconds)):
            self.clock.now += 1
            if turning:
                self.liveness.turned()
            if taking:
                self.liveness.took()
            if waiting is not None:
                self.liveness.sampled({"gatepost.login": waiting}, slots)

    @property
    def problems(self) -> tuple[str, ...]:
        return self.liveness.report().problems


@pytest.fixture
def watch() -> Watch:
    """A worker that has just connected."""
    made = Watch()
    made.liveness.connected()
    return made


def test_a_worker_that_loops_and_waits_for_messages_is_healthy(watch: Watch) -> None:
    """An empty queue is no lack of progress."""
    watch.pass_time(600)

    assert watch.problems == ()


def test_a_worker_is_not_healthy_before_its_loop_turns() -> None:
    """So nothing is sent its way while it starts."""
    starting = Watch()

    assert starting.problems[0].startswith("The worker is starting")
    starting.liveness.connected()
    assert starting.problems == ()


def test_a_loop_that_does_not_turn_is_noticed(watch: Watch) -> None:
    """After the patience, not before."""
    watch.pass_time(30, turning=False)
    before = watch.problems
    watch.pass_time(1, turning=False)

    assert before == ()
    assert watch.problems == ("The consumer's loop has not turned for 31 s.",)


def test_a_connection_that_stays_down_is_noticed_and_forgiven_when_it_is_back(watch: Watch) -> None:
    """While it is down the loop cannot turn; that is not said as well."""
    watch.liveness.disconnected()
    watch.pass_time(20, turning=False)
    watch.liveness.disconnected()
    watch.pass_time(11, turning=False)
    down = watch.problems
    watch.liveness.connected()

    assert down == ("The connection to the broker has been down for 31 s.",)
    assert watch.problems == ()


def test_a_broker_that_does_not_answer_is_noticed(watch: Watch) -> None:
    """Though the loop turns: it waits for what never comes."""
    watch.pass_time(31, waiting=None)

    assert watch.problems == ("The broker has not said for 31 s how many messages wait.",)


def test_messages_that_no_worker_takes_are_noticed(watch: Watch) -> None:
    """Slots are free, the loop turns, and nothing happens."""
    watch.pass_time(10, waiting=0)
    watch.pass_time(32, waiting=5)

    assert watch.problems == ("Messages wait and slots are free, but no message has been taken for 31 s.",)
    watch.liveness.took()
    assert watch.problems == ()


@pytest.mark.parametrize(
    "state",
    [{"waiting": 5, "taking": True}, {"waiting": 5, "slots": 0}, {"waiting": 0}],
    ids=["it takes some", "every slot is busy", "none waits"],
)
def test_a_long_queue_alone_is_no_problem(watch: Watch, state: dict[str, Any]) -> None:
    """Restarting a busy worker would lengthen its backlog."""
    watch.pass_time(300, **state)

    assert watch.problems == ()


def test_a_worker_that_ends_takes_nothing_more_and_is_healthy(watch: Watch) -> None:
    """A warm shutdown may take a minute and must not be interrupted."""
    watch.liveness.stopping()
    watch.liveness.disconnected()
    watch.pass_time(60, turning=False, waiting=5)

    assert watch.problems == ()


class Silent(QueueSampler):
    """A broker that is not asked."""

    def __init__(self) -> None:
        pass

    def sample(self) -> tuple[dict[str, int], int]:
        return {}, 1

    def close(self) -> None:
        pass


@pytest.fixture
def server(watch: Watch) -> Iterator[HealthServer]:
    started = HealthServer(watch.liveness, Silent(), host="127.0.0.1", port=0, patience_s=600)
    started.start()
    yield started
    started.stop()


def test_health_is_200_or_503_with_the_reasons(watch: Watch, server: HealthServer) -> None:
    """A load balancer reads the status, a person the body."""
    url = f"http://127.0.0.1:{server.port}/health"
    with urllib.request.urlopen(url) as answer:
        healthy = json.load(answer)
    watch.pass_time(31, turning=False, waiting=0)
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(url)
    unhealthy = json.load(refused.value)
    with pytest.raises(urllib.error.HTTPError) as elsewhere:
        urllib.request.urlopen(f"http://127.0.0.1:{server.port}/")
    refused.value.close()
    elsewhere.value.close()

    assert (healthy["healthy"], healthy["problems"]) == (True, [])
    assert (refused.value.code, unhealthy["healthy"]) == (503, False)
    assert unhealthy["waiting"] == {"gatepost.login": 0}
    assert elsewhere.value.code == 404


def test_only_a_fault_that_a_restart_cures_fails_the_live_path(watch: Watch, server: HealthServer) -> None:
    """An orchestrator restarts a stuck worker, and leaves a fleet alone whose broker is down."""
    url = f"http://127.0.0.1:{server.port}/live"
    watch.liveness.disconnected()
    watch.pass_time(600, turning=False, waiting=None)
    with urllib.request.urlopen(url) as answer:
        broker_down = json.load(answer)
    watch.liveness.connected()
    watch.pass_time(31, turning=False)
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(url)
    stuck = json.load(refused.value)
    refused.value.close()

    assert (broker_down["healthy"], broker_down["restart_helps"]) == (False, False)
    assert (refused.value.code, stuck["restart_helps"]) == (503, True)


def test_the_command_asks_and_says_with_its_exit_code(
    watch: Watch, server: HealthServer, capsys: pytest.CaptureFixture[str]
) -> None:
    """0 when it is healthy, 1 when it is unhealthy or does not answer."""
    port = str(server.port)
    healthy = main(["health", "--port", port])
    watch.pass_time(31, turning=False, waiting=0)
    unhealthy = main(["health", "--url", f"http://127.0.0.1:{port}/health"])
    said = capsys.readouterr()
    server.stop()
    gone = main(["health", "--port", port, "--json"])

    assert (healthy, unhealthy, gone) == (0, 1, 1)
    assert said.out == "healthy\nunhealthy\n"
    assert "has not turned for 31 s" in said.err
    assert json.loads(capsys.readouterr().out)["healthy"] is False


def test_the_command_without_a_port_says_where_to_give_one(capsys: pytest.CaptureFixture[str]) -> None:
    """As an option, or as a setting."""
    assert main(["health"]) == 2
    assert "--port is missing; give it, or set GATEPOST_HEALTH_PORT" in capsys.readouterr().err


def test_a_taken_port_stops_the_start_with_the_variables_name(watch: Watch, server: HealthServer) -> None:
    """Two workers of one host need two ports."""
    with pytest.raises(ConfigurationError, match="GATEPOST_HEALTH_PORT"):
        HealthServer(watch.liveness, Silent(), host="127.0.0.1", port=server.port, patience_s=1).start()
