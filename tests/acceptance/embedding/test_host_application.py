"""A host with its own Celery app imports Gatepost, and nothing changes in the host."""

from __future__ import annotations

import json
import textwrap
from typing import TYPE_CHECKING, Any

from gatepost import State

if TYPE_CHECKING:
    from support.stack import Program, Stack

_LOOK = """
    import json, logging, signal, sys, threading, warnings
    from celery import current_app, signals
    from celery.app import app_or_default

    logging.basicConfig(level=logging.ERROR, format="host %(message)s")

    def look():
        # Celery's own modules bring handlers that do nothing, whenever they are first imported.
        loggers = [
            name for name, one in logging.Logger.manager.loggerDict.items()
            if any(type(handler) is not logging.NullHandler for handler in getattr(one, "handlers", ()))
        ]
        receivers = {name: len(getattr(signals, name).receivers) for name in signals.__all__}
        return {
            "current": current_app.main,
            "default": app_or_default().main,
            "tasks": sorted(name for name in current_app.tasks if not name.startswith("celery.")),
            "root": [repr(handler) for handler in logging.root.handlers],
            "level": logging.root.level,
            "raise": logging.raiseExceptions,
            "loggers": sorted(loggers),
            "receivers": receivers,
            "hooks": [repr(sys.excepthook), repr(threading.excepthook), repr(sys.stdout), repr(sys.stderr)],
            "signals": [repr(signal.getsignal(one)) for one in (signal.SIGINT, signal.SIGTERM)],
            "filters": len(warnings.filters),
            "serializer": current_app.conf.task_serializer,
            "queue": current_app.conf.task_default_queue,
        }
"""
_EMBED = """
    from celery import Celery, shared_task

    app = Celery("host", broker="{url}", backend="{url}")
    app.conf.update(task_default_queue="host", task_serializer="pickle", accept_content=["pickle", "json"])

    @app.task(name="host.add")
    def add(first, second):
        return first + second

    @shared_task(name="host.shared")
    def shared():
        return None

    app.finalize()
    before = look()

    from gatepost import Producer

    imported = look()
    with Producer() as producer:
        producer.send_email("guest@example.com").outcome()
        used = look()
    print(json.dumps({{"before": before, "imported": imported, "used": used, "after": look()}}))
"""


def _host_worker(host: Stack) -> Program:
    arguments = ["-A", "host_application", "worker", "-P", "threads", "-c", "2", "-n", "host@test", "-l", "INFO"]
    program = host.start("host", "-m", "celery", *arguments, "--without-gossip", "--without-mingle")
    host.until(lambda: "ready." in program.output(), "the host's worker is ready", program)
    return program


def test_importing_and_using_gatepost_changes_nothing_in_the_host(host: Stack) -> None:
    """Current app, tasks, serialiser, logging, signal handlers and hooks do not change."""
    code = textwrap.dedent(_LOOK) + textwrap.dedent(_EMBED.format(url=host.valkey.url))
    program = host.start("embedding", "-c", code)

    assert program.wait(120) == 0, program.output()
    seen: dict[str, Any] = json.loads(program.output().splitlines()[-1])
    assert seen["before"]["current"] == "host"
    assert seen["before"]["tasks"] == ["host.add", "host.shared"]
    assert seen["imported"] == seen["before"]
    assert seen["used"] == seen["before"]
    assert seen["after"] == seen["before"]


def test_both_apps_run_their_own_tasks(host: Stack) -> None:
    """A task of the host enqueues with Gatepost, its own results come back, and neither worker knows the other's tasks."""
    host.worker()
    worker = _host_worker(host)
    client = host.start(
        "client",
        "-c",
        textwrap.dedent("""
        import json
        from host_application import add, app, current, invite
        registered = app.control.inspect(timeout=5).registered()
        print(json.dumps({
            "sum": add.delay(2, 3).get(30),
            "current": current.delay().get(30),
            "operation": invite.delay("guest@example.com").get(30),
            "registered": registered,
        }))
        """),
    )

    assert client.wait(120) == 0, host.output()
    answer = json.loads(client.output().splitlines()[-1])
    with host.producer() as producer:
        outcome = producer.handle(answer["operation"]).wait(120)
    assert answer["sum"] == 5
    assert answer["current"] == "host"
    assert outcome.state is State.ACCEPTED
    assert host.simulator.control.count("guest@example.com") == 1
    tasks = {name: set(found) for name, found in answer["registered"].items()}
    own = {"host_application.add", "host_application.current", "host_application.invite"}
    assert tasks["host@test"] == own
    assert all(not own & found for name, found in tasks.items() if name != "host@test")
    # The host's own logging, in the host's own form.
    assert f"invited {answer['operation']}" in worker.output()
    assert '{"' not in worker.output()
