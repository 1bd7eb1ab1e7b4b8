"""Records a validated command in the ledger, then publishes it. Producers and submissions both use it."""

from __future__ import annotations

import uuid
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gatepost_core.commands import OnUnknown, SendCommand, dump_command, recipient_of
from gatepost_core.errors import GatepostError, IdempotencyConflict, RecordGone, Unavailable
from gatepost_core.ledger.values import NewOperation
from gatepost_core.sealing import Purpose
from gatepost_core.sealing.fingerprints import Origin

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gatepost_core.broker.operation_messages import OperationMessages
    from gatepost_core.commands import Command
    from gatepost_core.ledger import Ledger
    from gatepost_core.sealing import Keyring
    from gatepost_core.settings import Settings


@dataclass(frozen=True, slots=True)
class Enqueued:
    """What became of one command of many.

    Attributes:
        operation_id: the operation's id. With an `Unavailable` error, the operation may have been recorded under it: its outcome says so,
            and `OperationNotFound` says that it was not. None if nothing was recorded.
        existed: whether the idempotency key named an earlier operation.
        error: why the command was not enqueued; None if it was.
    """

    operation_id: str | None = None
    existed: bool = False
    error: GatepostError | None = None


class Recorder:
    """Records and publishes commands. Thread-safe.

    Raises:
        ConfigurationError: no fingerprint key is configured, or a tenant is incomplete.
    """

    def __init__(self, messages: OperationMessages, ledger: Ledger, settings: Settings, *, keyring: Keyring) -> None:
        self._messages = messages
        self._ledger = ledger
        self._settings = settings
        self._keyring = keyring
        self._fingerprints = settings.fingerprints()
        self._default_tenant = settings.tenant_name(None)
        self._applications = settings.applications()

    def enqueue(
        self,
        command: Command,
        idempotency_key: str | None = None,
        *,
        origin: Origin = Origin.PRODUCER,
        seal: str | None = None,
    ) -> str:
        """Record and publish a command, and return its operation's id. A known idempotency key returns the id of the earlier operation.

        Args:
            command: the command.
            idempotency_key: identifies the operation among those of the same origin.
            origin: the origin of the command.
            seal: the sealed text of the command. The same text again returns the same operation, under any idempotency key.

        Raises:
            ConfigurationError: the command names a tenant that is not configured.
            IdempotencyConflict: the key was used with another command.
            RecordGone: the key is known, but its operation's record no longer exists. Nothing is sent.
            Unavailable: Redis did not answer. The command may have been recorded, and is then sent later.
        """
        new = self._new(command, idempotency_key, origin, seal)
        recorded = self._ledger.record(new)
        if recorded == new.operation_id:
            self._publish([new])
        return recorded

    def enqueue_many(self, items: Sequence[tuple[Command, str | None]]) -> list[Enqueued]:
        """Record and publish commands in two round trips, and return a result for each, in their order.

        Args:
            items: each command with its idempotency key, if it has one.
        """
        results: dict[int, Enqueued] = {}
        prepared: dict[int, NewOperation] = {}
        for number, (command, key) in enumerate(items):
            try:
                prepared[number] = self._new(command, key, Origin.PRODUCER, None)
            except GatepostError as failure:
                results[number] = Enqueued(error=failure)
        for (number, new), recorded in zip(prepared.items(), self._record(list(prepared.values())), strict=True):
            if isinstance(recorded, str):
                results[number] = Enqueued(recorded, existed=recorded != new.operation_id)
            else:
                # After a lost answer, the operation may have been recorded under this id.
                sure = isinstance(recorded, IdempotencyConflict | RecordGone)
                results[number] = Enqueued(None if sure else new.operation_id, error=recorded)
        self._publish([new for number, new in prepared.items() if results[number] == Enqueued(new.operation_id)])
        return [results[number] for number in range(len(items))]

    def _record(self, operations: Sequence[NewOperation]) -> list[str | GatepostError]:
        try:
            return self._ledger.record_many(operations) if operations else []
        except Unavailable as failure:
            return [failure] * len(operations)

    def _new(self, command: Command, idempotency_key: str | None, origin: Origin, seal: str | None) -> NewOperation:
        tenant = self._settings.tenant_name(command.tenant) if command.tenant else self._default_tenant
        application = self._applications.get(tenant)
        timed, deadline = command.timed()
        operation_id = str(uuid.uuid4())
        return NewOperation(
            operation_id=operation_id,
            kind=command.kind,
            tenant=tenant,
            sealed_command=self._keyring.seal(dump_command(timed), Purpose.command(operation_id)),
            deadline=deadline,
            application=application.stored if application else "",
            on_unknown=command.on_unknown if isinstance(command, SendCommand) else OnUnknown.HOLD,
            recipient_fingerprint=self._fingerprints.operation(recipient_of(command), origin),
            seal_fingerprint=seal and self._fingerprints.digest("seal", seal).hex(),
            **self._idempotency(command, idempotency_key, origin),
        )

    def _idempotency(self, command: Command, key: str | None, origin: Origin) -> dict[str, str]:
        if not key:
            return {}
        # Without the deadline: a repeated call computes a later one.
        payload = dump_command(command.model_copy(update={"deadline": None})).decode()
        return {
            "idempotency_fingerprint": self._fingerprints.digest("idempotency", origin, key).hex(),
            # With the key, so that fingerprints of the same command under two keys differ.
            "payload_fingerprint": self._fingerprints.digest("payload", origin, key, payload).hex(),
        }

    def _publish(self, operations: Sequence[NewOperation]) -> None:
        postponed = self._messages.publish([(new.kind, new.operation_id) for new in operations])
        # Without this note, the sweep first waits for messages that were published later.
        with suppress(Unavailable):
            for operation_id in postponed:
                self._ledger.unpublished(operation_id)
