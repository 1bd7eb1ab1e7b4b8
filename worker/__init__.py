"""So that `celery -A worker worker` works from a checkout; not in the wheel."""

from gatepost_worker.celery import app

__all__ = ["app"]
