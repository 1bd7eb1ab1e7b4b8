"""Celery's results while Redis is full: the worker continues, and the ledger has the outcome."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from celery import states
from redis.exceptions import OutOfMemoryError

from gatepost_core.broker.publishing import build_app

if TYPE_CHECKING:
    from collections.abc import Callable

    from celery import Celery

    from gatepost_core.settings import Settings

# Celery's own call.
pytestmark = pytest.mark.filterwarnings("ignore:Call to deprecated setex:DeprecationWarning")


def test_a_result_that_cannot_be_stored_ends_nothing(app: Celery, settings: Settings, fill: Callable[[], None]) -> None:
    """Outside of the task, the error would occupy the message's slot in the worker for ever."""
    fill()
    with build_app(settings) as stock, pytest.raises(OutOfMemoryError):
        stock.backend.store_result("task-1", None, states.SUCCESS)

    backend: Any = app.backend
    assert backend.store_result("task-1", None, states.SUCCESS) is None


def test_a_result_is_stored_as_before(app: Celery) -> None:
    """With memory for it."""
    app.backend.store_result("task-1", {"a": 1}, states.SUCCESS)

    assert app.AsyncResult("task-1").get(timeout=120) == {"a": 1}
