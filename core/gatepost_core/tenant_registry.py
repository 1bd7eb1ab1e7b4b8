"""The Auth0 application of each tenant name, as Redis records it for all workers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatepost_core.redis.errors import translated_errors
from gatepost_core.redis.stored_values import as_text
from gatepost_core.settings.tenants import Application

if TYPE_CHECKING:
    from redis import Redis

    from gatepost_core.redis.keys import RedisKeys


class TenantRegistry:
    """What each tenant name stands for in this Redis. The first worker writes it; from then on only `accept` changes it.

    An application that only enqueues knows a tenant's name and no client id. The registry decides whose its work is, so
    the worker that happens to take it first cannot.

    Every method raises `Unavailable` when Redis does not answer.
    """

    def __init__(self, client: Redis, keys: RedisKeys) -> None:
        self._redis = client
        self._key = keys.tenants

    def all(self) -> dict[str, Application]:
        """Return the registered applications by tenant name."""
        with translated_errors():
            found = self._redis.hgetall(self._key)
        pairs = ((as_text(name), Application.read(as_text(stored))) for name, stored in found.items())
        return {name: application for name, application in pairs if application is not None}

    def register(self, name: str, application: Application) -> Application:
        """Register an application unless the name has one, and return the one that is registered."""
        with translated_errors(), self._redis.pipeline() as pipeline:
            pipeline.hsetnx(self._key, name, application.stored)
            pipeline.hget(self._key, name)
            stored = pipeline.execute()[1]
        return Application.read(as_text(stored)) or application

    def accept(self, name: str, application: Application) -> None:
        """Let a name stand for this application from now on."""
        with translated_errors():
            self._redis.hset(self._key, name, application.stored)
