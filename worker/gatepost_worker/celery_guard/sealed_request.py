"""Celery's request, as it is shown by `celery inspect active`, Flower and others: without the arguments.

A plain submission has an address in them.
"""

from __future__ import annotations

from typing import Any

from celery.worker.request import Request

from gatepost_core.broker.messages import SHOWN_ARGUMENTS


class SealedRequest(Request):
    """A request that shows no arguments."""

    def info(self, safe: bool = False) -> Any:  # noqa: ARG002, FBT001, FBT002 - Celery's signature
        """Return what may be shown of the request."""
        return {**super().info(safe=True), "args": SHOWN_ARGUMENTS, "kwargs": SHOWN_ARGUMENTS}
