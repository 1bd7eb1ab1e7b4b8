"""Every command and option of Celery's is classified, and those that do not fit are refused with one sentence."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import click
import pytest
from celery.bin.base import CLIContext
from celery.bin.celery import celery as celery_group

from gatepost_operations.cli.entry import main
from gatepost_worker.celery_guard.options import BEAT, COMMANDS, GLOBAL, WORKER, CheckOfOptions

if TYPE_CHECKING:
    from collections.abc import Mapping

    from celery import Celery

    from gatepost_worker.celery_guard.options import Rule

CALLS_FOR_A_LIVE_WORKER = {
    "hostname": ["-n", "name@host"],
    "statedb": ["-S", "state"],
    "loglevel": ["-l", "DEBUG"],
    "logfile": ["-f", "log"],
    "pidfile": ["--pidfile", "pid"],
    "uid": ["--uid", "1"],
    "gid": ["--gid", "1"],
    "optimization": ["-O", "fair"],
    "prefetch_multiplier": ["--prefetch-multiplier", "4"],
    "disable_prefetch": ["--disable-prefetch"],
    "concurrency": ["-c", "300"],
    "pool": ["-P", "threads"],
    "task_events": ["-E"],
    "queues": ["-Q", "gatepost.login,gatepost.bulk"],
    "exclude_queues": ["-X", "gatepost.bulk"],
    "without_gossip": ["--without-gossip"],
    "without_mingle": ["--without-mingle"],
    "without_heartbeat": ["--without-heartbeat"],
    "heartbeat_interval": ["--heartbeat-interval", "5"],
    "beat": ["-B"],
    "schedule_filename": ["-s", "schedule"],
}
"""Options that work, as they are given."""

REFUSED = {
    "--autoscale 4,1": "--autoscale needs a pool that grows, but the thread pool has a fixed size; use --concurrency.",
    "--pool solo": "--pool must be threads",
    "-P processes": "--pool must be threads",
    "--time-limit 5": "GATEPOST_EMAIL_DEADLINE",
    "--soft-time-limit 5": "GATEPOST_LOGIN_DEADLINE",
    "--max-tasks-per-child 5": "needs child processes",
    "--max-memory-per-child 5": "needs child processes",
    "--pool-start-method spawn": "needs child processes",
    "--purge": "--purge would delete submissions",
    "-Q gatepost.login,celery": "--queues names celery; the queues are gatepost.login, gatepost.send, gatepost.bulk, gatepost.webhooks.",
    "-Q login": "--queues names login",
    "-Q ,": "--queues names nothing",
    "-X other": "--exclude-queues names other",
    "-X gatepost.login,gatepost.send,gatepost.bulk,gatepost.webhooks": "--exclude-queues leaves no queue",
    "--include os": "--include would import other tasks",
    "--detach": "--detach changes to the root directory",
    "--umask 0": "--umask works only with --detach",
    "--executable python": "--executable works only with --detach",
    "--scheduler a.b:C": "--scheduler would replace the reconciler's schedule",
    "--prefetch-multiplier -1": "--prefetch-multiplier must not be negative",
    "--heartbeat-interval -1": "--heartbeat-interval must not be negative",
    "--concurrency 1001": "--concurrency takes at most 1000",
    "worker.pool=solo": "unexpected extra argument",
}


def parsed(app: Celery, command: str, arguments: list[str], *, before: list[str] | None = None) -> click.Context:
    """Parse a command line as `celery -A …` does, without carrying it out."""
    parent = celery_group.make_context("celery", [*(before or []), command], auto_envvar_prefix="CELERY")
    parent.obj = CLIContext(app=app, no_color=True, workdir=None)
    checked = copy.copy(celery_group.commands[command])
    checked.params = [*checked.params, CheckOfOptions()]
    return checked.make_context(command, arguments, parent=parent)


def names_of(command: click.Command) -> set[str]:
    return {str(option.name) for option in command.params if not isinstance(option, CheckOfOptions)}


@pytest.mark.parametrize(
    ("command", "classified"),
    [(celery_group, GLOBAL), (celery_group.commands["worker"], WORKER), (celery_group.commands["beat"], BEAT)],
)
def test_every_option_of_celery_is_classified(command: click.Command, classified: Mapping[str, Rule | None]) -> None:
    """A new Celery brings no option that was not looked at."""
    assert names_of(command) == set(classified)


def test_every_command_of_celery_is_classified() -> None:
    """Flower's included, which is a command of Celery's once it is installed."""
    assert set(celery_group.commands) | {"flower"} == set(COMMANDS)


@pytest.mark.parametrize("given", REFUSED)
def test_an_unsuitable_option_is_refused_with_one_sentence(app: Celery, given: str) -> None:
    """The sentence begins with the option, and ends with what to do instead."""
    with pytest.raises(click.UsageError) as refusal:
        parsed(app, "worker", given.split())

    assert REFUSED[given] in refusal.value.format_message()
    assert "\n" not in refusal.value.format_message()


def test_an_option_from_the_environment_is_refused_alike(app: Celery, monkeypatch: pytest.MonkeyPatch) -> None:
    """Celery reads each of its options from a variable too."""
    monkeypatch.setenv("CELERY_WORKER_AUTOSCALE", "3")

    with pytest.raises(click.UsageError, match="--autoscale needs a pool that grows"):
        parsed(app, "worker", [])


@pytest.mark.parametrize("given", [*CALLS_FOR_A_LIVE_WORKER.values(), ["-P", "prefork"], ["-c", "auto"]])
def test_what_fits_is_let_through(app: Celery, given: list[str]) -> None:
    """Prefork too, for which Celery takes the pool that the app names: threads."""
    assert parsed(app, "worker", given).params


def test_the_list_of_what_fits_is_complete() -> None:
    """An option without a refusal is one of those that the tests start a worker with."""
    assert set(CALLS_FOR_A_LIVE_WORKER) >= {name for name, rule in WORKER.items() if rule is None}


@pytest.mark.parametrize(
    ("option", "setting"),
    [
        ("--broker", "GATEPOST_BROKER_URL"),
        ("--result-backend", "GATEPOST_REDIS_URL"),
        ("--config", "GATEPOST_CONFIG"),
        ("--loader", "GATEPOST_CONFIG"),
    ],
)
@pytest.mark.parametrize("command", ["worker", "beat", "inspect"])
def test_a_setting_of_celerys_is_refused_by_the_name_of_gateposts(
    app: Celery, command: str, option: str, setting: str
) -> None:
    """It would not be read, and a worker on another broker than the one meant takes nothing."""
    rest = ["ping"] if command == "inspect" else []

    with pytest.raises(click.UsageError, match=f"{option} is not read; set {setting} instead"):
        parsed(app, command, rest, before=[option, "redis://elsewhere"])


@pytest.mark.parametrize("given", [["--detach"], ["-S", "a.b:C"], ["--max-interval", "-5"], ["beat.schedule={}"]])
def test_beat_refuses_what_does_not_fit(app: Celery, given: list[str]) -> None:
    """Another schedule would leave lost messages lost."""
    with pytest.raises(click.UsageError):
        parsed(app, "beat", given)


@pytest.mark.parametrize(("command", "given"), [("purge", ["-f"]), ("call", ["gatepost.submit"]), ("multi", ["start"])])
def test_a_command_that_breaks_a_promise_is_refused(app: Celery, command: str, given: list[str]) -> None:
    """It says what to use instead."""
    with pytest.raises(click.UsageError, match=rf"^celery {command} (would|starts)"):
        parsed(app, command, given)


@pytest.mark.parametrize("given", [["--autoscale", "4"], ["--pool", "solo"], ["--purge"], ["--", "worker.pool=solo"]])
def test_gatepost_worker_passes_nothing_on_to_celery(given: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Celery's options are unknown to the command, which refuses them as a usage error."""
    assert main(["worker", *given]) == 2
    assert "gatepost worker: " in capsys.readouterr().err


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A worker's app; nothing is connected."""
    from importlib import import_module  # noqa: PLC0415 - the module reads the environment

    from gatepost_core.settings import Settings  # noqa: PLC0415 - as above

    fields = {"AUTH0_DOMAIN": "localhost:1", "AUTH0_CLIENT_ID": "client", "AUTH0_CLIENT_SECRET": "s3cret"}
    return import_module("gatepost_worker.celery").create(Settings(**fields))
