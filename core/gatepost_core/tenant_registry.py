"""The Auth0 application of each tenant name, as Redis records it for all workers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatepost_core.redis.errors import translated_errors
from gatepost_core.redis.keys import as_text
from gatepost_core.settings.tenants import Application

if TYPE_CHECKING:
    from redis import Redis

    from gatepost_core.redis.keys import RedisKeys


class TenantRegistry:
    """The application behind each tenant name in this Redis. The first worker registers it; afterwards only `accept` changes it.

    An application that only enqueues knows a tenant's name but no client id. So the registry decides which Auth0 application its work belongs
    to, not the worker that takes it first.

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
        """Change the application of a name."""
        with translated_errors():
            self._redis.hset(self._key, name, application.stored)
