"""Every line that a worker and a scheduler write is a JSON object: their starts, ends, kills and restarts included."""

from __future__ import annotations

import json
import signal
from typing import TYPE_CHECKING, Any

import pytest

from gatepost_core.campaigns.model import Options
from support.campaign_parts import email, rows

if TYPE_CHECKING:
    from support.stack import Program, Stack

pytestmark = pytest.mark.slow

EVERYTHING = "gatepost.login,gatepost.send,gatepost.bulk"
PEOPLE = 60


def lines_of(program: Program) -> list[dict[str, Any]]:
    """Read the whole output; a line that is no JSON object fails the test."""
    lines = [json.loads(line) for line in program.output().splitlines()]

    assert all(isinstance(line, dict) and {"event", "level", "logger", "timestamp"} <= line.keys() for line in lines)
    return lines


def events(program: Program, beginning: str = "") -> list[str]:
    return [str(line["event"]) for line in lines_of(program) if str(line["event"]).startswith(beginning)]


def has(program: Program, event: str) -> bool:
    return f'"event": "{event}"' in program.output()


def test_a_worker_and_a_scheduler_write_json_only(stack: Stack) -> None:
    """Banners, warnings, a kill, a restart, stacks and the word of a shutdown would be text with stock Celery; no line has a person."""
    # A fork of the test's process could not start again.
    stack.fresh = True
    killed, beat = stack.worker(EVERYTHING), stack.beat()
    with stack.producer() as producer:
        campaign = producer.campaigns.create("spring", Options(rate=40))
        producer.campaigns.add(campaign, rows(PEOPLE))
        producer.campaigns.start(campaign)
        stack.until(lambda: has(killed, "campaign.started"), "the start is logged", killed)
        killed.kill()
        worker = stack.worker(EVERYTHING)
        worker.process.send_signal(signal.SIGUSR1)
        producer.campaigns.pause(campaign)
        stack.until(lambda: has(worker, "campaign.paused"), "the pause is logged", worker)
        producer.campaigns.resume(campaign)
        stack.until(lambda: has(worker, "campaign.finished"), "the end is logged", worker)
    worker.process.send_signal(signal.SIGHUP)
    stack.until(lambda: events(worker).count("worker.ready") == 2, "it has started again", worker)
    for program in (worker, beat):
        program.terminate()
        program.wait()

    assert events(killed, "worker.") == ["worker.starting", "worker.connected", "worker.ready"]
    once = ["worker.starting", "worker.connected", "worker.ready"]
    end = ["worker.draining", "worker.disconnected", "worker.stopped"]
    seen = events(worker, "worker.")
    assert sorted(seen) == sorted([*once, "worker.stacks", *end, *once, *end])
    assert [event for event in seen if event in once] == once * 2
    # The sweep of the killed worker's batches has a line too if it comes before the end.
    changes = [event for event in events(worker, "campaign.") if event != "campaign.swept"]
    assert changes == ["campaign.paused", "campaign.resumed", "campaign.finished"]
    assert [event for event in events(beat) if event.startswith("beat.")] == ["beat.started", "beat.stopped"]
    (paused,) = (line for line in lines_of(worker) if line["event"] == "campaign.paused")
    assert (paused["campaign_id"], paused["reason"], paused["cause"]) == (campaign, "by_operator", None)
    (finished,) = (line for line in lines_of(worker) if line["event"] == "campaign.finished")
    assert sum(finished["counts"].values()) == PEOPLE
    assert email(1).partition("@")[2] not in stack.output()


def test_a_worker_that_loses_the_broker_says_so_and_says_when_it_is_back(stack: Stack) -> None:
    """Celery's own lines about it are JSON too."""
    worker = stack.worker()
    with stack.redis() as client:
        own = {line["id"] for line in client.client_list(_type="normal")} - {str(client.client_id())}
        for number in own:
            client.client_kill_filter(_id=number)
    stack.until(lambda: events(worker).count("worker.connected") == 2, "it is connected again", worker)
    worker.terminate()
    worker.wait()
    seen = events(worker, "worker.")

    assert seen.index("worker.disconnected") < len(seen) - 1 - seen[::-1].index("worker.connected")
    assert not any("Traceback" in str(line) for line in lines_of(worker))


@pytest.mark.parametrize("command", [("worker", "--beat"), ("worker", "--processes", "2")])
def test_the_workers_of_gatepost_worker_write_json_only(stack: Stack, command: tuple[str, ...]) -> None:
    """The scheduler inside a worker, and several processes under one command."""
    program = stack.start("worker", "-m", "gatepost_operations.cli", *command)
    ready = command.count("--processes") + 1
    stack.until(lambda: events(program).count("worker.ready") == ready, "all are ready", program)
    program.terminate()
    program.wait()

    assert events(program).count("worker.stopped") == ready
