"""The parts that pages share: Redis, the live campaigns and the API."""

from typing import Annotated, Self

import httpx
from fastapi import Depends, Request
from redis import Redis

from gatepost_core.redis.keys import RedisKeys
from gatepost_core.settings import Settings
from gatepost_operations.web.console.api import Api
from gatepost_operations.web.console.campaign_reader import CampaignReader
from gatepost_operations.web.console.security.operators import operator_of


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
        self._api = api

    def api_of(self, request: Request) -> Api:
        """Return the API in the name of the operator who sent a request."""
        return Api(self._api, operator_of(request).name)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.redis.close()


def _console_of(request: Request) -> Console:
    console: Console = request.app.state.console
    return console


ConsoleOf = Annotated[Console, Depends(_console_of)]
"""The console, as a parameter of a handler."""
