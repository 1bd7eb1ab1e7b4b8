"""Records a validated command in the ledger, then publishes it. Producers and submissions both use it."""

from __future__ import annotations

import uuid
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from gatepost_core.broker.messages import log_postponed
from gatepost_core.commands import (
    LoginCommand,
    OnUnknown,
    SendCommand,
    dump_without_deadline,
    recipient_of,
    with_members,
)
from gatepost_core.errors import GatepostError, Unavailable
from gatepost_core.ledger.values import NewOperation, Recorded
from gatepost_core.points_in_time import is_past
from gatepost_core.redeem_tokens import derived_redeem_token, new_redeem_token, reference_of
from gatepost_core.sealing import Purpose
from gatepost_core.sealing.fingerprints import Origin

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gatepost_core.broker.operation_messages import OperationMessages
    from gatepost_core.commands import Command
    from gatepost_core.ledger import Ledger
    from gatepost_core.redeem_tokens import RedeemToken
    from gatepost_core.sealing import Keyring
    from gatepost_core.settings import Settings


_NAME_BYTES: Final = 16
_QUEUED: Final = frozenset({Origin.SEALED, Origin.PLAIN})


@dataclass(frozen=True, slots=True)
class Enqueued:
    """What became of one command of many.

    Attributes:
        operation_id: the operation's id. With an `Unavailable` error, the operation may have been recorded under it: its outcome says so,
            and `OperationNotFound` says that it was not. None if nothing was recorded.
        existed: whether the idempotency key named an earlier operation.
        error: why the command was not enqueued; None if it was.
        redeem_token: the secret of a login; None for a send.
    """

    operation_id: str | None = None
    existed: bool = False
    error: GatepostError | None = None
    redeem_token: RedeemToken | None = field(default=None, repr=False)

    @property
    def reference(self) -> str | None:
        """The operation's id, with the redeem token of a login, for `Producer.handle`. Treat it as a password. None without an id."""
        return self.operation_id and reference_of(self.operation_id, self.redeem_token)


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
    ) -> Enqueued:
        """Record and publish a command, and return its operation. A known idempotency key returns the earlier operation.

        Args:
            command: the command.
            idempotency_key: identifies the operation among those of the same origin.
            origin: the origin of the command.
            seal: the sealed text of the command. The same text again returns the same operation, under any idempotency key.

        Raises:
            ConfigurationError: the command names a tenant that is not configured.
            InvalidCommand: the deadline has passed, by the clocks of this machine and of Redis. A submission is recorded, and expires.
            IdempotencyConflict: the key was used with another command.
            RecordGone: the key is known, but its operation's record was lost. Nothing is sent.
            Unavailable: Redis did not answer. The command may have been recorded, and is then sent later.
        """
        new, token = self._new(command, idempotency_key, origin, seal)
        recorded = self._ledger.record_many([new])
        (found,) = recorded.operations
        if isinstance(found, GatepostError):
            raise found
        if found == new.operation_id:
            self._publish([new], recorded)
        return Enqueued(found, existed=found != new.operation_id, redeem_token=token)

    def enqueue_many(
        self, items: Sequence[tuple[Command, str | None]], *, origin: Origin = Origin.PRODUCER, owner: str = ""
    ) -> list[Enqueued]:
        """Record and publish commands in one or two round trips, and return a result for each, in their order.

        Args:
            items: each command with its idempotency key, if it has one.
            origin: the origin of the commands.
            owner: the id of the API key that asked.
        """
        results: dict[int, Enqueued] = {}
        prepared: dict[int, NewOperation] = {}
        tokens: dict[int, RedeemToken | None] = {}
        for number, (command, key) in enumerate(items):
            try:
                prepared[number], tokens[number] = self._new(command, key, origin, None, owner)
            except GatepostError as failure:
                results[number] = Enqueued(error=failure)
        recorded = self._record(list(prepared.values()))
        for (number, new), found in zip(prepared.items(), recorded.operations, strict=True):
            if isinstance(found, str):
                results[number] = Enqueued(found, existed=found != new.operation_id, redeem_token=tokens[number])
            else:
                # After a lost answer, the operation may have been recorded under this id.
                known = (new.operation_id, tokens[number]) if isinstance(found, Unavailable) else (None, None)
                results[number] = Enqueued(known[0], error=found, redeem_token=known[1])
        self._publish(
            [new for number, new in prepared.items() if not (results[number].existed or results[number].error)],
            recorded,
        )
        return [results[number] for number in range(len(items))]

    def _record(self, operations: Sequence[NewOperation]) -> Recorded:
        try:
            return self._ledger.record_many(operations) if operations else Recorded([])
        except Unavailable as failure:
            return Recorded([failure] * len(operations))

    def idempotency_name(self, origin: Origin, key: str) -> str:
        """Return the fingerprint of an idempotency key, which names its operation in Redis."""
        return self._name("idempotency", origin, key)

    def _new(
        self, command: Command, idempotency_key: str | None, origin: Origin, seal: str | None, owner: str = ""
    ) -> tuple[NewOperation, RedeemToken | None]:
        tenant = self._settings.tenant_name(command.tenant) if command.tenant else self._default_tenant
        application = self._applications.get(tenant)
        deadline, dumped = command.ends_at(), dump_without_deadline(command)
        token = self._redeem_token(command, dumped, idempotency_key, origin)
        members = {"deadline": deadline.isoformat()}
        if token is not None and token is not getattr(command, "redeem_token", None):
            members["redeem_token"] = token.get_secret_value()
        operation_id = str(uuid.uuid4())
        queue, message = self._messages.for_script(command.kind, operation_id)
        new = NewOperation(
            operation_id=operation_id,
            kind=command.kind,
            tenant=tenant,
            sealed_command=self._keyring.seal(with_members(dumped, **members), Purpose.command(operation_id)),
            kid=self._keyring.kids[0],
            deadline=deadline,
            application=application.stored if application else "",
            on_unknown=command.on_unknown if isinstance(command, SendCommand) else OnUnknown.HOLD,
            recipient_fingerprint=self._fingerprints.operation(recipient_of(command), origin),
            seal_fingerprint=self._name("seal", seal) if seal else "",
            redeem_digest="" if token is None else token.digest,
            queue=queue,
            message=message,
            owner=owner,
            refused_late=self._is_late(command, origin),
            **self._idempotency(dumped, idempotency_key, origin),
        )
        return new, token

    def _is_late(self, command: Command, origin: Origin) -> bool:
        """Return whether the caller gave a deadline in the past, by this machine's clock. A submission may have waited on the queue."""
        if command.deadline is None or origin in _QUEUED:
            return False
        return is_past(command.deadline, datetime.now(UTC))

    def _redeem_token(
        self, command: Command, dumped: bytes, idempotency_key: str | None, origin: Origin
    ) -> RedeemToken | None:
        if not isinstance(command, LoginCommand):
            return None
        if command.redeem_token is not None:
            return command.redeem_token
        if idempotency_key:
            return derived_redeem_token(self._fingerprints, origin, idempotency_key, dumped.decode())
        return new_redeem_token()

    def _idempotency(self, dumped: bytes, key: str | None, origin: Origin) -> dict[str, str]:
        if not key:
            return {}
        return {
            "idempotency_fingerprint": self.idempotency_name(origin, key),
            # Without the deadline: a repeated call computes a later one. With the key, so that fingerprints of the same command under two
            # keys differ.
            "payload_fingerprint": self._name("payload", origin, key, dumped.decode()),
        }

    def _name(self, *parts: str) -> str:
        # 128 bits: two of 10^12 keys are equal with a probability of 10^-15.
        return self._fingerprints.digest(*parts)[:_NAME_BYTES].hex()

    def _publish(self, operations: Sequence[NewOperation], recorded: Recorded) -> None:
        postponed = self._messages.publish([(new.kind, new.operation_id) for new in operations])
        for operation_id, error in recorded.unpublished.items():
            log_postponed(error=error, correlation_id=operation_id)
            postponed.append(operation_id)
        # Without this note, the sweep first waits for messages that were published later.
        with suppress(Unavailable):
            for operation_id in postponed:
                self._ledger.unpublished(operation_id)
