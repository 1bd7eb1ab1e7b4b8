"""The parts that the endpoints share: the producer, the campaigns, the keys and their limits."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from fastapi import Request  # noqa: TC002 - FastAPI reads the annotation

from gatepost.producer import Producer
from gatepost_core.audit_log import AuditLog
from gatepost_core.redis.connections import connect
from gatepost_core.redis.keys import RedisKeys
from gatepost_operations.maintenance.api_keys import ApiKeys
from gatepost_operations.maintenance.dead_letters import DeadLetterControl
from gatepost_operations.web.api.usage import Usage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from redis import Redis

    from gatepost.campaigns.control import Campaigns
    from gatepost_core.commands import Command
    from gatepost_core.enqueue import Enqueued
    from gatepost_core.sealing.fingerprints import Origin
    from gatepost_core.settings import Settings


class ServiceProducer(Producer):
    """A producer that enqueues on behalf of API keys."""

    def enqueue_for(self, owner: str, items: Sequence[tuple[Command, str | None]], origin: Origin) -> list[Enqueued]:
        """Enqueue commands, each with its idempotency key, and return a result for each. Errors are those of `send_many`.

        Args:
            owner: the id of the API key, which alone can read the operations.
            items: each command with its idempotency key, if it has one.
            origin: the origin of the commands.
        """
        self._keys.require_once()
        return self._recorder.enqueue_many(items, origin=origin, owner=owner)

    def idempotency_name(self, origin: Origin, key: str) -> str:
        """Return the name of an idempotency key in Redis."""
        fingerprint = self._recorder.idempotency_name(origin, key)
        return RedisKeys(self.settings.namespace).idempotency(fingerprint)


@dataclass(frozen=True)
class Services:
    """Everything behind the endpoints. Thread-safe.

    Attributes:
        settings: the configuration.
        producer: enqueues.
        redis: a client with a separate pool.
        api_keys: the keys.
        usage: what they have used.
        audit: the audit log.
    """

    settings: Settings
    producer: ServiceProducer
    redis: Redis
    api_keys: ApiKeys
    usage: Usage
    audit: AuditLog

    @cached_property
    def campaigns(self) -> Campaigns:
        """The campaigns, with the names that several share."""
        return self.producer.campaigns

    @cached_property
    def dead_letters(self) -> DeadLetterControl:
        """The dead letters."""
        return DeadLetterControl(self.settings)

    def close(self) -> None:
        """Close the connections."""
        if "dead_letters" in vars(self):
            self.dead_letters.close()
        self.producer.close()
        self.redis.close()


def open_services(settings: Settings) -> Services:
    """Return the services of a configuration.

    Raises:
        ConfigurationError: no sealing key, fingerprint key or tenant is configured.
    """
    producer = ServiceProducer(settings)
    client = connect(settings)
    keys, fingerprints = RedisKeys(settings.namespace), settings.fingerprints()
    audit = AuditLog(client, keys, fingerprints, who=settings.operator)
    usage = Usage(client, keys, fingerprints)
    return Services(settings, producer, client, ApiKeys(client, keys, fingerprints, audit), usage, audit)


def services_of(request: Request) -> Services:
    """Return the services of the app that got a request."""
    found: Any = request.app.state.services
    return found  # type: ignore[no-any-return] # `create_app` puts it there
