"""Records a validated command in the ledger, then publishes it. Producers and submissions both use it."""

from __future__ import annotations

import uuid
from contextlib import suppress
from typing import TYPE_CHECKING

from gatepost_core.broker.publishing import operation_message, publish_recorded
from gatepost_core.commands import OnUnknown, SendCommand, dump_command, recipient_of
from gatepost_core.errors import Unavailable
from gatepost_core.ledger.values import NewOperation
from gatepost_core.sealing import Purpose
from gatepost_core.sealing.fingerprints import Origin

if TYPE_CHECKING:
    from celery import Celery

    from gatepost_core.commands import Command
    from gatepost_core.ledger import Ledger
    from gatepost_core.sealing import Keyring
    from gatepost_core.settings import Settings


class Recorder:
    """Records and publishes commands. Thread-safe.

    Raises:
        ConfigurationError: no fingerprint key is configured, or a tenant is incomplete.
    """

    def __init__(self, app: Celery, ledger: Ledger, settings: Settings, *, keyring: Keyring) -> None:
        self._app = app
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
            self._publish(new)
        return recorded

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

    def _publish(self, new: NewOperation) -> None:
        message = operation_message(new.operation_id)
        if not publish_recorded(
            self._app,
            new.kind.task,
            new.kind.queue,
            new.operation_id,
            message,
            operation_id=new.operation_id,
        ):
            # Without this note, the sweep first waits for messages that were published later.
            with suppress(Unavailable):
                self._ledger.unpublished(new.operation_id)
