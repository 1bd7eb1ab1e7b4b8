"""The class of Gatepost's Celery apps. Only Gatepost's settings configure them, and their descriptions show no secret.

Celery prefers `CELERY_…` variables for its broker, result backend and configuration. In an application that embeds a producer, those
variables belong to the application's own Celery.
"""

from __future__ import annotations

import os
from functools import cache
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakSet

from celery import Celery
from celery.app.amqp import AMQP
from celery.loaders.app import AppLoader
from kombu.connection import Connection, ConnectionPool, PooledConnection
from kombu.pools import ProducerPool

if TYPE_CHECKING:
    from collections.abc import Callable

    from kombu.transport.base import Transport

ANSWER_TIMEOUT: Final = "answer_timeout"
"""The transport option with the limit, in seconds."""
_LOADER: Final = "gatepost_core.broker.app:OwnLoader"
# Without certificate paths and URLs. Celery removes the password.
_SHOWN: Final = (
    "hostname", "port", "virtual_host", "userid", "password", "transport", "connect_timeout", "heartbeat",
    "login_method",
)  # fmt: skip


class OwnLoader(AppLoader):
    """Reads no configuration module."""

    def read_configuration(self, env: str = "CELERY_CONFIG_MODULE") -> dict[str, Any]:  # noqa: ARG002 - Celery's signature
        """Return nothing: `CELERY_CONFIG_MODULE` belongs to the host application."""
        return {}


class _BoundedConnection(Connection):
    """A connection with time limits over AMQP, even after kombu switches to a broker with another transport."""

    def get_transport_cls(self) -> type[Transport]:
        if self.transport_cls not in {"amqp", "amqps", "pyamqp", "librabbitmq"}:
            found: type[Transport] = super().get_transport_cls()
            return found
        # Imported here, because only AMQP needs it.
        from gatepost_core.broker.amqp_timeouts import AmqpsTransport, AmqpTransport  # noqa: PLC0415

        return AmqpsTransport if self.transport_cls == "amqps" else AmqpTransport


class _PooledConnection(_BoundedConnection, PooledConnection):
    def __init__(self, pool: ConnectionPool, **options: Any) -> None:
        PooledConnection.__init__(self, pool, **options)


class _Pool(ConnectionPool):
    def new(self) -> _PooledConnection:
        return _PooledConnection(self, **dict(self.connection._info(resolve=False)))  # noqa: SLF001 - as kombu's own method


class DescribedConnection(_BoundedConnection):
    """A connection whose description names the kind of broker, even if its transport is one of Gatepost's classes.

    `celery inspect stats` sends the description as JSON, without the field `password`.
    """

    def info(self) -> dict[str, Any]:
        """Return the description: the fields that may be shown, and the password, which Celery removes."""
        found = super().info()
        found["transport"] = getattr(found["transport"], "shown_as", found["transport"])
        return {name: found[name] for name in _SHOWN}

    def Pool(self, limit: int | None = None, **options: Any) -> _Pool:  # noqa: N802 - kombu's name
        """Return a pool of connections with time limits."""
        return _Pool(self, limit, **options)


class DescribedAMQP(AMQP):
    """Makes `DescribedConnection`s."""

    Connection = DescribedConnection
    _producer_pool: ProducerPool | None

    @property
    def producer_pool(self) -> ProducerPool:
        """The pool of publishers over the app's connections."""
        if self._producer_pool is None:
            connections: Any = self.app.pool
            self._producer_pool = ProducerPool(connections, limit=connections.limit)
        return self._producer_pool


class GatepostCelery(Celery):
    """A Celery app that takes nothing from the environment."""

    amqp_cls = "gatepost_core.broker.app:DescribedAMQP"
    amqp: DescribedAMQP
    _pool: ConnectionPool | None
    _ensure_after_fork: Callable[[], None]

    def __init__(self, name: str) -> None:
        super().__init__(name, loader=_LOADER, set_as_current=False, fixups=[])
        _notice_forks()
        _apps.add(self)

    def connection_for_read(self, url: Any = None, **options: Any) -> Any:
        """Return a connection to Gatepost's broker, for a consumer."""
        return super().connection_for_read(url or self.conf["broker_url"], **options)

    def connection_for_write(self, url: Any = None, **options: Any) -> Any:
        """Return a connection to Gatepost's broker, for a producer."""
        return super().connection_for_write(url or self.conf["broker_url"], **options)

    def connection(self, hostname: Any = None, **options: Any) -> Any:  # type: ignore[override] # the other arguments are options here
        """Return a connection to Gatepost's broker."""
        return self.connection_for_write(hostname, **options)

    @property
    def pool(self) -> ConnectionPool:  # type: ignore[override] # Celery's hint names the pool of publishers
        """The app's connections to the broker. Kombu's own pools belong to the process, and an app cannot close them."""
        if self._pool is None:
            self._ensure_after_fork()
            self._pool = self.connection_for_write().Pool(limit=self.conf.broker_pool_limit)
        return self._pool

    def close(self) -> None:
        """Close the app with its connections."""
        if self._pool is not None:
            self._pool.force_close_all()
        super().close()

    def use_results_of(self, url: str) -> None:
        """Store results at this URL, whatever the value of `CELERY_RESULT_BACKEND`."""
        self.backend_cls = url

    def drop_connections_of_parent(self) -> None:
        """Use new connections in a forked process: two processes must not write to one connection."""
        # Kept alive: py-amqp would shut down the parent's connection when it is collected.
        _of_parents.append((self._pool, self.amqp.__dict__.get("_producer_pool")))
        self._pool = self.amqp._producer_pool = None  # noqa: SLF001 - as Celery does after a fork by multiprocessing


_apps: Final[WeakSet[GatepostCelery]] = WeakSet()
_of_parents: Final[list[Any]] = []


@cache
def _notice_forks() -> None:
    os.register_at_fork(after_in_child=_after_fork)


def _after_fork() -> None:
    for app in _apps:
        app.drop_connections_of_parent()
