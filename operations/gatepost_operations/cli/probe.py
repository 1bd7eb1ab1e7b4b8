"""`gatepost probe`: send a code to the team's own mailbox, and log in with it."""

import signal
import sys
from dataclasses import dataclass
from types import FrameType
from typing import Annotated, Any, Final, NoReturn

import structlog
import typer

from gatepost.producer import Producer
from gatepost_core import logs
from gatepost_core.errors import FieldError, GatepostError, InvalidCommand
from gatepost_core.probe_results import REASONS, Cause, ProbeResult, ProbeResults
from gatepost_core.reasons import Reason
from gatepost_core.redis.connections import connect
from gatepost_core.redis.keys import RedisKeys
from gatepost_core.settings import Settings, load_settings
from gatepost_core.settings.probe import ProbeSettings
from gatepost_operations.cli.dev_environment import env_file
from gatepost_operations.cli.exit_codes import ExitCode, Refused, exit_code_of_reason
from gatepost_operations.cli.options import JsonOption, TenantOption, command_app, examples, listed
from gatepost_operations.cli.output import say, show
from gatepost_operations.cli.time_input import read_duration
from gatepost_operations.extras import require_worker
from gatepost_operations.probing.configuration import (
    deferred_s,
    load_probe_settings,
    longest_run_s,
    mailbox_of,
    source_of,
    target_of,
)
from gatepost_operations.probing.mailbox_lock import mailbox_lock
from gatepost_operations.probing.run import Probe, ProbeRun, Target, repeat

app = command_app()

_SHORTEST_INTERVAL_S: Final = 10.0
_log = structlog.stdlib.get_logger("gatepost.probe")


@app.command(
    epilog=listed(
        "Exit codes:",
        "0  every step succeeded",
        "3  a step failed, but not because of the configuration",
        "4  a setting or a credential is wrong",
        "5  another probe uses the mailbox",
    )
    + examples("gatepost probe", "gatepost probe --every 5m", "gatepost probe --last --json | jq -r .reason")
)
def probe(
    *,
    tenant: TenantOption = None,
    every: Annotated[
        str | None, typer.Option("--every", metavar="DURATION", help="Repeat at this interval, such as 5m or 1h.")
    ] = None,
    last: Annotated[bool, typer.Option("--last", help="Show the last result, and send nothing.")] = False,
    as_json: JsonOption = False,
) -> ExitCode:
    """Send a code to the team's own mailbox, and log in with it.

    Enqueues a send and a login, as your application does. This tests the workers, Auth0, the message template and the mailbox. The settings
    GATEPOST_PROBE_… name the mailbox.

    With --every, the command repeats the probe until you stop it, and prints each result.
    """
    interval_s = _interval_s(every)
    if last and every:
        raise typer.BadParameter("cannot be combined with --every", param_hint="--last")
    # A missing setting is an error before the first run.
    desk = _open_desk(tenant)
    if last:
        return _show_last(desk, as_json=as_json)
    if interval_s is None:
        return _run_once(desk, as_json=as_json)
    signal.signal(signal.SIGTERM, _end)
    repeat(lambda: _run_in_schedule(tenant, as_json=as_json), interval_s)
    return ExitCode.DONE


@dataclass(frozen=True, slots=True)
class _Desk:
    """The settings of all runs."""

    settings: Settings
    own: ProbeSettings
    target: Target


def _open_desk(tenant: str | None) -> _Desk:
    require_worker()
    settings = load_settings(env_file=env_file())
    logs.start(settings, "gatepost.probe")
    own = load_probe_settings(env_file=env_file())
    source_of(own)
    return _Desk(settings, own, target_of(own, settings, tenant))


def _run_once(desk: _Desk, *, as_json: bool) -> ExitCode:
    settings, own, target = desk.settings, desk.own, desk.target
    keys = RedisKeys(settings.namespace)
    longest_s = longest_run_s(own, settings)
    lock = keys.probe_lock(mailbox_of(own, settings.fingerprints()))
    with (
        connect(settings) as client,
        Producer(settings) as producer,
        mailbox_lock(client, lock, lifetime_s=longest_s, wait_s=longest_s, on_wait=_say_waiting) as is_free,
    ):
        if not is_free:
            raise Refused("another probe holds the mailbox; run one probe at a time for it")
        probe_run = Probe(
            producer,
            source_of(own),
            target,
            operation_s=own.probe_operation_timeout,
            deferred_s=deferred_s(settings),
            arrival_s=own.probe_arrival_timeout,
        )
        done = probe_run.run()
        results = ProbeResults(client, keys)
        results.store(target.tenant, target.channel, done.result)
        stored = results.read(target.tenant, target.channel) or done.result
    return _show(desk, ProbeRun(stored, done.operation_id, done.detail), as_json=as_json)


def _run_in_schedule(tenant: str | None, *, as_json: bool) -> None:
    try:
        # Read again for each run, because passwords and credentials rotate.
        _run_once(_open_desk(tenant), as_json=as_json)
    except GatepostError as failure:
        # Without Redis there is no result. The age of the last one tells.
        _log.error("probe.not_run", error=type(failure).__name__, message=str(failure))


def _show_last(desk: _Desk, *, as_json: bool) -> ExitCode:
    target = desk.target
    with connect(desk.settings) as client:
        found = ProbeResults(client, RedisKeys(desk.settings.namespace)).read(target.tenant, target.channel)
    if found is None:
        raise Refused("the probe has not run yet for this tenant and channel; run: gatepost probe")
    return _show(desk, ProbeRun(found), as_json=as_json)


def _show(desk: _Desk, done: ProbeRun, *, as_json: bool) -> ExitCode:
    code = _exit_code(done.result)
    show(_document(desk.target, done, code), *_lines(desk.target, done), as_json=as_json)
    return code


def _document(target: Target, done: ProbeRun, code: ExitCode) -> dict[str, Any]:
    result = done.result
    return {
        "tenant": target.tenant,
        "channel": target.channel.value,
        "reason": result.reason,
        "step": result.step and result.step.value,
        "advice": result.advice or None,
        "detail": done.detail,
        "operation_id": done.operation_id,
        "seconds": {step.value: round(seconds, 3) for step, seconds in result.seconds.items()},
        "last_run_at": result.ended_at.isoformat(),
        "last_success_at": result.last_success_at and result.last_success_at.isoformat(),
        "exit_code": int(code),
    }


def _lines(target: Target, done: ProbeRun) -> list[str]:
    result = done.result
    name = f"{target.tenant}, {target.channel.value}"
    times = ", ".join(f"{step.value} {seconds:.1f} s" for step, seconds in result.seconds.items())
    if result.succeeded:
        return [f"{name}: ok", f"  {times}"]
    step = result.step.value if result.step else "a later step"
    detail = f" ({done.detail})" if done.detail else ""
    since = f"{result.last_success_at:%Y-%m-%d %H:%M:%S} UTC" if result.last_success_at else "never"
    lines = [f"{name}: failed at {step}: {result.reason}{detail}", f"  {result.advice}", f"  {times}"]
    lines += [f"  operation {done.operation_id}"] if done.operation_id else []
    return [*lines, f"  last success: {since}"]


def _exit_code(result: ProbeResult) -> ExitCode:
    if result.succeeded:
        return ExitCode.DONE
    if result.reason not in REASONS:
        return ExitCode.NOT_ACCEPTED
    if result.reason in set(Cause):
        return ExitCode.CONFIGURATION if Cause(result.reason).misconfigured else ExitCode.NOT_ACCEPTED
    return exit_code_of_reason(Reason(result.reason))


def _interval_s(every: str | None) -> float | None:
    if every is None:
        return None
    seconds = read_duration(every, "every").total_seconds()
    if seconds < _SHORTEST_INTERVAL_S:
        raise InvalidCommand(
            [FieldError("every", f"must be at least {_SHORTEST_INTERVAL_S:.0f} s, because each run sends a message")]
        )
    return seconds


def _say_waiting() -> None:
    say("gatepost: another probe uses this mailbox; waiting for its end.")


def _end(_number: int, _frame: FrameType | None) -> NoReturn:
    """End through the context managers, which free the mailbox."""
    sys.exit(ExitCode.DONE)
