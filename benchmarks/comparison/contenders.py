"""The peers: what each runs, with which settings, and what it loses or doubles when it crashes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

PROCESSES: Final = 2


@dataclass(frozen=True, kw_only=True)
class Peer:
    """One peer of Gatepost. Commands may name `{python}`, `{bin}`, `{count}`, `{half}` and `{calls}`.

    Attributes:
        name: as options and files name it.
        label: as tables name it.
        requirements: the file of its Python environment without its suffix; None for npm.
        enqueue: puts `{count}` recipients into the queue; empty without a queue.
        workers: the commands that work on them, together two processes.
        calls: calls at once in a process, for answers at once and for late ones.
        share: the share of the recipients that it gets with answers at once and late ones, so that slow peers take about as long as
            fast ones; 0 leaves it out.
        settings: how it is set up, in words.
        lost: what a crash of a worker or of Redis loses.
        doubled: what a crash sends twice.
    """

    name: str
    label: str
    requirements: str | None
    enqueue: tuple[str, ...]
    workers: tuple[tuple[str, ...], ...]
    calls: tuple[int, int]
    share: tuple[float, float]
    settings: str
    lost: str
    doubled: str


_CELERY: Final = ("{bin}/celery", "-A")
_QUIET: Final = ("--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel", "WARNING")

PEERS: Final = (
    Peer(
        name="bare",
        label="two bare `requests` loops",
        requirements="tuned",
        enqueue=(),
        workers=(("{python}", "bare_loop.py", "{half}"),) * PROCESSES,
        calls=(1, 1),
        share=(0.2, 0.0),
        settings="no queue: two processes, each a loop around one Session, one call at a time",
        lost="everything that was not sent: there is no queue",
        doubled="everything that was sent, when the loop starts again",
    ),
    Peer(
        name="usual",
        label="the usual way (Celery + auth0-python)",
        requirements="usual",
        enqueue=("{python}", "usual.py", "send", "{count}"),
        workers=((*_CELERY, "usual", "worker", "--concurrency", "2"),),
        calls=(1, 1),
        share=(0.1, 0.04),
        settings="Celery's defaults: prefork with two processes, results in Redis, a new client in each task",
        lost="the tasks that it was running: they are acknowledged before they run. Tasks that it had only fetched return after an hour",
        doubled="none; with `acks_late`, each interrupted task, sent or not",
    ),
    Peer(
        name="tuned",
        label="tuned Celery",
        requirements="tuned",
        enqueue=("{python}", "tuned.py", "{count}"),
        workers=tuple(
            (
                *_CELERY,
                "tuned",
                "worker",
                "--pool",
                "threads",
                "--concurrency",
                "{calls}",
                "-n",
                f"w{number}@bench",
                *_QUIET,
            )
            for number in range(PROCESSES)
        ),
        calls=(4, 100),
        share=(0.2, 0.4),
        settings="two processes of threads, one pool of connections each, no results, prefetch 4",
        lost="the tasks that it was running. Tasks that it had only fetched return after an hour",
        doubled="none; with `acks_late`, each interrupted task, sent or not",
    ),
    Peer(
        name="taskiq",
        label="Taskiq + aiohttp",
        requirements="taskiq",
        enqueue=("{python}", "taskiq_peer.py", "{count}"),
        workers=(
            (
                *("{bin}/taskiq", "worker", "taskiq_peer:broker", "--workers", "2", "--log-level", "WARNING"),
                *("--max-async-tasks", "{calls}"),
            ),
        ),
        calls=(100, 600),
        share=(0.4, 1.0),
        settings="two processes, list broker, one aiohttp session each, no results",
        lost="the tasks that it had fetched: the list broker has no acknowledgement",
        doubled="none; with its stream broker, each interrupted task",
    ),
    Peer(
        name="dramatiq",
        label="Dramatiq + requests",
        requirements="dramatiq",
        enqueue=("{python}", "dramatiq_peer.py", "{count}"),
        workers=(("{bin}/dramatiq", "dramatiq_peer", "--processes", "2", "--threads", "{calls}"),),
        calls=(8, 100),
        share=(0.2, 0.4),
        settings="two processes of threads, one pool of connections each",
        lost="none: tasks are acknowledged when they end, and return after a minute",
        doubled="each interrupted task, sent or not",
    ),
    Peer(
        name="saq",
        label="SAQ + aiohttp",
        requirements="saq",
        enqueue=("{python}", "saq_peer.py", "{count}"),
        workers=(("{bin}/saq", "saq_peer.settings", "--workers", "2", "--quiet"),),
        calls=(100, 600),
        share=(0.2, 0.4),
        settings="two processes, one aiohttp session each",
        lost="the tasks that it was running: the sweep aborts them, unless they have retries left",
        doubled="with retries, each interrupted task, sent or not",
    ),
    Peer(
        name="bullmq",
        label="BullMQ + undici",
        requirements=None,
        enqueue=("{python}", "enqueue.mjs", "{count}"),
        workers=(("{python}", "worker.mjs"),) * PROCESSES,
        calls=(100, 600),
        share=(1.0, 1.0),
        settings="two processes of Node.js, one undici pool each, finished jobs removed",
        lost="none: a job whose lock expires goes back to the queue once, and fails the second time",
        doubled="each interrupted job, sent or not",
    ),
)

GATEPOST_LOST: Final = "none: the ledger is written before the queue, and a reconciler publishes again"
GATEPOST_DOUBLED: Final = "none: an interrupted call that may have been sent ends `unknown`"
