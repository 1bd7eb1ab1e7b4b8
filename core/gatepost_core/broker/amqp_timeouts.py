"""AMQP connections with a time limit for every answer.

RabbitMQ stops reading from publishers during a memory or disk alarm, and py-amqp waits for its answers without a limit.
"""

from __future__ import annotations

from typing import Any, Final

from amqp.exceptions import IrrecoverableConnectionError
from kombu.transport import pyamqp

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


class AmqpTransport(pyamqp.Transport):
    """AMQP with time limits."""

    Connection = _Connection


class AmqpsTransport(pyamqp.SSLTransport):
    """AMQP over TLS with time limits."""

    Connection = _Connection
