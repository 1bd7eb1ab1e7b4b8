"""The peers: what each runs, with which settings, and why it loses or doubles messages in a crash."""

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
        after_a_crash: why it loses or doubles messages in a crash; empty without a queue.
    """

    name: str
    label: str
    requirements: str | None
    enqueue: tuple[str, ...]
    workers: tuple[tuple[str, ...], ...]
    calls: tuple[int, int]
    share: tuple[float, float]
    settings: str
    after_a_crash: str


_CELERY: Final = ("{bin}/celery", "-A")
# `task_acks_late` is false, and kombu's `visibility_timeout` for Redis is 3,600 s.
_CELERY_AFTER_A_CRASH: Final = "Celery acknowledges a task before it runs, so it does not repeat interrupted tasks. A process also fetches tasks in advance. The fetched tasks return to the queue only after an hour, so they count as lost"
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
        settings="two processes without a queue. Each process makes one call after the other, with one `requests.Session`",
        after_a_crash="",
    ),
    Peer(
        name="usual",
        label="the usual way (Celery + auth0-python)",
        requirements="usual",
        enqueue=("{python}", "usual.py", "send", "{count}"),
        workers=((*_CELERY, "usual", "worker", "--concurrency", "2"),),
        calls=(1, 1),
        share=(0.08, 0.025),
        settings="Celery with default settings: two prefork processes, and results in Redis. Each task makes a new `auth0-python` client",
        after_a_crash=_CELERY_AFTER_A_CRASH,
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
        settings="two processes with threads and one connection pool each. Celery stores no results, and a process fetches up to 4 tasks per thread in advance",
        after_a_crash=_CELERY_AFTER_A_CRASH,
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
        settings="two processes with one aiohttp session each. Taskiq uses its list broker and stores no results",
        # taskiq_redis.ListQueueBroker removes a task from the list with BRPOP.
        after_a_crash="Taskiq's list broker deletes a task when a process fetches it, so Taskiq does not repeat interrupted tasks",
    ),
    Peer(
        name="dramatiq",
        label="Dramatiq + requests",
        requirements="dramatiq",
        enqueue=("{python}", "dramatiq_peer.py", "{count}"),
        workers=(("{bin}/dramatiq", "dramatiq_peer", "--processes", "2", "--threads", "{calls}"),),
        calls=(8, 100),
        share=(0.2, 0.4),
        settings="two processes with threads and one connection pool each",
        # RedisBroker's `heartbeat_timeout` is a minute; then the next maintenance, at random, requeues the tasks.
        after_a_crash="Dramatiq deletes a task only when the task ends. After at least a minute, it repeats the tasks of a killed process",
    ),
    Peer(
        name="saq",
        label="SAQ + aiohttp",
        requirements="saq",
        enqueue=("{python}", "saq_peer.py", "{count}"),
        workers=(("{bin}/saq", "saq_peer.settings", "--workers", "2", "--quiet"),),
        calls=(100, 600),
        share=(0.2, 0.4),
        settings="two processes with one aiohttp session each",
        # A job's `retries` is 1, and Queue.sweep aborts a job without another attempt.
        after_a_crash="By default, SAQ tries each task only once, and marks interrupted tasks as aborted",
    ),
    Peer(
        name="bullmq",
        label="BullMQ + undici",
        requirements=None,
        enqueue=("{python}", "enqueue.mjs", "{count}"),
        workers=(("{python}", "worker.mjs"),) * PROCESSES,
        calls=(100, 600),
        share=(1.0, 1.0),
        settings="two Node.js processes with one undici pool each. Finished jobs are removed",
        # A worker's `maxStalledCount` is 1.
        after_a_crash="By default, BullMQ runs an interrupted job once more",
    ),
)

GATEPOST: Final = "gatepost"
BEST: Final = "gatepost-best"
LABELS: Final = {
    GATEPOST: "Gatepost",
    BEST: "Gatepost, more calls",
    **{peer.name: peer.label for peer in PEERS},
}
GATEPOST_AFTER_A_CRASH: Final = "Auth0 may already have sent the message of an interrupted call. So Gatepost does not repeat the call, and reports the recipient as [`unknown`](glossary.md#unknown)"
