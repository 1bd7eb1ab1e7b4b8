"""An exercise: faults of the guarantees in a running fleet. Each is found by its alert, and repaired by its runbook section alone.

`make oncall` runs it. Prometheus, Valkey, the workers and the simulator are real; the alerts have short times.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from gatepost_core.campaigns.model import Options
from gatepost_operations.local.embedded_valkey import EmbeddedValkey
from support.campaign_parts import rows
from support.keys import KEYS
from support.monitored_fleet import Fleet
from support.prometheus_server import PrometheusServer
from support.stack import Stack

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from gatepost_simulator.control import ControlClient
    from gatepost_simulator.server import SimulatorServer

pytestmark = [pytest.mark.oncall, pytest.mark.timeout(600)]

FOUND_WITHIN_S = 90
RESOLVED_WITHIN_S = 180


@dataclass
class Exercise:
    """A fleet under the eyes of Prometheus."""

    fleet: Fleet
    prometheus: PrometheusServer

    @property
    def stack(self) -> Stack:
        return self.fleet.stack

    @property
    def auth0(self) -> ControlClient:
        return self.stack.simulator.control

    def wait(self, holds: Callable[[], bool], what: str, seconds: float) -> float:
        began = time.monotonic()
        while not holds():
            passed = time.monotonic() - began
            assert passed < seconds, f"after {passed:.0f} s not: {what}; firing: {self.prometheus.firing()}"
            time.sleep(0.3)
        return time.monotonic() - began

    def found(self, alert: str) -> None:
        """Wait until the alert fires."""
        took = self.wait(lambda: alert in self.prometheus.firing(), f"{alert} fires", FOUND_WITHIN_S)
        print(f"\n{alert}: fired after {took:.0f} s", end="")

    def resolved(self, *alerts: str) -> None:
        """Wait until none of the alerts fires."""
        took = self.wait(
            lambda: not self.prometheus.firing() & set(alerts), f"{', '.join(alerts)} resolved", RESOLVED_WITHIN_S
        )
        print(f", resolved {took:.0f} s after the repair", end="")

    def campaign(self, people: int, **options: object) -> str:
        """Start a campaign named spring in place of an earlier one."""
        with self.stack.producer() as producer:
            campaigns = producer.campaigns
            for one in campaigns.list():
                if one.name == "spring":
                    campaigns.cancel(one.campaign_id) if one.status not in {"finished", "cancelled"} else None
                    self.wait(lambda one=one: not campaigns.status(one.campaign_id).open, "the earlier one ended", 60)
                    campaigns.delete(one.campaign_id)
            campaign_id = campaigns.create("spring", Options(**options))  # type: ignore[arg-type] # as the test names them
            campaigns.add(campaign_id, rows(people))
            campaigns.start(campaign_id)
        return campaign_id

    def status(self, campaign_id: str) -> str:
        with self.stack.producer() as producer:
            return producer.campaigns.status(campaign_id).status.value


@pytest.fixture(scope="module")
def running_exercise(tmp_path_factory: pytest.TempPathFactory, simulator_server: SimulatorServer) -> Iterator[Exercise]:
    directory = tmp_path_factory.mktemp("oncall")
    environment = {"GATEPOST_RECONCILE_EVERY": "1"}
    with (
        EmbeddedValkey(directory / "valkey") as valkey,
        Stack(valkey, simulator_server, directory, environment) as stack,
        Fleet(stack) as fleet,
        PrometheusServer(directory / "prometheus", fleet.targets) as prometheus,
    ):
        yield Exercise(fleet, prometheus)


@pytest.fixture
def exercise(running_exercise: Exercise) -> Exercise:
    """The fleet, once no alert fires."""
    running_exercise.auth0.reset()
    running_exercise.fleet.up("redis", "worker", "worker-bulk", "beat", "metrics")
    running_exercise.wait(lambda: bool(running_exercise.prometheus.query("gatepost_redis_up == 1")), "figures", 60)
    running_exercise.wait(lambda: not running_exercise.prometheus.firing(), "no alert fires", RESOLVED_WITHIN_S)
    return running_exercise


def test_a_killed_worker(exercise: Exercise) -> None:
    """It is started again."""
    exercise.fleet.kill("worker")
    exercise.found("GatepostWorkerDown")
    exercise.fleet.follow("A worker is gone")
    exercise.resolved("GatepostWorkerDown")


def test_a_stuck_worker(exercise: Exercise) -> None:
    """Its process answers, and its loop does not turn. It is killed and started again."""
    exercise.fleet.stuck.touch()
    exercise.found("GatepostWorkerStuck")
    shown = exercise.fleet.follow("A worker is stuck")
    exercise.resolved("GatepostWorkerStuck", "GatepostWorkerDown")

    assert "unhealthy" in shown


def test_work_without_a_worker(exercise: Exercise) -> None:
    """A send waits for a worker that was taken away; the other alerts about that worker resolve too."""
    exercise.fleet.kill("worker")
    with exercise.stack.producer() as producer:
        handle = producer.send_email("waits@example.com")
        exercise.found("GatepostSendsWait")
        exercise.fleet.follow("Work waits and no worker takes it")
        exercise.resolved("GatepostSendsWait", "GatepostWorkerDown", "GatepostReconcilerLate")

        assert handle.wait(60).state == "accepted"


def test_a_scheduler_that_died(exercise: Exercise) -> None:
    """The reconciler does not run."""
    exercise.fleet.kill("beat")
    exercise.found("GatepostReconcilerLate")
    exercise.fleet.follow("Operations stay `queued` or `in_flight`")
    exercise.resolved("GatepostReconcilerLate")


def test_redis_that_died(exercise: Exercise) -> None:
    """It is started on its own file, and workers continue."""
    exercise.fleet.kill("redis")
    exercise.found("GatepostRedisDown")
    shown = exercise.fleet.follow("Redis does not answer")
    exercise.resolved("GatepostRedisDown", "GatepostReconcilerLate", "GatepostWorkerStuck")
    with exercise.stack.producer() as producer:
        after = producer.send_email("after@example.com").wait(90)

    assert "Connection refused" in shown
    assert after.state == "accepted"


def test_a_redis_that_is_nearly_full(exercise: Exercise) -> None:
    """It gets more memory."""
    with exercise.stack.redis() as client:
        used = client.info("memory")["used_memory"]
        client.config_set("maxmemory", int(used * 1.05))
    exercise.found("GatepostRedisNearlyFull")
    exercise.fleet.follow("Redis is full")
    exercise.resolved("GatepostRedisNearlyFull")


def test_a_malformed_message(exercise: Exercise) -> None:
    """It is looked at and dropped."""
    with exercise.stack.redis() as client:
        client.lpush("gatepost.send", "this is no message")
    exercise.found("GatepostDeadLetters")
    shown = exercise.fleet.follow("Dead letters appear")
    exercise.resolved("GatepostDeadLetters")

    assert "gatepost.send" in shown


def test_a_refused_credential(exercise: Exercise) -> None:
    """The campaign pauses itself; after the correction in Auth0 it is resumed and ends."""
    fault = exercise.auth0.script_fault(
        endpoint="/passwordless/start", status=401, error="access_denied", description="Unauthorized", count=0
    )
    campaign_id = exercise.campaign(20)
    exercise.found("GatepostCampaignPaused")
    exercise.found("GatepostCredentialRefused")
    exercise.auth0.clear_faults(fault)
    exercise.fleet.follow("A campaign is paused")
    exercise.resolved("GatepostCampaignPaused", "GatepostCredentialRefused")
    exercise.wait(lambda: exercise.status(campaign_id) == "finished", "the campaign is finished", 90)


def test_lost_answers(exercise: Exercise) -> None:
    """The recipients are unknown, and the section finds them by their reason."""
    exercise.auth0.script_fault(endpoint="/passwordless/start", when="after", drop="close", count=8)
    exercise.campaign(30, pause_after_errors=None, pause_above_error_share=None)
    exercise.found("GatepostManyUnknown")
    shown = exercise.fleet.follow("Many are `unknown`")
    exercise.resolved("GatepostManyUnknown")

    assert "answer_lost" in shown


def test_refusals_for_the_quota(exercise: Exercise) -> None:
    """Auth0 answers 429 again and again; the section shows the block, and everything is sent in the end."""
    exercise.auth0.script_fault(
        endpoint="/passwordless/start", status=429, error="too_many_requests", headers={"Retry-After": "1"}, count=9
    )
    campaign_id = exercise.campaign(40)
    exercise.found("GatepostThrottled")
    shown = exercise.fleet.follow("Auth0 answers 429: every send waits")
    exercise.resolved("GatepostThrottled")
    exercise.wait(lambda: exercise.status(campaign_id) == "finished", "the campaign is finished", 90)

    assert "passwordless/start" in shown


def test_a_batch_that_was_deleted(exercise: Exercise) -> None:
    """Its campaign is blocked; without a backup, the section leaves its recipients out."""
    exercise.fleet.kill("worker-bulk")
    campaign_id = exercise.campaign(10)
    with exercise.stack.redis() as client:
        client.delete(KEYS.batch(campaign_id, 0))
    exercise.fleet.up("worker-bulk")
    exercise.found("GatepostCampaignBlocked")
    shown = exercise.fleet.follow("A campaign is blocked")
    exercise.resolved("GatepostCampaignBlocked")

    assert "damaged" in shown or "not there any more" in shown


def test_counts_that_another_program_changed(exercise: Exercise) -> None:
    """The campaign is paused, counted again and resumed."""
    campaign_id = exercise.campaign(40, rate=0.5)
    with exercise.stack.redis() as client:
        client.hincrby(KEYS.campaign(campaign_id), "queued", 5)
    exercise.found("GatepostCountsWrong")
    shown = exercise.fleet.follow("The counts of a campaign do not add up")
    exercise.resolved("GatepostCountsWrong")

    assert "Traceback" not in shown
