"""The Celery app under the name `worker`: `celery -A worker worker`, with `worker/` on the path. Not in the wheel."""

from gatepost_worker.celery import app

__all__ = ["app"]
