"""The parts that pages share: Redis, the live campaigns and the API."""

from functools import partial
from typing import Annotated, Final, Self

import httpx
from fastapi import Depends, Request
from redis import Redis

from gatepost_core.redis.keys import RedisKeys
from gatepost_core.settings import Settings
from gatepost_operations.planning.workers import bulk_workers
from gatepost_operations.web.console.api import Api
from gatepost_operations.web.console.campaign_reader import CampaignReader
from gatepost_operations.web.console.live import LiveCampaigns
from gatepost_operations.web.console.quotas import Quotas
from gatepost_operations.web.console.recipient_reader import RecipientReader
from gatepost_operations.web.console.security.operators import operator_of

# A busy worker answers late, and must not count as gone.
_WORKERS_ANSWER_WITHIN_S: Final = 2.0


class Console:
    """The parts that pages share. Thread-safe. Use it as a context manager, or close it.

    Args:
        settings: the configuration, without keys.
        client: an open client of Redis. It is closed with the console.
        api: an HTTP client of the API, with the console's key.
    """

    def __init__(self, settings: Settings, client: Redis, api: httpx.AsyncClient) -> None:
        self.settings = settings
        self.redis = client
        self.keys = RedisKeys(settings.namespace)
        self.campaigns = CampaignReader(settings, client, self.keys)
        self.recipients = RecipientReader(client, self.keys)
        self.quotas = Quotas(settings, client, self.keys)
        workers = partial(bulk_workers, settings, answer_within_s=_WORKERS_ANSWER_WITHIN_S)
        self.live = LiveCampaigns(self.campaigns, quota=self.quotas.read, workers=workers)
        self._api = api

    def api_of(self, request: Request) -> Api:
        """Return the API in the name of the operator who sent a request."""
        return self.api_as(operator_of(request).name)

    def api_as(self, name: str) -> Api:
        """Return the API in the name of an operator."""
        return Api(self._api, name)

    def __enter__(self) -> Self:
        self.live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.live.stop()
        self.redis.close()


def _console_of(request: Request) -> Console:
    console: Console = request.app.state.console
    return console


def _answering(request: Request) -> Console:
    console = _console_of(request)
    if console.live.waits_for_redis:
        # Otherwise each request would wait for Redis in a thread.
        raise console.live.failure
    return console


ConsoleOf = Annotated[Console, Depends(_answering)]
"""The console, as a parameter of a handler. While Redis does not answer, the handler is not called."""
LiveConsole = Annotated[Console, Depends(_console_of)]
"""The console, for handlers that also work while Redis does not answer."""
