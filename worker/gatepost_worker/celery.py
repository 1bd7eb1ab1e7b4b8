"""The composition root: builds the Celery app that `celery -A gatepost_worker worker` runs.

Importing it reads the settings; no other module does anything when imported. Connections are made when a worker starts.
"""

from __future__ import annotations

import gc
import logging
from contextlib import contextmanager
from functools import partial
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final

import structlog
from celery import signals

from gatepost_core import logs
from gatepost_core.broker.message_validation import TASKS
from gatepost_core.broker.messages import RECONCILE
from gatepost_core.broker.publishing import build_app
from gatepost_core.core_dumps import forbid_core_dumps
from gatepost_core.errors import ConfigurationError
from gatepost_core.kinds import Queue
from gatepost_core.safe_text import visible
from gatepost_core.settings import load_settings
from gatepost_core.settings.read_again import SettingsFiles
from gatepost_worker import tasks
from gatepost_worker.celery_guard import printed_text, remote_control, transport_guard
from gatepost_worker.celery_guard.consumer import consumer_class
from gatepost_worker.celery_guard.intake import refuse_compression
from gatepost_worker.celery_guard.options import check_options, slots_of, was_given
from gatepost_worker.celery_guard.process_signals import GatepostWorker, beat_class, end_with_parent, log_shutdown
from gatepost_worker.celery_guard.redis_outages import install_result_backends
from gatepost_worker.process import Process
from gatepost_worker.upkeep.liveness import step_for
from gatepost_worker.upkeep.start_checks import check_beat, check_broker

if TYPE_CHECKING:
    from collections.abc import Iterator

    from celery import Celery

    from gatepost_core.settings import Settings

_log = structlog.stdlib.get_logger("gatepost.worker")
_SWEEP_EXPIRES_S: Final = 600.0


def create(settings: Settings, files: SettingsFiles | None = None) -> Celery:
    """Return the worker's app with its tasks, its schedule and the objects that the process shares.

    Args:
        settings: the configuration.
        files: the files that it came from; see `Process`.
    """
    refuse_compression()
    app = build_app(settings)
    check_options(app)
    # Celery caches the worker class under this name; its property would create another.
    vars(app)["Worker"] = app.subclass_with_self(GatepostWorker)
    install_result_backends(app)
    process = Process(settings, files)
    tasks.register(app, process)
    _drop_other_tasks(app)
    app.conf.worker_consumer = consumer_class(lambda: process.dead_letters, process.liveness)
    app.steps["consumer"].add(step_for(process.liveness))
    transport_guard.install(app, lambda raw, *, reason, queue: process.dead_letter(raw, reason=reason, queue=queue))
    app.conf.beat_schedule = {
        "reconcile": {
            "task": RECONCILE,
            "schedule": settings.reconcile_every,
            # A later sweep makes a waiting one superfluous. A shorter expiry would let a worker whose clock is ahead discard every sweep.
            "options": {
                "queue": process.keys.queue(Queue.LOGIN),
                "expires": max(settings.reconcile_every, _SWEEP_EXPIRES_S),
            },
        }
    }
    app.conf.beat_schedule_filename = ".gatepost-beat"
    _connect_signals(app, settings, process)
    return app


def _drop_other_tasks(app: Celery) -> None:
    # Celery's built-in tasks, such as celery.map, would bypass validation.
    app.finalize()
    for name in app.tasks.keys() - TASKS.keys():
        app.tasks.unregister(name)


@contextmanager
def _exit_for_configuration() -> Iterator[None]:
    # Celery only logs an exception of a signal receiver, unless it is SystemExit.
    try:
        yield
    except ConfigurationError as failure:
        raise SystemExit(f"gatepost: {visible(str(failure))}") from None


def _connect_signals(app: Celery, settings: Settings, process: Process) -> None:
    def set_up_early(**_: Any) -> None:
        # Before Celery's banner, and before its warnings about the start.
        logs.start(settings, "gatepost.worker")
        if settings.log_format == "json":
            printed_text.install()

    def set_up_logging(loglevel: Any = None, logfile: str | None = None, **_: Any) -> None:
        level = logging.getLevelName(loglevel) if was_given("loglevel") else settings.log_level
        logs.configure(log_format=settings.log_format, level=level, file=logfile)

    def start(sender: Any, **_: Any) -> None:
        queues = sender.app.amqp.queues.consume_from
        _log.info("worker.starting", version=version("gatepost"), name=sender.hostname, queues=sorted(queues))
        forbid_core_dumps()
        remote_control.install()
        process.slots = slots_of(sender)
        with _exit_for_configuration():
            check_broker(sender.app, settings)
            process.prepare()
            process.serve_health(sender.app, queues)
            process.serve_metrics()

    def ready(**_: Any) -> None:
        with _exit_for_configuration():
            process.check()
        process.secrets.start()
        _log.info("worker.ready", slots=process.slots, calls=process.calls)
        # What exists now stays until the end, and a full collection would look at all of it again.
        gc.collect()
        gc.freeze()

    def start_beat(sender: Any, **_: Any) -> None:
        forbid_core_dumps()
        with _exit_for_configuration():
            check_beat(sender.app, settings)
        _log.info("beat.started", version=version("gatepost"), every_s=settings.reconcile_every)

    def shut_down(sig: str = "", how: str = "", **_: Any) -> None:
        log_shutdown(sig, how)
        process.liveness.stopping()

    def stopped(**_: Any) -> None:
        process.close()
        _log.info("worker.stopped", finished=True)

    # Celery keeps weak references by default, and nothing else refers to these functions.
    vars(app)["Beat"] = app.subclass_with_self(beat_class(set_up_early))
    signals.celeryd_init.connect(set_up_early, weak=False)
    signals.setup_logging.connect(set_up_logging, weak=False)
    signals.worker_init.connect(start, weak=False)
    signals.worker_ready.connect(ready, weak=False)
    signals.beat_init.connect(start_beat, weak=False)
    signals.beat_embedded_init.connect(lambda **_: end_with_parent(), weak=False)
    signals.worker_shutting_down.connect(shut_down, weak=False)
    signals.worker_shutdown.connect(stopped, weak=False)


_files = SettingsFiles(partial(load_settings, env_file=".env"))
app = create(_files.settings, _files)

__all__ = ["app", "create"]
