"""A producer for tests: no Redis, no worker and no Auth0. Commands are checked, recorded and ended in memory.

>>> from gatepost.testing import MemoryProducer
>>> producer = MemoryProducer()
>>> handle = producer.send_email("ana@example.com", language="de")
>>> producer.assert_sent(to="ana@example.com", language="de").kind.value
'send_email'
>>> code = producer.code_for("ana@example.com")
>>> producer.login_with_email("ana@example.com", code).redeem().token_type
'Bearer'
"""

from __future__ import annotations

import secrets
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NoReturn, cast

from gatepost.handles import Handle
from gatepost.producer import AsyncProducer, Producer
from gatepost.testing.delivery import ACCEPTED, End, Inbox
from gatepost.testing.ledger import MemoryLease, MemoryLedger
from gatepost_core.commands import LoginCommand, SendCommand, load_command, recipient_of
from gatepost_core.content_key import ContentKey
from gatepost_core.enqueue import Recorder
from gatepost_core.errors import ConfigurationError, InvalidValue, OperationFailed
from gatepost_core.identifiers import normalise_recipient
from gatepost_core.outcomes import dump_redeemable
from gatepost_core.reasons import Reason
from gatepost_core.sealing import Key, Keyring, Purpose
from gatepost_core.settings import Settings, load_settings
from gatepost_core.states import State

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gatepost_core.commands import Command
    from gatepost_core.kinds import Kind

__all__ = ["AsyncMemoryProducer", "Delivered", "MemoryProducer"]


@dataclass(frozen=True, slots=True)
class Delivered:
    """A command that a `MemoryProducer` carried out.

    Attributes:
        operation_id: its operation.
        kind: its kind.
        recipient: the address or number, normalised.
        command: the command with all its fields.
    """

    operation_id: str
    kind: Kind
    recipient: str
    command: Command = field(repr=False)

    def has(self, **fields: Any) -> bool:
        """Return whether the command has these values."""
        return all(getattr(self.command, name) == value for name, value in fields.items())


class _Always:
    """Replaces the comparison with the workers' keys: there are no workers."""

    def require_once(self) -> None:
        """Nothing to compare."""


class _Deliveries:
    """The queue in memory."""

    def __init__(self, producer: MemoryProducer) -> None:
        self._producer = producer

    def for_script(self, kind: Kind, operation_id: str) -> tuple[str, str]:  # noqa: ARG002 - as `OperationMessages` has it
        """Return that no script pushes the message."""
        return "", ""

    def publish(self, operations: Sequence[tuple[Kind, str]]) -> list[str]:
        """Hand operations to the producer, which carries them out or keeps them."""
        self._producer.take([operation_id for _, operation_id in operations])
        return []

    def close(self) -> None:
        """Nothing to close."""


class MemoryProducer(Producer):
    """A `Producer` that carries out its operations in memory.

    A send is accepted, and a new code arrives for its recipient. A login with that code is accepted and gives a token set; three wrong codes
    void it. Options, validation, idempotency keys, handles and errors are those of `Producer`. There are no campaigns.

    Args:
        settings: the configuration; by default, that of the environment with random keys. Its Redis is not used.
        hold: whether operations stay `queued` until `deliver` or `settle`.
    """

    def __init__(self, settings: Settings | None = None, *, hold: bool = False) -> None:
        # Without the constructor of Producer, which connects to Redis.
        self.settings = settings or load_settings(
            sealing_keys=(Key.new("memory").reveal(),), fingerprint_key=secrets.token_urlsafe(32)
        )
        self.hold = hold
        self._keyring: Keyring = self.settings.keyring()
        self._memory = MemoryLedger()
        # Any: these replace classes that need Redis.
        self.ledger = cast("Any", self._memory)
        self._lease = cast("Any", MemoryLease(self._memory))
        self._messages = cast("Any", _Deliveries(self))
        self._keys = cast("Any", _Always())
        self._recorder = Recorder(self._messages, self.ledger, self.settings, keyring=self._keyring)
        self._campaigns = None
        self._lock = threading.Lock()
        self._inbox = Inbox()
        self._queued: list[str] = []
        self._failures: list[tuple[Reason, Kind | None]] = []
        self._delivered: list[Delivered] = []

    @property
    def campaigns(self) -> NoReturn:
        """There are none.

        Raises:
            ConfigurationError: always.
        """
        raise ConfigurationError("a MemoryProducer has no campaigns; test them with the fixture gatepost_world")

    @property
    def delivered(self) -> tuple[Delivered, ...]:
        """The commands that were carried out, in their order: accepted, failed and settled ones."""
        return tuple(self._delivered)

    @property
    def queued(self) -> tuple[Handle, ...]:
        """The operations that wait for `deliver` or `settle`."""
        return tuple(self.handle(operation_id) for operation_id in self._open())

    def take(self, operation_ids: list[str]) -> None:
        """Take operations from the queue, and carry them out unless the producer holds them."""
        self._queued.extend(operation_ids)
        if not self.hold:
            self.deliver()

    def deliver(self) -> None:
        """Carry out all queued operations."""
        for operation_id in self._open():
            command = self._command(operation_id)
            self._end(operation_id, command, self._failure_of(command) or self._inbox.deliver(command))

    def settle(self, operation: Handle | str, state: State = State.ACCEPTED, reason: Reason | None = None) -> None:
        """End a queued operation. An accepted login gives a token set.

        Args:
            operation: the operation, or its id.
            state: a final state.
            reason: the reason of that state; for a state with one reason only, it may be left out.

        Raises:
            ValueError: the state is not final, or does not have this reason.
        """
        operation_id = operation.operation_id if isinstance(operation, Handle) else operation
        if operation_id not in self._open():
            raise InvalidValue("this operation has ended, or is not of this producer; make the producer with hold=True")
        command = self._command(operation_id)
        if state is State.ACCEPTED and reason is None:
            accepted = self._inbox.accept(command) if isinstance(command, LoginCommand) else ACCEPTED
            self._end(operation_id, command, accepted)
        else:
            self._end(operation_id, command, End(state, _reason_of(state, reason)))

    def fail_next(self, failure: type[OperationFailed] | Reason, *, kind: Kind | None = None) -> None:
        """Let the next operation fail. Several calls make the next ones fail, in their order.

        Args:
            failure: the error that its handle raises, such as `gatepost.errors.CodeExpired`, or the reason.
            kind: only an operation of this kind.

        Raises:
            ValueError: no reason has this error.
        """
        if isinstance(failure, Reason):
            self._failures.append((failure, kind))
            return
        found = [reason for reason in Reason if reason.error == failure.__name__]
        if not found:
            raise InvalidValue(f"no reason of an operation has the error {failure.__name__}")
        self._failures.append((found[0], kind))

    def code_for(self, recipient: str) -> str:
        """Return the newest code that arrived for an address or number, and is not spent.

        Raises:
            AssertionError: there is none.
        """
        code = self._inbox.newest(normalise_recipient(recipient))
        if code is None:
            raise AssertionError(f"no code arrived for {recipient}; {self._summary()}")
        return code

    def assert_sent(self, to: str | None = None, *, count: int | None = None, **fields: Any) -> Delivered:
        """Check that a message was sent, and return the newest one.

        Args:
            to: its recipient; any by default.
            count: how many there must be; at least one by default.
            fields: values of the command, such as `language="de"`.

        Raises:
            AssertionError: there is no such message, or another number of them. The message lists the sent ones.
        """
        found = self._sent(to, fields)
        if not found or (count is not None and len(found) != count):
            wanted = "a message" if count is None else f"{count} messages"
            raise AssertionError(f"expected {wanted}{_described(to, fields)}, found {len(found)}; {self._summary()}")
        return found[-1]

    def refute_sent(self, to: str | None = None, **fields: Any) -> None:
        """Check that no such message was sent. Arguments are those of `assert_sent`.

        Raises:
            AssertionError: there is one.
        """
        found = self._sent(to, fields)
        if found:
            raise AssertionError(f"expected no message{_described(to, fields)}, found {len(found)}; {self._summary()}")

    def close(self) -> None:
        """Close it. Those that wait, and every later call, get `ProducerClosed`."""
        self._lease.close()

    def _sent(self, to: str | None, fields: dict[str, Any]) -> list[Delivered]:
        recipient = None if to is None else normalise_recipient(to)
        return [
            each
            for each in self._delivered
            if isinstance(each.command, SendCommand) and recipient in (None, each.recipient) and each.has(**fields)
        ]

    def _summary(self) -> str:
        lines = [f"{each.kind} to {each.recipient}" for each in self._delivered]
        return f"carried out: {', '.join(lines)}" if lines else "nothing was carried out"

    def _open(self) -> list[str]:
        self._queued = [id_ for id_ in self._queued if not self._memory.outcome(id_).state.is_terminal]
        return list(self._queued)

    def _command(self, operation_id: str) -> Command:
        sealed = self._memory.found(operation_id).new.sealed_command
        return load_command(self._keyring.open(sealed, Purpose.command(operation_id)))

    def _failure_of(self, command: Command) -> End | None:
        for number, (reason, kind) in enumerate(self._failures):
            if kind in (None, command.kind):
                del self._failures[number]
                return End(reason.states[0], reason)
        return None

    def _end(self, operation_id: str, command: Command, end: End) -> None:
        result = None
        if end.tokens is not None and isinstance(command, LoginCommand) and command.redeem_token is not None:
            result = ContentKey(command.redeem_token, operation_id).seal(dump_redeemable(end.tokens))
        self._delivered.append(Delivered(operation_id, command.kind, recipient_of(command), command))
        self._memory.settle(operation_id, end.state, end.reason, attempts=1, result=result)


class AsyncMemoryProducer(AsyncProducer):
    """An `AsyncProducer` over a `MemoryProducer`.

    Attributes:
        memory: that producer, for the assertions.
    """

    def __init__(self, settings: Settings | None = None, *, hold: bool = False) -> None:
        self.memory = MemoryProducer(settings, hold=hold)
        self._producer = self.memory


def _reason_of(state: State, reason: Reason | None) -> Reason:
    possible = [each for each in Reason if state in each.states]
    if reason is None and len(possible) == 1:
        return possible[0]
    if reason not in possible:
        names = ", ".join(possible) or "none: choose a final state"
        raise InvalidValue(f"the state {state} needs a reason among: {names}")
    return reason


def _described(to: str | None, fields: dict[str, Any]) -> str:
    options = "".join(f", {name}={value!r}" for name, value in fields.items())
    return (f" to {to}" if to else "") + (f" with{options[1:]}" if options else "")
