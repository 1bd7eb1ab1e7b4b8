"""What tenant names stand for in this Redis, and how open operations come to another Auth0 application on purpose."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from gatepost_core.applications import Application, TenantRegistry
from gatepost_core.blocks import read_block
from gatepost_core.errors import ConfigurationError, TenantMissing
from gatepost_core.ledger.values import Verdict
from gatepost_core.redis.errors import answering

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
    """One tenant name.

    Attributes:
        name: the tenant's.
        registered: the application that it stands for in this Redis; None before a worker has started.
        own: the application of this configuration; None when it has no tenant of that name.
        open: open operations by the application that they are for; under None those that follow the registry.
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
    """What an acceptance changes.

    Attributes:
        before: the application whose open operations are taken over; None when there is none to take from.
        after: this configuration's.
        operations: open operations that are for `after` from now on.
        in_flight: operations that were left because an attempt is under way.
    """

    before: Application | None
    after: Application
    operations: int = 0
    in_flight: int = 0


class TenantControl:
    """Looks at tenant names, and accepts this configuration's applications. Methods raise `Unavailable` when Redis does not answer."""

    def __init__(self, client: Redis, ledger: Ledger, settings: Settings, audit: AuditLog) -> None:
        self._redis = client
        self._keys = settings.redis_keys
        self._ledger = ledger
        self._own = settings.applications()
        self._audit = audit
        self._registry = TenantRegistry(client, self._keys)

    def look(self) -> list[TenantUse]:
        """Return every tenant name that is registered, configured here, or named by an open operation."""
        registered = {name: one for name, one in self._registry.all().items() if name}
        counted: dict[str, Counter[Application | None]] = {}
        for _, tenant, application in self._open():
            counted.setdefault(tenant, Counter())[application] += 1
        return [
            TenantUse(name, registered.get(name), self._own.get(name), dict(counted.get(name, {})))
            for name in sorted(registered.keys() | self._own.keys() | counted.keys())
        ]

    def blocked(self, most: int = _PAGE) -> list[tuple[str, Block]]:
        """Return open operations that a worker put back, with what was in the way, among the first that are due."""
        ids = list(islice(self._ledger.open_ids(), most))
        with answering(), self._redis.pipeline(transaction=False) as pipeline:
            for operation_id in ids:
                pipeline.hget(self._keys.operation(operation_id), "blocked")
            found = pipeline.execute()
        blocks = ((one, read_block((stored or b"").decode())) for one, stored in zip(ids, found, strict=True))
        return [(one, block) for one, block in blocks if block is not None]

    def accept(self, name: str, before: Application | None = None, *, dry_run: bool = False) -> Acceptance:
        """Let a tenant name stand for this configuration's application, and take over the open operations of the earlier one.

        Attempts under way are left. Producers with the earlier client id record more operations for it until they are restarted, so
        accept again after that. Campaigns are accepted one by one, when they are resumed.

        Args:
            name: the tenant's.
            before: whose operations are taken over; the registered application's when absent.
            dry_run: only count.

        Raises:
            TenantMissing: this configuration has no tenant of that name.
            ConfigurationError: this configuration's application is registered already, and no other is named.
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
            return self._taken_over(name, before, after, dry_run=True)
        told = {"tenant": name, "from": before and before.stored, "to": after.stored}
        with self._audit.act("tenants.accept", **told) as found:
            self._registry.accept(name, after)
            if after == next(iter(self._own.values())):
                self._registry.accept("", after)
            done = self._taken_over(name, before, after, dry_run=False)
            found.update(operations=done.operations, in_flight=done.in_flight)
        return done

    def _taken_over(self, name: str, before: Application | None, after: Application, *, dry_run: bool) -> Acceptance:
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
            with answering(), self._redis.pipeline(transaction=False) as pipeline:
                for operation_id in page:
                    pipeline.hmget(self._keys.operation(operation_id), "tenant", "application")
                found = pipeline.execute()
            for operation_id, (tenant, application) in zip(page, found, strict=True):
                if tenant is not None:
                    yield operation_id, tenant.decode(), Application.read((application or b"").decode())
