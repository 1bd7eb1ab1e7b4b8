"""The commands and options of `celery -A gatepost_worker` that work. The others are refused before anything starts.

Every command of Celery and every option of `worker` and `beat` is listed. None marks one that works; a sentence says why another is refused
and what to use instead. A test compares the lists with Celery's own, so that a new version adds no unchecked option.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

import click
from celery.bin.base import CLIContext
from celery.concurrency.thread import TaskPool
from celery.utils import sysinfo
from click.core import ParameterSource

from gatepost_core.kinds import SHELL_COMMANDS

if TYPE_CHECKING:
    from celery import Celery

# Celery's hints lack the two functions used here.
_sysinfo: Any = sysinfo
Rule = Callable[[Any], str | None]
"""Returns why a value is refused, or None."""
_MOST_SLOTS: Final = 1000
_NO_CHILDREN: Final = "needs child processes, but a worker runs threads; leave it out."
_NO_LIMITS: Final = "cannot stop a thread; limit a call with GATEPOST_EMAIL_DEADLINE, GATEPOST_SMS_DEADLINE and GATEPOST_LOGIN_DEADLINE."
_DETACH: Final = (
    "changes to the root directory, where no .env is read, and hides how the process ends; "
    "run it under systemd, Compose or another supervisor."
)
_DETACHED: Final = "works only with --detach, which is refused; leave it out."
_SCHEDULER: Final = "would replace the reconciler's schedule; leave it out."
_SETTINGS: Final = "is not read; set {} instead."


def _refused(sentence: str) -> Rule:
    return lambda _value: sentence


def _pool(value: Any) -> str | None:
    if value is TaskPool:
        return None
    return "must be threads: a batch and its connections share one process; use --pool threads, or leave it out."


def _slots(value: Any) -> str | None:
    if isinstance(value, int) and value > _MOST_SLOTS:
        return f"takes at most {_MOST_SLOTS}; start more workers."
    return None


def _not_negative(value: Any) -> str | None:
    return "must not be negative." if value is not None and value < 0 else None


def _known_queues() -> list[str]:
    command_line: Any = click.get_current_context().find_object(CLIContext)
    return list(command_line.app.amqp.queues)


def _queues(value: Any) -> str | None:
    known = _known_queues()
    unknown = [queue or "nothing" for queue in value or () if queue not in known]
    return f"names {', '.join(unknown)}; the queues are {', '.join(known)}." if unknown else None


def _left_out(value: Any) -> str | None:
    if set(_known_queues()) <= set(value or ()):
        return "leaves no queue; name the queues to serve with --queues."
    return _queues(value)


_DAEMON: Final[Mapping[str, Rule | None]] = {
    "logfile": None,
    "pidfile": None,
    "uid": None,
    "gid": None,
    "umask": _refused(_DETACHED),
    "executable": _refused(_DETACHED),
}

GLOBAL: Final[Mapping[str, Rule | None]] = {
    "app": None,
    "broker": _refused(_SETTINGS.format("GATEPOST_BROKER_URL")),
    "result_backend": _refused(_SETTINGS.format("GATEPOST_REDIS_URL")),
    "loader": _refused(_SETTINGS.format("GATEPOST_CONFIG")),
    "config": _refused(_SETTINGS.format("GATEPOST_CONFIG")),
    "workdir": None,
    "no_color": None,
    "quiet": None,
    "version": None,
    "skip_checks": None,
}

WORKER: Final[Mapping[str, Rule | None]] = {
    **_DAEMON,
    "hostname": None,
    "detach": _refused(_DETACH),
    "statedb": None,
    "loglevel": None,
    "optimization": None,
    "prefetch_multiplier": _not_negative,
    "disable_prefetch": None,
    "concurrency": _slots,
    "pool": _pool,
    "task_events": None,
    "time_limit": _refused(_NO_LIMITS),
    "soft_time_limit": _refused(_NO_LIMITS),
    "max_tasks_per_child": _refused(_NO_CHILDREN),
    "pool_start_method": _refused(_NO_CHILDREN),
    "max_memory_per_child": _refused(_NO_CHILDREN),
    "purge": _refused(
        "would delete submissions that are recorded nowhere else; leave it out, and cancel with Handle.cancel() or gatepost campaign cancel."
    ),
    "queues": _queues,
    "exclude_queues": _left_out,
    "include": _refused("would import other tasks, but a worker runs only Gatepost's; run those in another worker."),
    "without_gossip": None,
    "without_mingle": None,
    "without_heartbeat": None,
    "heartbeat_interval": _not_negative,
    "autoscale": _refused("needs a pool that grows, but the thread pool has a fixed size; use --concurrency."),
    "beat": None,
    "schedule_filename": None,
    "scheduler": _refused(_SCHEDULER),
}

BEAT: Final[Mapping[str, Rule | None]] = {
    **_DAEMON,
    "detach": _refused(_DETACH),
    "schedule": None,
    "scheduler": _refused(_SCHEDULER),
    "max_interval": _not_negative,
    "remote_control": None,
    "hostname": None,
    "loglevel": None,
}

COMMANDS: Final[Mapping[str, str | None]] = {
    "amqp": None,
    "beat": None,
    "call": f"would put its arguments into the shell's history and onto the broker in clear; use gatepost {', '.join(SHELL_COMMANDS)}.",
    "control": None,
    "events": None,
    "flower": None,
    "graph": None,
    "inspect": None,
    "list": None,
    "logtool": None,
    "migrate": None,
    "multi": "starts workers with --detach, which is refused; run them under systemd, Compose or another supervisor.",
    "purge": "would delete submissions that are recorded nowhere else; cancel with Handle.cancel() or gatepost campaign cancel.",
    "report": None,
    "result": None,
    "shell": None,
    "status": None,
    "upgrade": None,
    "worker": None,
}
_GIVEN: Final = {ParameterSource.COMMANDLINE, ParameterSource.ENVIRONMENT}
_OPTIONS: Final = {"worker": WORKER, "beat": BEAT}


class CheckOfOptions(click.Option):
    """A hidden option of every command whose callback checks the others. Celery adds it by `app.user_options`."""

    def __init__(self) -> None:
        super().__init__(["--gatepost-checked"], hidden=True, is_flag=True, expose_value=False, callback=_check)


def check_options(app: Celery) -> None:
    """Let Celery's command line refuse the commands and options that do not work with the app."""
    app.user_options["preload"].add(CheckOfOptions())


def was_given(name: str) -> bool:
    """Return whether the running command was given an option, on the command line or by its environment variable."""
    context = click.get_current_context(silent=True)
    return context is not None and context.get_parameter_source(name) in _GIVEN


def slots_of(worker: Any) -> int:
    """Return how many calls a worker makes at once. Celery resolves `--concurrency auto` later, itself."""
    if _sysinfo.is_auto_concurrency(worker.concurrency):
        return int(_sysinfo.cpu_budget(use_cgroup_quota=False).count)
    return int(worker.concurrency)


def _check(context: click.Context, _option: click.Parameter, _value: Any) -> None:
    command = str(context.command.name)
    if sentence := COMMANDS.get(command):
        raise click.UsageError(f"celery {command} {sentence}", context)
    if context.parent is not None:
        _check_given(context.parent, GLOBAL, {ParameterSource.COMMANDLINE})
    if command in _OPTIONS:
        # Arguments after the options would change Celery's settings, such as worker.pool=solo.
        context.allow_extra_args = False
        _check_given(context, _OPTIONS[command], _GIVEN)


def _check_given(context: click.Context, rules: Mapping[str, Rule | None], sources: set[ParameterSource]) -> None:
    for option in context.command.params:
        name = str(option.name)
        if context.get_parameter_source(name) not in sources or isinstance(option, CheckOfOptions):
            continue
        rule = rules.get(name, _unknown) if name in rules or name in context.params else None
        if rule is not None and (sentence := rule(context.params.get(name))):
            raise click.UsageError(f"{_name(option)} {sentence}", context)


def _unknown(_value: Any) -> str:
    return "is not tested with this version of Gatepost; leave it out."


def _name(option: click.Parameter) -> str:
    return next(name for name in option.opts if name.startswith("--"))
