"""Commands that other systems submit over Celery's protocol: validated, recorded, published."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import structlog

from gatepost_core.broker.messages import SUBMIT
from gatepost_core.broker.operation_messages import OperationMessages
from gatepost_core.broker.submitted_commands import is_sealed, open_arguments, open_command
from gatepost_core.commands import parse_command, require_redeem_token
from gatepost_core.enqueue import Recorder
from gatepost_core.error_boundary import boundary
from gatepost_core.errors import (
    ConfigurationError,
    GatepostError,
    InvalidCommand,
    SealError,
    TenantMissing,
    Unavailable,
    WrongApplication,
)
from gatepost_core.kinds import Queue
from gatepost_core.sealing import Purpose
from gatepost_core.sealing.fingerprints import Origin

if TYPE_CHECKING:
    from celery import Celery

    from gatepost_core.commands import Command
    from gatepost_worker.process import Process

_log = structlog.stdlib.get_logger("gatepost.worker")


HOP: Final = timedelta(seconds=30)
"""How long a submission for other workers waits on its queue before a worker takes it again."""


class PutBack(GatepostError):
    """The submission is for workers with another configuration; it returns to its queue, and nothing is recorded."""


@boundary
class Submissions:
    """Accepts commands as JSON objects, as JSON text, or sealed as a JWE."""

    def __init__(self, app: Celery, process: Process) -> None:
        self._app = app
        self._process = process

    def seal(self, task_id: str, arguments: dict[str, Any]) -> str:
        """Return a submission's arguments as one sealed text, so that Celery never holds them in clear."""
        return self._process.keyring.seal(json.dumps(arguments).encode(), Purpose.arguments(task_id))

    def is_operation(self, task_id: str) -> bool:
        """Return whether an operation has this id. Raises `Unavailable` when Redis does not answer."""
        return self._process.ledger.has(task_id)

    def accept_sealed(self, task_id: str, sealed: str, *, waited: timedelta = timedelta()) -> str:
        """Accept arguments that `seal` has sealed. Raises as `accept` does."""
        try:
            arguments = open_arguments(task_id, sealed, self._process.keyring)
        except SealError as failure:
            self._keep(task_id, {"sealed": sealed}, str(failure))
            raise InvalidCommand([("command", f"{failure} It is kept as a dead letter.")]) from None
        return self.accept(task_id, arguments["command"], arguments.get("idempotency_key"), waited=waited)

    def accept(
        self, task_id: str, command: Any, idempotency_key: str | None, *, waited: timedelta = timedelta()
    ) -> str:
        """Record and publish a command, and return its operation's id. A message delivered twice names one operation.

        Args:
            task_id: the message's id. It names the operation of a plain command without an idempotency key. A sealed command names its
                operation itself, whatever its id and key.
            command: a JSON object, its text, or a compact JWE of its text, sealed under a key of the ring with the header
                `"for": "submission:gatepost"`. A JWE that does not open is also stored as a dead letter.
            idempotency_key: names the operation; plain and sealed submissions have separate names.
            waited: how long the submission has waited for other workers already.

        Raises:
            InvalidCommand: names every bad field and its problem, never a value.
            PutBack: in this Redis the tenant belongs to another application than this worker's.
            IdempotencyConflict: the key, or the task's id, was used with another command.
            RecordGone: the key, the task's id or the seal is known, and its operation's record was lost; nothing is sent.
            Unavailable: Redis did not answer; the command may be recorded, and a repeated delivery names the same operation.
        """
        if idempotency_key is not None and not isinstance(idempotency_key, str):
            raise InvalidCommand([("idempotency_key", "must be a text")])
        try:
            document = self._document(command)
        except SealError as failure:
            self._keep(task_id, {"command": command, "idempotency_key": idempotency_key}, str(failure))
            raise InvalidCommand([("command", f"{failure} It is kept as a dead letter.")]) from None
        if not isinstance(document, dict):
            raise InvalidCommand([("command", "must be a JSON object, its text, or a JWE of it")])
        parsed = parse_command(document)
        require_redeem_token(parsed)
        self._require_ours(task_id, parsed, waited)
        process = self._process
        # Through kombu, whose channel here also takes messages without free memory.
        messages = OperationMessages(lambda: self._app, process.settings, None)
        recorder = Recorder(messages, process.ledger, process.settings, keyring=process.keyring)
        try:
            if is_sealed(command):
                # A JWE has one valid spelling. The seal names the operation, because anyone who reads the queue could push a copy under
                # another id or key.
                enqueued = recorder.enqueue(parsed, idempotency_key, origin=Origin.SEALED, seal=command)
            else:
                # The queue delivers at least once, and a worker can die between recording and acknowledging.
                key = idempotency_key or f"{SUBMIT}:{_one_spelling(task_id)}"
                enqueued = recorder.enqueue(parsed, key, origin=Origin.PLAIN)
            return str(enqueued.operation_id)
        except Unavailable:
            raise
        except ConfigurationError as failure:
            _log.warning("submission.refused", task_id=task_id, error=str(failure))
            raise InvalidCommand([("tenant", "is not configured here")]) from None

    def _require_ours(self, task_id: str, command: Command, waited: timedelta) -> None:
        # The message names no application: the registry gives that of the tenant, or of the first tenant if none is named.
        ownership = self._process.ownership
        names = [command.tenant] if command.tenant else [self._process.settings.tenant_name(None), ""]
        try:
            for name in names:
                ownership.require(name, "")
        except WrongApplication as failure:
            why = str(failure)
        except TenantMissing as failure:
            if not ownership.is_registered(failure.tenant):
                _log.warning("submission.refused", task_id=task_id, error=str(failure))
                raise InvalidCommand([("tenant", "is not configured here")]) from None
            why = str(failure)
        else:
            return
        _log.warning("submission.blocked", task_id=task_id, error=why)
        passed = command.deadline is not None and command.deadline <= datetime.now(UTC)
        if passed or waited >= command.kind.lifetime:
            raise InvalidCommand([("tenant", "no worker for this tenant took the command before its deadline")])
        raise PutBack

    def _document(self, command: Any) -> Any:
        """Return a command's document from any of its three forms."""
        opened = open_command(command, self._process.keyring, self._process.settings)
        try:
            text = opened.decode() if isinstance(opened, bytes) else opened
        except UnicodeDecodeError:
            raise InvalidCommand([("command", "is no UTF-8")]) from None
        return _parsed(text) if isinstance(text, str) else text

    def _keep(self, task_id: str, arguments: dict[str, Any], reason: str) -> None:
        # Stored as a message, so that it can be replayed once its key is in the ring.
        message = {
            "headers": {"task": SUBMIT, "id": task_id},
            "properties": {"correlation_id": task_id},
            "body": json.dumps([[], arguments, {}]),
            "content_type": "application/json",
            "content_encoding": "utf-8",
        }
        letter_id = self._process.dead_letters.add(message, reason=reason, queue=self._process.keys.queue(Queue.SEND))
        _log.error("submission.not_opened", reason=reason, task_id=task_id, dead_letter=letter_id)


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise InvalidCommand([("command", "is not JSON")]) from None


def _one_spelling(task_id: str) -> str:
    # A UUID is the same in upper and lower case; ids of other forms are not.
    try:
        return str(uuid.UUID(task_id))
    except ValueError:
        return task_id
