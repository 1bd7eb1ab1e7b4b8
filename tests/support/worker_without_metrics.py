"""A worker that was installed without the extra `metrics`: `celery -A support.worker_without_metrics worker`."""

from __future__ import annotations

import sys

# As for the import system's own record of a module that must not be imported.
sys.modules["prometheus_client"] = None  # type: ignore[assignment]

from gatepost_worker.celery import app  # noqa: E402 - after the library is hidden

__all__ = ["app"]
