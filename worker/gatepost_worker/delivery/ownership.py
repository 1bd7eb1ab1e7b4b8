"""Checks that work belongs to this worker's Auth0 application, before it is opened or takes a permit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from gatepost_core.errors import TenantMissing, WrongApplication
from gatepost_core.redis.keys import RedisKeys
from gatepost_core.settings.tenants import Application
from gatepost_core.tenant_registry import TenantRegistry

if TYPE_CHECKING:
    from redis import Redis

    from gatepost_core.settings import Settings

_log = structlog.stdlib.get_logger("gatepost.worker")


class Ownership:
    """Compares an operation's or campaign's application with this worker's tenants. Safe to share between threads."""

    def __init__(self, client: Redis, settings: Settings) -> None:
        self._registry = TenantRegistry(client, RedisKeys(settings.namespace))
        self._own = settings.applications()
        if self._own:
            # Commands that name no tenant belong to the first one.
            self._own[""] = next(iter(self._own.values()))

    def register(self) -> None:
        """Register this worker's applications under unregistered tenant names; log each name registered for another application.

        Raises:
            Unavailable: Redis did not answer.
        """
        for name, own in self._own.items():
            registered = self._registry.register(name, own)
            if registered != own:
                _log.warning("tenant.registered_otherwise", tenant=name, registered=str(registered), own=str(own))

    def require(self, tenant: str, recorded: str) -> None:
        """Raise unless this worker sends for the tenant's application.

        Args:
            tenant: the tenant's name.
            recorded: the application recorded with the work; if empty, the registered one counts.

        Raises:
            TenantMissing: no such tenant is configured here.
            WrongApplication: the work is for another application.
            Unavailable: Redis did not answer.
        """
        own = self._own.get(tenant)
        if own is None:
            raise TenantMissing(f"no tenant named {tenant!r} is configured here", tenant=tenant)
        owner = Application.read(recorded) or self._registry.register(tenant, own)
        if owner != own:
            applications = f"{owner}, and the worker sends for {own}"
            raise WrongApplication(f"the work is for {applications}", applications=applications)

    def is_registered(self, tenant: str) -> bool:
        """Return whether any worker has registered a tenant of this name.

        Raises:
            Unavailable: Redis did not answer.
        """
        return tenant in self._registry.all()
