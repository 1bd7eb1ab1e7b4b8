"""What the tests of webhooks share: a receiver on loopback, and a worker's parts that may deliver to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.webhook_bench import WebhookBench
from support.webhook_receiver import WebhookReceiver

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from gatepost_core.settings import Settings


@pytest.fixture
def receiver() -> Iterator[WebhookReceiver]:
    """A receiver that answers 204."""
    with WebhookReceiver() as running:
        yield running


@pytest.fixture
def bench(make_settings: Callable[..., Settings]) -> Iterator[WebhookBench]:
    """A worker's parts with the setting for development."""
    made = WebhookBench(make_settings(webhook_allow_private=True))
    yield made
    made.close()
