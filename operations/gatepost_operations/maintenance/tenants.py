"""List the Auth0 application of each tenant name, and move open operations to another application."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from gatepost_core.blocks import read_block
from gatepost_core.errors import ConfigurationError, TenantMissing
from gatepost_core.ledger.values import Verdict
from gatepost_core.redis.errors import translated_errors
from gatepost_core.redis.keys import RedisKeys
from gatepost_core.settings.tenants import Application
from gatepost_core.tenant_registry import TenantRegistry

if TYPE_CHECKING:
    from collections.abc import Iterator

    from redis import Redis

    from gatepost_core.audit_log import AuditLog
    from gatepost_core.blocks import Block
    from gatepost_core.ledger import Ledger
    from gatepost_core.settings import Settings

_PAGE: Final = 500


@dataclass(frozen=True, slots=True)
class TenantUse:
    """One tenant name and its applications.

    Attributes:
        name: the tenant's name.
        registered: the application that this Redis has registered for it; None before the first worker has started.
        own: the application in this configuration; None if the configuration has no tenant of this name.
        open: the number of open operations by application. The key None counts operations for the registered application.
    """

    name: str
    registered: Application | None
    own: Application | None
    open: dict[Application | None, int]

    @property
    def differs(self) -> bool:
        """Whether this configuration and the registry name different applications."""
        return self.own is not None and self.registered is not None and self.own != self.registered

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "name": self.name,
            "registered": self.registered and self.registered.as_json(),
            "configured": self.own and self.own.as_json(),
            "open_operations": [
                {"application": application and application.as_json(), "count": count}
                for application, count in self.open.items()
            ],
        }


@dataclass(frozen=True, slots=True)
class Acceptance:
    """The result of `TenantControl.accept`.

    Attributes:
        before: the earlier application; None if none was registered.
        after: the application in this configuration.
        operations: open operations that moved to `after`.
        in_flight: operations that were left, because an attempt is in flight.
    """

    before: Application | None
    after: Application
    operations: int = 0
    in_flight: int = 0


class TenantControl:
    """Lists tenant names and changes their applications. Every method raises `Unavailable` when Redis does not answer."""

    def __init__(self, client: Redis, ledger: Ledger, settings: Settings, audit: AuditLog) -> None:
        self._redis = client
        self._keys = RedisKeys(settings.namespace)
        self._ledger = ledger
        self._own = settings.applications()
        self._audit = audit
        self._registry = TenantRegistry(client, self._keys)

    def look(self) -> list[TenantUse]:
        """Return every tenant name that is registered, in this configuration, or named by an open operation."""
        registered = {name: one for name, one in self._registry.all().items() if name}
        counted: dict[str, Counter[Application | None]] = {}
        for _, tenant, application in self._open():
            counted.setdefault(tenant, Counter())[application] += 1
        return [
            TenantUse(name, registered.get(name), self._own.get(name), dict(counted.get(name, {})))
            for name in sorted(registered.keys() | self._own.keys() | counted.keys())
        ]

    def blocked(self, most: int = _PAGE) -> list[tuple[str, Block]]:
        """Return the blocked operations among the first `most` open ones, each with its block."""
        ids = list(islice(self._ledger.open_ids(), most))
        with translated_errors(), self._redis.pipeline(transaction=False) as pipeline:
            for operation_id in ids:
                pipeline.hget(self._keys.operation(operation_id), "blocked")
            found = pipeline.execute()
        blocks = ((one, read_block((stored or b"").decode())) for one, stored in zip(ids, found, strict=True))
        return [(one, block) for one, block in blocks if block is not None]

    def accept(self, name: str, before: Application | None = None, *, dry_run: bool = False) -> Acceptance:
        """Register this configuration's application under a tenant name, and move the open operations of the earlier application to it.

        Attempts in flight are left. Producers with the earlier client id record more operations for it until they restart, so run this
        again after that. Campaigns move one by one, when an operator resumes them.

        Args:
            name: the tenant's name.
            before: the earlier application [default: the registered one].
            dry_run: only count.

        Raises:
            TenantMissing: this configuration has no tenant of this name.
            ConfigurationError: this configuration's application is registered already, and `before` names no other.
        """
        after = self._own.get(name)
        if after is None:
            raise TenantMissing(f"no tenant named {name!r} is configured here; add it first", tenant=name)
        registered = self._registry.all()
        before = before or registered.get(name)
        if before == after:
            raise ConfigurationError(
                f"{name} is registered for {after} already; name the earlier application with --from"
            )
        if dry_run:
            return self._moved(name, before, after, dry_run=True)
        details = {"tenant": name, "from": before and before.stored, "to": after.stored}
        with self._audit.act("tenants.accept", **details) as found:
            self._registry.accept(name, after)
            if after == next(iter(self._own.values())):
                self._registry.accept("", after)
            done = self._moved(name, before, after, dry_run=False)
            found.update(operations=done.operations, in_flight=done.in_flight)
        return done

    def _moved(self, name: str, before: Application | None, after: Application, *, dry_run: bool) -> Acceptance:
        operations = in_flight = 0
        if before is None:
            return Acceptance(before, after)
        for operation_id, tenant, application in list(self._open()):
            if tenant != name or application != before:
                continue
            verdict = Verdict.ADOPTED if dry_run else self._ledger.adopt(operation_id, before, after).verdict
            operations += verdict is Verdict.ADOPTED
            in_flight += verdict is Verdict.BUSY
        return Acceptance(before, after, operations, in_flight)

    def _open(self) -> Iterator[tuple[str, str, Application | None]]:
        ids = self._ledger.open_ids()
        while page := list(islice(ids, _PAGE)):
            with translated_errors(), self._redis.pipeline(transaction=False) as pipeline:
                for operation_id in page:
                    pipeline.hmget(self._keys.operation(operation_id), "tenant", "application")
                found = pipeline.execute()
            for operation_id, (tenant, application) in zip(page, found, strict=True):
                if tenant is not None:
                    yield operation_id, tenant.decode(), Application.read((application or b"").decode())
