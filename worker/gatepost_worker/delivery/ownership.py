"""Whether work is for the Auth0 application that this worker sends for: asked before anything is opened, or a permit is taken."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from gatepost_core.applications import Application, TenantRegistry
from gatepost_core.errors import TenantMissing, WrongApplication

if TYPE_CHECKING:
    from redis import Redis

    from gatepost_core.settings import Settings

_log = structlog.stdlib.get_logger("gatepost.worker")


class Ownership:
    """Compares what work is for with this worker's tenants. Safe to share between threads."""

    def __init__(self, client: Redis, settings: Settings) -> None:
        self._registry = TenantRegistry(client)
        self._own = settings.applications()
        if self._own:
            # What a command that names no tenant is for.
            self._own[""] = next(iter(self._own.values()))

    def register(self) -> None:
        """Register this worker's applications under names that have none yet, and log those that have another.

        Raises:
            Unavailable: Redis did not answer.
        """
        for name, own in self._own.items():
            registered = self._registry.register(name, own)
            if registered != own:
                _log.warning("tenant.registered_otherwise", tenant=name, registered=str(registered), own=str(own))

    def require(self, tenant: str, recorded: str) -> None:
        """Make sure that this worker may work on something.

        Args:
            tenant: the tenant's name.
            recorded: the application that the work names; empty when it names none: then the registry says whose it is.

        Raises:
            TenantMissing: no tenant of that name is configured here.
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
        """Say whether some worker has registered a tenant of that name.

        Raises:
            Unavailable: Redis did not answer.
        """
        return tenant in self._registry.all()
