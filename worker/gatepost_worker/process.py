"""The parts that one worker process shares, each made when first used."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import structlog

from gatepost_core.dead_letters import DeadLetters
from gatepost_core.errors import Unavailable, Unusable
from gatepost_core.redis.connections import connect, ledger_at
from gatepost_core.sealing.key_checks import KeyChecks
from gatepost_core.settings.cleartext import IN_CLEAR, cleartext_settings
from gatepost_worker.delivery.clients import Clients
from gatepost_worker.delivery.ownership import Ownership
from gatepost_worker.delivery.runner import Runner
from gatepost_worker.limiter import LimiterSettings, RedisLimiter
from gatepost_worker.upkeep.health_server import HealthServer, QueueSampler
from gatepost_worker.upkeep.liveness import Liveness
from gatepost_worker.upkeep.start_checks import check_ledger

if TYPE_CHECKING:
    from collections.abc import Collection

    from celery import Celery
    from redis import Redis

    from gatepost_core.ledger import Ledger
    from gatepost_core.sealing import Keyring
    from gatepost_core.settings import Settings
    from gatepost_worker.limiter import Limiter


_log = structlog.stdlib.get_logger("gatepost.worker")


class Process:
    """One worker process. Nothing is connected before it is asked for, so importing the app costs nothing.

    Attributes:
        settings: the configuration.
        slots: calls it makes at once; the worker says how many before the parts are made.
        liveness: what it notes of its progress.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.slots = settings.concurrency
        self.liveness = Liveness(settings.health_patience)
        self._limiters: dict[str, Limiter] = {}
        self._health: HealthServer | None = None
        self._checked = False

    @cached_property
    def redis(self) -> Redis:
        """The ledger's Redis."""
        return connect(self.settings)

    @cached_property
    def ledger(self) -> Ledger:
        """The record of all operations."""
        return ledger_at(self.redis, self.settings)

    @cached_property
    def keyring(self) -> Keyring:
        """The sealing keys."""
        return self.settings.keyring()

    @cached_property
    def dead_letters(self) -> DeadLetters:
        """The list of refused messages."""
        return DeadLetters(self.redis, self.keyring, lifetime_s=self.settings.dead_letter_lifetime)

    @cached_property
    def clients(self) -> Clients:
        """An Authentication client a tenant."""
        return Clients(self.settings, connections=self.slots)

    @cached_property
    def ownership(self) -> Ownership:
        """Whose work this worker may carry out."""
        return Ownership(self.redis, self.settings)

    def limiter_of(self, tenant_name: str) -> Limiter:
        """Return the limiter of a tenant's quota, which the whole fleet shares."""
        if tenant_name not in self._limiters:
            pacing = LimiterSettings.of(self.settings, self.settings.tenant_named(tenant_name))
            self._limiters[tenant_name] = RedisLimiter(self.redis, pacing)
        return self._limiters[tenant_name]

    @cached_property
    def runner(self) -> Runner:
        """What carries out single operations."""
        return Runner(
            settings=self.settings,
            ledger=self.ledger,
            limiter_of=self.limiter_of,
            keyring=self.keyring,
            fingerprints=self.settings.fingerprints(),
            clients=self.clients,
            ownership=self.ownership,
        )

    def bury(self, raw: str, *, reason: str, queue: str) -> None:
        """Keep an envelope that could not be read."""
        letter_id = self.dead_letters.add({"raw": raw}, reason=reason, queue=queue)
        _log.error("message.malformed", reason=reason, queue=queue, dead_letter=letter_id)

    def prepare(self) -> None:
        """Make every part now, so that a wrong configuration stops the worker at its start.

        Raises:
            ConfigurationError: says which setting is missing or malformed, or which sealing key stored values need.
        """
        _ = self.settings.all_tenants(), self.runner, self.dead_letters
        if in_clear := cleartext_settings(self.settings):
            _log.warning("secrets.in_clear", settings=in_clear, why=IN_CLEAR)
        self.check()

    def check(self) -> None:
        """Look at Redis and the keys, until Redis has answered once: a worker may start before its Redis. Errors are those of `prepare`."""
        if self._checked or not check_ledger(self.redis, self.settings):
            return
        try:
            checks = KeyChecks(self.redis, self.keyring, self.settings.fingerprints())
            checks.require_used()
            checks.publish()
            self.ownership.register()
            self._checked = True
        except Unusable:
            raise
        except Unavailable as failure:
            # Celery waits for its broker too. What does not open is put off, and said, when it is met.
            _log.warning("keys.not_checked", error=str(failure))

    def serve_health(self, app: Celery, queues: Collection[str]) -> None:
        """Answer at the health port, if one is configured.

        Raises:
            ConfigurationError: the port cannot be had.
        """
        if self.settings.health_port is None:
            return
        server = HealthServer(
            self.liveness,
            QueueSampler(app, tuple(queues), self.slots),
            host=self.settings.health_host,
            port=self.settings.health_port,
            patience_s=self.settings.health_patience,
        )
        self._health = server.start()

    def close(self) -> None:
        """Close the connections that were opened."""
        if self._health is not None:
            self._health.stop()
        if "clients" in self.__dict__:
            self.clients.close()
        if "redis" in self.__dict__:
            self.redis.close()
