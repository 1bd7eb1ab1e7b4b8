"""Commands from systems in other languages, over Celery's own protocol: validated, recorded, published."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from gatepost.commands import parse_command
from gatepost.errors import InvalidCommand, SealError
from gatepost.recording import Recorder
from gatepost.sealing import Purpose

if TYPE_CHECKING:
    from celery import Celery

    from gatepost_worker.process import Process


class Submissions:
    """Takes a command as a JSON object, as JSON text, or sealed as a JWE."""

    def __init__(self, app: Celery, process: Process) -> None:
        self._app = app
        self._process = process

    def accept(self, command: Any, idempotency_key: str | None) -> str:
        """Record and publish a command, and return its operation's id.

        Args:
            command: a JSON object, its text, or a compact JWE of its text made under a key of the ring with the header
                `"for": "submission:gatepost"`.
            idempotency_key: names the operation.

        Raises:
            InvalidCommand: names every bad field and what is wrong with it, never a value.
            IdempotencyConflict: the key was used with another command.
            Unavailable: Redis did not answer.
        """
        if idempotency_key is not None and not isinstance(idempotency_key, str):
            raise InvalidCommand([("idempotency_key", "must be a text")])
        document = self._opened(command) if isinstance(command, str) else command
        if not isinstance(document, dict):
            raise InvalidCommand([("command", "must be a JSON object, its text, or a JWE of it")])
        recorder = Recorder(self._app, self._process.ledger, self._process.settings, keyring=self._process.keyring)
        return recorder.enqueue(parse_command(document), idempotency_key)

    def _opened(self, text: str) -> Any:
        if not text.lstrip().startswith("{"):
            try:
                text = self._process.keyring.open(text, Purpose.submission()).decode()
            except (SealError, UnicodeDecodeError) as failure:
                raise InvalidCommand([("command", str(failure))]) from None
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            raise InvalidCommand([("command", "is not JSON")]) from None
