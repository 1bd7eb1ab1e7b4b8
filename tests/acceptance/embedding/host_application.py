"""An application with its own Celery app, on the same Redis; one of its tasks uses Gatepost."""

import logging
import os

from celery import Celery, current_app, shared_task

from gatepost import Producer

app = Celery("host", broker=os.environ["HOST_BROKER_URL"], backend=os.environ["HOST_BROKER_URL"])
app.conf.task_default_queue = "host"
app.conf.broker_connection_retry_on_startup = True
_log = logging.getLogger("host")


@app.task
def add(first: int, second: int) -> int:
    """Do the host's own work."""
    return first + second


@shared_task
def current() -> str:
    """Return which app a shared task of the host belongs to."""
    return str(current_app.main)


@app.task
def invite(email: str) -> str:
    """Enqueue with Gatepost from within a task of the host, and return the operation's id."""
    with Producer() as producer:
        handle = producer.send_email(email)
        _log.warning("invited %s", handle.operation_id)
        return str(handle.operation_id)
