"""How the doctor judges the values that it reads."""

from __future__ import annotations

from typing import Any

import pytest

from gatepost_operations.cli.doctor.checks import (
    Check,
    Status,
    judge_reconciler,
    judge_server,
    judge_skew,
    judge_workers,
    worst,
)

GOOD_SERVER = {"redis_version": "7.2.4", "valkey_version": "9.1.2", "maxmemory_policy": "noeviction", "aof_enabled": 1}


def statuses(checks: list[Check]) -> dict[str, Status]:
    return {check.name: check.status for check in checks}


def test_a_server_as_it_should_be_is_well() -> None:
    """Version, eviction, persistence and clock."""
    checks = judge_server(GOOD_SERVER, ahead_s=0.01)

    assert set(statuses(checks).values()) == {Status.OK}
    assert [check.found for check in checks[:3]] == ["Valkey 9.1.2", "noeviction", "append-only file"]


@pytest.mark.parametrize(
    ("change", "name", "status"),
    [
        ({"redis_version": "6.2.14", "valkey_version": None}, "server version", Status.FAILED),
        ({"redis_version": "7.0.0", "valkey_version": None}, "server version", Status.OK),
        ({"redis_version": "10.0.0", "valkey_version": None}, "server version", Status.OK),
        ({"maxmemory_policy": "allkeys-lru"}, "eviction", Status.FAILED),
        ({"maxmemory_policy": "volatile-ttl"}, "eviction", Status.FAILED),
        ({"aof_enabled": 0}, "persistence", Status.WARNING),
    ],
)
def test_what_may_lose_records_is_said(change: dict[str, Any], name: str, status: Status) -> None:
    """An old server, one that evicts and one without persistence are reported, each with advice."""
    check = next(check for check in judge_server({**GOOD_SERVER, **change}, ahead_s=0.0) if check.name == name)

    assert check.status is status
    assert bool(check.advice) is (status is not Status.OK)


@pytest.mark.parametrize(
    ("ahead_s", "status"),
    [(0.5, Status.OK), (-0.9, Status.OK), (4.0, Status.WARNING), (-4.0, Status.WARNING), (-90.0, Status.FAILED)],
)
def test_clocks_apart_are_said(ahead_s: float, status: Status) -> None:
    """In both directions."""
    check = judge_skew("clock", ahead_s, bad_s=10.0, precision_s=0.0)

    assert check.status is status
    assert ("ahead" if ahead_s > 0 else "behind") in check.found


def test_a_skew_within_the_precision_is_none() -> None:
    """A Date header has whole seconds, so smaller differences are ignored."""
    assert judge_skew("clock", 1.9, bad_s=60.0, precision_s=2.0).found == "within 2 s"


def test_no_worker_is_a_failure_and_a_queue_without_one_a_warning() -> None:
    """Each has the command that repairs it."""
    queues = ["gatepost.login", "gatepost.send", "gatepost.bulk"]
    absent = judge_workers({}, queues)
    some = judge_workers({"one": ["gatepost.login", "gatepost.send"]}, queues)
    every = judge_workers({"one": queues[:2], "two": queues[2:]}, queues)

    assert (absent.status, some.status, every.status) == (Status.FAILED, Status.WARNING, Status.OK)
    assert some.advice.endswith("gatepost worker --queues bulk")


@pytest.mark.parametrize(
    ("age_s", "status"), [(None, Status.WARNING), (5.0, Status.OK), (44.0, Status.OK), (46.0, Status.WARNING)]
)
def test_a_reconciler_that_is_late_is_said(age_s: float | None, status: Status) -> None:
    """Three runs missed, and some slack, or never."""
    assert judge_reconciler(age_s, every_s=10.0).status is status


def test_the_worst_counts() -> None:
    """One failure among many makes the whole failed."""
    checks = [Check("a", Status.OK, ""), Check("b", Status.FAILED, ""), Check("c", Status.WARNING, "")]

    assert worst(checks) is Status.FAILED
    assert worst(checks[:1]) is Status.OK
    assert worst([]) is Status.OK
