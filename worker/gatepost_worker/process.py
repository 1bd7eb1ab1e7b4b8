"""The objects that one worker process shares, each created on first use."""

from __future__ import annotations

import json
from functools import cached_property, partial
from importlib import import_module
from typing import TYPE_CHECKING, Final

import structlog

from gatepost_core.dead_letters import DeadLetters
from gatepost_core.errors import Unavailable, Unusable
from gatepost_core.ledger import ledger_at
from gatepost_core.redis.connections import connect
from gatepost_core.redis.key_checks import KeyChecks
from gatepost_core.redis.keys import RedisKeys
from gatepost_core.settings.cleartext import IN_CLEAR, cleartext_servers, cleartext_settings
from gatepost_worker.delivery.attempts import Attempts
from gatepost_worker.delivery.clients import Clients
from gatepost_worker.delivery.ownership import Ownership
from gatepost_worker.delivery.runner import Runner
from gatepost_worker.metrics import names
from gatepost_worker.metrics.counts import Sample, WorkerMetrics
from gatepost_worker.upkeep.health_server import HealthServer, QueueSampler
from gatepost_worker.upkeep.liveness import Liveness
from gatepost_worker.upkeep.secret_watch import SecretWatch
from gatepost_worker.upkeep.start_checks import check_ledger

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from celery import Celery
    from redis import Redis

    from gatepost_core.ledger import Ledger
    from gatepost_core.sealing import Keyring
    from gatepost_core.settings import Settings
    from gatepost_core.settings.read_again import SettingsFiles


_log = structlog.stdlib.get_logger("gatepost.worker")
INSTALL: Final = "install it: pip install 'gatepost[metrics]'"


class Process:
    """One worker process. Connections are made on first use, so importing the app makes none.

    Attributes:
        settings: the configuration.
        keys: the names in Redis and on the broker.
        slots: how many tasks the process runs at once; set at the worker's start, before the clients are created.
        calls: how many calls its batches make at once; set at the worker's start.
        liveness: the record of the process's progress.
        secrets: takes over credentials whose files have changed.
        metrics: the process's counts.
    """

    def __init__(self, settings: Settings, files: SettingsFiles | None = None) -> None:
        """Prepare; nothing is connected yet.

        Args:
            settings: the configuration.
            files: the files that the settings came from, to look at again; None for settings that do not change.
        """
        self.settings = settings
        self.secrets = SecretWatch(files, self._take_over)
        self.keys = RedisKeys(settings.namespace)
        self.slots = settings.concurrency
        self.calls = settings.calls
        self.liveness = Liveness(settings.health_patience)
        self.metrics = WorkerMetrics(settings.applications())
        self.metrics.live.append(self._progress)
        self._health: HealthServer | None = None
        self._stop_metrics: Callable[[], None] = lambda: None
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
        return DeadLetters(
            self.redis,
            self.keys,
            self.keyring,
            lifetime_s=self.settings.dead_letter_lifetime,
            answer_lifetime_s=self.settings.record_lifetime,
        )

    @cached_property
    def clients(self) -> Clients:
        """The Authentication client of each tenant."""
        return Clients(self.settings, connections=self.slots, look_again=partial(self.secrets.look, at_once=True))

    @cached_property
    def ownership(self) -> Ownership:
        """The check that work belongs to this worker's Auth0 application."""
        return Ownership(self.redis, self.settings)

    @cached_property
    def runner(self) -> Runner:
        """The runner of single operations."""
        return Runner(
            settings=self.settings,
            ledger=self.ledger,
            attempts=Attempts(self.redis, self.settings, self.metrics),
            keyring=self.keyring,
            fingerprints=self.settings.fingerprints(),
            clients=self.clients,
            ownership=self.ownership,
            metrics=self.metrics,
        )

    def dead_letter(self, raw: str, *, reason: str, queue: str) -> None:
        """Store an envelope that cannot be read."""
        letter_id = self.dead_letters.add({"raw": raw}, reason=reason, queue=queue)
        self.dead_letters.answer(_task_id_in(raw), reason)
        _log.error("message.malformed", reason=reason, queue=queue, dead_letter=letter_id)

    def prepare(self) -> None:
        """Create every object now, so that a wrong configuration stops the worker at its start.

        Raises:
            ConfigurationError: names the missing or malformed setting, or the sealing key that stored values need.
        """
        _ = self.settings.all_tenants(), self.runner, self.dead_letters
        if in_clear := cleartext_servers(self.settings) + cleartext_settings(self.settings):
            _log.warning("secrets.in_clear", settings=in_clear, why=IN_CLEAR)
        self.check()

    def check(self) -> None:
        """Check Redis and the keys, unless an earlier call has: a worker may start before its Redis. Raises as `prepare` does."""
        if self._checked or not check_ledger(self.redis, self.settings):
            return
        try:
            checks = KeyChecks(self.redis, self.keys, self.keyring, self.settings.fingerprints())
            checks.require_used()
            checks.publish()
            self.ownership.register()
            self._checked = True
        except Unusable:
            raise
        except Unavailable as failure:
            # Celery waits for its broker too. A value that does not open is reported and deferred later, when it is read.
            _log.warning("keys.not_checked", error=str(failure))

    def _take_over(self, settings: Settings) -> None:
        """Use the credentials and the sealing keys of newly read settings. All other settings need a restart."""
        ring = settings.keyring()
        checks = KeyChecks(self.redis, self.keys, ring, self.settings.fingerprints())
        checks.require_used()
        checks.publish()
        kept = self.clients.renew(settings)
        self.keyring.take_over(ring)
        if kept:
            _log.warning("tenants.need_restart", tenants=kept)

    def serve_health(self, app: Celery, queues: Collection[str]) -> None:
        """Sample the queues if reports or metrics are served, and serve reports at the health port, if one is configured.

        Raises:
            ConfigurationError: the port cannot be opened.
        """
        if self.settings.health_port is None and self.settings.metrics_port is None:
            return
        server = HealthServer(
            self.liveness,
            QueueSampler(app, tuple(queues), self.slots),
            host=self.settings.health_host,
            port=self.settings.health_port,
            patience_s=self.settings.health_patience,
        )
        self._health = server.start()

    def serve_metrics(self) -> None:
        """Serve the metrics at their port, if one is configured and the extra is installed.

        Raises:
            ConfigurationError: the port cannot be opened.
        """
        if self.settings.metrics_port is None:
            return
        try:
            # Imported here, because it needs the extra.
            exposition = import_module("gatepost_worker.metrics.exposition")
        except ModuleNotFoundError:
            _log.warning("metrics.not_served", error=f"GATEPOST_METRICS_PORT needs an extra; {INSTALL}")
            return
        self._stop_metrics = exposition.serve(
            exposition.WorkerSource(self.metrics),
            host=self.settings.metrics_host,
            port=self.settings.metrics_port,
            setting="GATEPOST_METRICS_PORT",
        )

    def _progress(self) -> list[Sample]:
        report = self.liveness.report()
        samples = [
            Sample(names.HEALTHY, (), report.healthy),
            Sample(names.CONNECTED, (), report.connected),
            Sample(names.TAKEN, (), report.taken),
            Sample(names.SLOTS_FREE, (), report.slots_free),
        ]
        if report.loop_turned_s_ago is not None:
            samples.append(Sample(names.LOOP_AGE, (), report.loop_turned_s_ago))
        return samples

    def close(self) -> None:
        """Close the open connections and stop the servers."""
        self.secrets.stop()
        self._stop_metrics()
        if self._health is not None:
            self._health.stop()
        if "clients" in self.__dict__:
            self.clients.close()
        if "redis" in self.__dict__:
            self.redis.close()


def _task_id_in(envelope: str) -> object:
    """Return the task's id in an envelope that may be damaged, or None."""
    try:
        return json.loads(envelope)["headers"]["id"]
    except (ValueError, LookupError, TypeError, RecursionError):
        return None
