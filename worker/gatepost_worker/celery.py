"""The composition root: builds the Celery app that `celery -A gatepost_worker worker` runs.

The only module that does something when imported: it reads the settings. Nothing is connected before a worker starts.
"""

from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from celery import signals

from gatepost_core.broker.message_validation import TASKS
from gatepost_core.broker.messages import RECONCILE, Queue
from gatepost_core.broker.publishing import build_app
from gatepost_core.core_dumps import forbid_core_dumps
from gatepost_core.errors import ConfigurationError
from gatepost_core.safe_text import visible
from gatepost_core.settings import load_settings
from gatepost_worker import logs, tasks
from gatepost_worker.celery_guard import compression, remote_control, results, scheduler
from gatepost_worker.celery_guard import transport_guard as envelopes
from gatepost_worker.celery_guard.consumer import consumer_class
from gatepost_worker.celery_guard.options import check_options, was_given
from gatepost_worker.celery_guard.program import GatepostWorker, slots_of
from gatepost_worker.process import Process
from gatepost_worker.upkeep.liveness import step_for
from gatepost_worker.upkeep.start_checks import check_beat, check_broker

if TYPE_CHECKING:
    from collections.abc import Iterator

    from celery import Celery

    from gatepost_core.settings import Settings

_SWEEP_EXPIRES_S: Final = 600.0


def create(settings: Settings) -> Celery:
    """Return the worker's app: tasks, schedule, and one set of parts for the process."""
    compression.refuse()
    app = build_app(settings)
    check_options(app)
    # Where Celery keeps the class that its own property makes.
    vars(app)["Worker"] = app.subclass_with_self(GatepostWorker)
    results.install(app)
    process = Process(settings)
    tasks.register(app, process)
    _drop_other_tasks(app)
    app.conf.worker_consumer = consumer_class(lambda: process.dead_letters, process.liveness)
    app.steps["consumer"].add(step_for(process.liveness))
    envelopes.install(app, lambda raw, *, reason, queue: process.bury(raw, reason=reason, queue=queue))
    app.conf.beat_schedule = {
        "reconcile": {
            "task": RECONCILE,
            "schedule": settings.reconcile_every,
            # A sweep nobody took is worth nothing after the next ones. Not much sooner: by the clock of a worker that is ahead of the
            # scheduler's, all of them would have expired, and nothing would be repaired.
            "options": {"queue": Queue.LOGIN.value, "expires": max(settings.reconcile_every, _SWEEP_EXPIRES_S)},
        }
    }
    app.conf.beat_schedule_filename = ".gatepost-beat"
    _connect_signals(settings, process)
    return app


def _drop_other_tasks(app: Celery) -> None:
    # Celery brings some of its own, such as celery.map, which would run a stranger's choice of ours past the intake's check.
    app.finalize()
    for name in app.tasks.keys() - TASKS.keys():
        app.tasks.unregister(name)


@contextmanager
def _exit_for_configuration() -> Iterator[None]:
    # Celery logs and forgets what a signal's receiver raises, unless it is an exit.
    try:
        yield
    except ConfigurationError as failure:
        raise SystemExit(f"gatepost: {visible(str(failure))}") from None


def _connect_signals(settings: Settings, process: Process) -> None:
    def set_up_logging(loglevel: Any = None, logfile: str | None = None, **_: Any) -> None:
        level = logging.getLevelName(loglevel) if was_given("loglevel") else settings.log_level
        logs.configure(log_format=settings.log_format, level=level, file=logfile)

    def begin(**_: Any) -> None:
        forbid_core_dumps()

    def start(sender: Any, **_: Any) -> None:
        begin()
        remote_control.install()
        process.slots = slots_of(sender)
        with _exit_for_configuration():
            check_broker(sender.app, settings)
            process.prepare()
            process.serve_health(sender.app, sender.app.amqp.queues.consume_from)

    def ready(**_: Any) -> None:
        with _exit_for_configuration():
            process.check()

    def start_beat(sender: Any, **_: Any) -> None:
        begin()
        with _exit_for_configuration():
            check_beat(sender.app, settings)

    def begin_inside(**_: Any) -> None:
        scheduler.end_with_parent()

    def stopping(**_: Any) -> None:
        process.liveness.stopping()

    def stop(**_: Any) -> None:
        process.close()

    # Celery keeps weak references by default; these functions are held by nobody else.
    signals.setup_logging.connect(set_up_logging, weak=False)
    signals.worker_init.connect(start, weak=False)
    signals.worker_ready.connect(ready, weak=False)
    signals.beat_init.connect(start_beat, weak=False)
    signals.beat_embedded_init.connect(begin_inside, weak=False)
    signals.worker_shutting_down.connect(stopping, weak=False)
    signals.worker_shutdown.connect(stop, weak=False)


app = create(load_settings(env_file=".env"))

__all__ = ["app", "create"]
