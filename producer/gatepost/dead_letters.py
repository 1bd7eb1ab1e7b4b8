"""Messages that no worker could take: kept sealed, with the reason, instead of lost."""

from __future__ import annotations

import json
import time
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from gatepost.ledger import answering
from gatepost.sealing import Purpose

if TYPE_CHECKING:
    from redis import Redis

    from gatepost.sealing import Keyring

KEY: Final = "gatepost:dead_letters"


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One refused message: everything but what it carried."""

    id: str
    reason: str
    queue: str
    at_ms: int
    sealed_message: str


class DeadLetters:
    """The list of refused messages, the newest first."""

    def __init__(self, client: Redis, keyring: Keyring) -> None:
        self._redis = client
        self._keyring = keyring

    def add(self, message: dict[str, Any], *, reason: str, queue: str) -> str:
        """Keep a message, sealed, and return the dead letter's id.

        Raises:
            Unavailable: Redis did not answer.
        """
        letter_id = str(uuid.uuid4())
        sealed = self._keyring.seal(json.dumps(message, default=str).encode(), Purpose("dead_letter", letter_id))
        entry = {"id": letter_id, "reason": reason, "queue": queue, "at_ms": int(time.time() * 1000), "sealed": sealed}
        with answering():
            self._redis.lpush(KEY, json.dumps(entry))
        return letter_id

    def list(self, limit: int = 100) -> list[DeadLetter]:
        """Return the newest dead letters."""
        with answering():
            found = self._redis.lrange(KEY, 0, limit - 1)
        entries = [json.loads(one) for one in found]
        return [DeadLetter(e["id"], e["reason"], e["queue"], e["at_ms"], e["sealed"]) for e in entries]

    def open(self, letter: DeadLetter) -> dict[str, Any]:
        """Return the message of a dead letter, in clear.

        Raises:
            SealError: it was changed or its key is not in the ring.
        """
        opened: dict[str, Any] = json.loads(
            self._keyring.open(letter.sealed_message, Purpose("dead_letter", letter.id))
        )
        return opened

    def __len__(self) -> int:
        with answering():
            return int(self._redis.llen(KEY))
