"""AMQP connections with a time limit for every answer.

RabbitMQ stops reading from publishers during a memory or disk alarm, and py-amqp waits for its answers without a limit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import kombu
from amqp.exceptions import IrrecoverableConnectionError
from kombu.connection import ConnectionPool, PooledConnection
from kombu.transport import pyamqp

if TYPE_CHECKING:
    from kombu.transport.base import Transport

ANSWER_TIMEOUT: Final = "answer_timeout"
"""The transport option with the limit, in seconds."""
_DEFAULT_S: Final = 10.0


class BrokerSilent(IrrecoverableConnectionError):
    """The broker did not answer in time."""


class BrokerBlocked(IrrecoverableConnectionError):
    """The broker accepts no messages, because of a memory or disk alarm."""


class _Connection(pyamqp.Connection):
    """Closes itself when the broker is silent or blocked: a late confirm would otherwise count for the next message."""

    def __init__(self, *args: Any, answer_timeout: float = _DEFAULT_S, **options: Any) -> None:
        super().__init__(*args, **options)
        self._answer_timeout = answer_timeout

    def connect(self, callback: Any = None) -> Any:
        connected = super().connect(callback)
        # For writes: py-amqp sets no limit over TCP, and the connection timeout over TLS.
        self.transport.sock.settimeout(self._answer_timeout)
        return connected

    def blocking_read(self, timeout: float | None = None) -> Any:
        if timeout is not None:
            return super().blocking_read(timeout)
        try:
            return super().blocking_read(self._answer_timeout)
        except TimeoutError:
            self.collect()
        raise BrokerSilent(f"no answer within {self._answer_timeout:g} s")

    def _on_blocked(self) -> None:
        self.collect()
        raise BrokerBlocked("the broker is in a memory or disk alarm")


class _Transport(pyamqp.Transport):
    Connection = _Connection


class _TlsTransport(pyamqp.SSLTransport):
    Connection = _Connection


class _Bounded(kombu.Connection):
    """A connection with time limits over AMQP, even after kombu switches to a broker with another transport."""

    def get_transport_cls(self) -> type[Transport]:
        match self.transport_cls:
            case "amqp" | "pyamqp" | "librabbitmq":
                return _Transport
            case "amqps":
                return _TlsTransport
            case _:
                found: type[Transport] = super().get_transport_cls()
                return found


class _PooledConnection(_Bounded, PooledConnection):
    def __init__(self, pool: ConnectionPool, **options: Any) -> None:
        PooledConnection.__init__(self, pool, **options)


class _Pool(ConnectionPool):
    def new(self) -> _PooledConnection:
        return _PooledConnection(self, **dict(self.connection._info(resolve=False)))  # noqa: SLF001 - as kombu's own method


class BoundedConnection(_Bounded):
    """A connection to a broker, with time limits over AMQP. For `AMQP.Connection` of a Celery app."""

    def Pool(self, limit: int | None = None, **options: Any) -> _Pool:  # noqa: N802 - kombu's name
        """Return a pool of such connections."""
        return _Pool(self, limit, **options)
