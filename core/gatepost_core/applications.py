"""The Auth0 application that work is for: a domain and a client id. Work for one application is never sent through another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gatepost_core.redis.errors import answering
from gatepost_core.redis.stored_values import as_text

if TYPE_CHECKING:
    from redis import Redis

    from gatepost_core.redis.keys import RedisKeys


@dataclass(frozen=True, slots=True)
class Application:
    """A tenant's domain, in lower case, and a client id there. Neither is a secret."""

    domain: str
    client_id: str

    def __str__(self) -> str:
        return f"client {self.client_id} at {self.domain}"

    @property
    def stored(self) -> str:
        """The form in which records hold it. A domain has no `@`; a client id may have one."""
        return f"{self.client_id}@{self.domain}"

    @classmethod
    def read(cls, stored: str) -> Application | None:
        """Return what `stored` wrote; None for the empty text of work that names no application."""
        client_id, _, domain = stored.rpartition("@")
        return cls(domain, client_id) if client_id else None

    def as_json(self) -> dict[str, str]:
        """Return it as JSON values."""
        return {"domain": self.domain, "client_id": self.client_id}


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
        with answering():
            found = self._redis.hgetall(self._key)
        pairs = ((as_text(name), Application.read(as_text(stored))) for name, stored in found.items())
        return {name: application for name, application in pairs if application is not None}

    def register(self, name: str, application: Application) -> Application:
        """Register an application unless the name has one, and return the one that is registered."""
        with answering(), self._redis.pipeline() as pipeline:
            pipeline.hsetnx(self._key, name, application.stored)
            pipeline.hget(self._key, name)
            stored = pipeline.execute()[1]
        return Application.read(as_text(stored)) or application

    def accept(self, name: str, application: Application) -> None:
        """Let a name stand for this application from now on."""
        with answering():
            self._redis.hset(self._key, name, application.stored)
