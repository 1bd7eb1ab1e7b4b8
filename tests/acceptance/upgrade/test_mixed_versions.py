"""The previous version beside this one on one Redis: producers, workers and schedulers of both, through campaigns and logins."""

from __future__ import annotations

import json
import subprocess
import sys
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import pytest

from support.checkout import CHECKOUT
from support.previous_version import previous_python

if TYPE_CHECKING:
    from pathlib import Path

    from support.stack import Program, Stack

pytestmark = pytest.mark.upgrade

PROGRAM: Final = CHECKOUT / "tests" / "support" / "either_version.py"
EVERYTHING: Final = "gatepost.login,gatepost.send,gatepost.bulk"
PEOPLE: Final = 300
SINGLE: Final = 10


def addresses(count: int) -> list[str]:
    return [f"guest-{uuid.uuid4().hex}@example.com" for _ in range(count)]


@dataclass
class Version:
    """One version of Gatepost, in an interpreter for it alone."""

    name: str
    python: Path | str
    stack: Stack

    def call(self, step: str, argument: Any) -> Any:
        """Carry out a step of `either_version.py`."""
        done = subprocess.run(
            [str(self.python), str(PROGRAM)],
            input=json.dumps([step, argument]),
            env=self.stack.whole_environment({}),
            cwd=self.stack.directory,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        assert done.returncode == 0, f"{self.name}: {done.stderr}"
        return json.loads(done.stdout)

    def worker(self) -> Program:
        """Start a worker on all queues, and wait until it takes messages."""
        arguments = ("-m", "celery", "-A", "gatepost_worker", "worker", "-n", f"{self.name}@test", "-Q", EVERYTHING)
        program = self.stack.start(self.name, *arguments, "--without-gossip", python=str(self.python))
        self.stack.until(
            lambda: "ready." in program.output() or '"worker.ready"' in program.output(), "it is ready", program
        )
        return program

    def beat(self) -> Program:
        """Start a scheduler."""
        schedule = str(self.stack.directory / f"beat-{self.name}")
        command = ("-m", "celery", "-A", "gatepost_worker", "beat", "--schedule", schedule)
        return self.stack.start(f"beat-{self.name}", *command, python=str(self.python))


@pytest.fixture
def previous(stack: Stack) -> Version:
    """The version before."""
    return Version("previous", previous_python(), stack)


@pytest.fixture
def present(stack: Stack) -> Version:
    """This version."""
    return Version("present", sys.executable, stack)


def attempts(program: Program) -> int:
    """Return how many attempts and batches a worker finished."""
    return program.output().count("attempt.finished") + program.output().count("batch.finished")


def accounted_for(stack: Stack, campaign: str, people: list[str], *readers: Version) -> None:
    """Check that everybody got one message, and that both versions read the same sums."""
    for reader in readers:
        found = reader.call("status", campaign)

        assert found["status"] == "finished"
        assert {state: count for state, count in found["counts"].items() if count} == {"accepted": len(people)}
    assert set(stack.simulator.control.counts_of(people).values()) == {1}


def finished(stack: Stack, reader: Version, campaign: str) -> None:
    stack.until(lambda: reader.call("status", campaign)["status"] == "finished", "the campaign has ended")


@pytest.mark.parametrize("beat_of", ["previous", "present"])
def test_both_versions_share_the_work(stack: Stack, previous: Version, present: Version, beat_of: str) -> None:
    """Each version's workers carry out what the other's producers enqueued; each reads and redeems the other's results."""
    control = stack.simulator.control
    versions = (previous, present)
    workers = [version.worker() for version in versions]
    versions[beat_of == "present"].beat()
    people = {version.name: addresses(PEOPLE) for version in versions}
    campaigns = {version.name: version.call("create_paused", people[version.name]) for version in versions}
    for ours, theirs in (versions, versions[::-1]):
        single = addresses(SINGLE)
        sent = ours.call("send", single)

        assert theirs.call("outcomes", sent) == ["accepted"] * SINGLE
        logins = ours.call("log_in", {one: control.latest_code(one) for one in single})
        assert theirs.call("redeem", logins) == [True] * SINGLE
        assert set(control.counts_of(single).values()) == {1}
    present.call("resume", campaigns["previous"])
    previous.call("resume", campaigns["present"])
    for version in versions:
        finished(stack, version, campaigns[version.name])
        accounted_for(stack, campaigns[version.name], people[version.name], *versions)
    assert all(attempts(worker) for worker in workers), stack.output()


@pytest.mark.parametrize("direction", ["forwards", "back"])
def test_a_rolling_deploy_loses_nothing(stack: Stack, previous: Version, present: Version, direction: str) -> None:
    """The workers of one version end in the middle of a campaign and of logins, and those of the other go on: forwards, and back."""
    first, second = (previous, present) if direction == "forwards" else (present, previous)
    control = stack.simulator.control
    old, scheduler = first.worker(), first.beat()
    people, single = addresses(PEOPLE), addresses(SINGLE)
    first.call("outcomes", first.call("send", single))
    campaign = first.call("create", people)
    stack.until(lambda: attempts(old) > SINGLE, "the campaign has begun", old)
    new = second.worker()
    logins = first.call("log_in", {one: control.latest_code(one) for one in single})
    old.terminate()

    assert old.wait(120) == 0
    scheduler.terminate()
    second.beat()
    assert second.call("redeem", logins) == [True] * SINGLE
    finished(stack, second, campaign)
    accounted_for(stack, campaign, people, first, second)
    assert attempts(new)


@pytest.mark.parametrize("direction", ["forwards", "back"])
def test_a_killed_worker_of_one_version_is_repaired_by_the_other(
    stack: Stack, previous: Version, present: Version, direction: str
) -> None:
    """The other version's reconciler ends the attempts under way; every recipient is counted once."""
    first, second = (previous, present) if direction == "forwards" else (present, previous)
    old = first.worker()
    people = addresses(PEOPLE)
    campaign = first.call("create", people)
    stack.until(lambda: stack.simulator.control.count(people[0]) > 0, "the campaign has begun", old)
    old.kill()
    second.worker()
    second.beat()
    finished(stack, second, campaign)
    counts = second.call("status", campaign)["counts"]

    assert sum(counts.values()) == counts["accepted"] + counts["unknown"] == PEOPLE
    assert max(stack.simulator.control.counts_of(people).values()) == 1
