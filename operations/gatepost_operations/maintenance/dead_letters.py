"""Inspect, reveal, replay and drop dead letters. The audit log records each of these except inspecting."""

from __future__ import annotations

import base64
import json
import uuid
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Self

from kombu.serialization import loads

from gatepost_core.audit_log import AuditLog
from gatepost_core.broker.message_validation import Malformed, check_message, flaw_of_envelope
from gatepost_core.broker.messages import SUBMIT
from gatepost_core.broker.publishing import build_app
from gatepost_core.broker.submitted_commands import open_arguments, open_command
from gatepost_core.dead_letters import DeadLetterNotFound, DeadLetters, Selection
from gatepost_core.error_boundary import boundary
from gatepost_core.errors import SealError, Unavailable
from gatepost_core.redis.connections import connect
from gatepost_core.redis.keys import RedisKeys
from gatepost_core.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from gatepost_core.dead_letters import DeadLetter
    from gatepost_core.settings import Settings

__all__ = ["DeadLetterControl", "DeadLetterNotFound", "Replayed", "Selection", "Sizes", "envelope_of", "message_of"]

_JSON: Final = "application/json"


@dataclass(slots=True)
class Replayed:
    """The result of a replay or of its rehearsal.

    Attributes:
        replayed: how many letters returned to their queue.
        refused: how many letters workers still cannot accept, by flaw. They stay.
        interrupted: how many letters an interrupted replay may have published already. They stay.
        gone: how many letters were replayed or dropped by another operator in the meantime.
    """

    replayed: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    interrupted: int = 0
    gone: int = 0

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        counts = {"replayed": self.replayed, "refused": sum(self.refused.values()), "interrupted": self.interrupted}
        return {**counts, "gone": self.gone, "flaws": dict(self.refused)}


@dataclass(frozen=True, slots=True)
class Sizes:
    """The sizes of a letter's parts, which show nothing personal.

    Attributes:
        headers: bytes of each of Celery's headers, by name.
        other_headers: the number of other headers. Their names are not shown, because the sender chose them.
        body: bytes of the body.
    """

    headers: dict[str, int]
    other_headers: int
    body: int


@boundary
class DeadLetterControl:
    """The dead letters of one Redis. Use it as a context manager or close it.

    Every method raises `Unavailable` when Redis does not answer.

    Args:
        settings: the configuration [default: read from the environment].

    Raises:
        ConfigurationError: no sealing key or fingerprint key is configured.
    """

    def __init__(self, settings: Settings | None = None) -> None:
        self._settings = settings or load_settings()
        self._redis = connect(self._settings)
        keys = RedisKeys(self._settings.namespace)
        self._app = build_app(self._settings)
        self.audit = AuditLog(self._redis, keys, self._settings.fingerprints(), who=self._settings.operator)
        lifetime_s = self._settings.dead_letter_lifetime
        self.letters = DeadLetters(self._redis, keys, self._settings.keyring(), lifetime_s=lifetime_s)

    def outline(self, letter: DeadLetter) -> Sizes:
        """Return the sizes of a letter's parts. Errors are those of `DeadLetters.open`."""
        message = self.letters.open(letter)
        if "raw" in message:
            return Sizes({}, 0, len(message["raw"]))
        headers = message["headers"] if isinstance(message["headers"], dict) else {}
        sizes = {name: len(json.dumps(value)) for name, value in headers.items() if name in _CELERY_HEADERS}
        return Sizes(sizes, len(headers) - len(sizes), len(message["body"]))

    def reveal(self, letter: DeadLetter) -> dict[str, Any]:
        """Return a letter in clear, and record that in the audit log. Errors are those of `DeadLetters.open`."""
        with self.audit.act("dead_letters.reveal", letter=letter.id):
            return self.letters.open(letter)

    def rehearse(self, selection: Selection) -> Replayed:
        """Return the result that `replay` would have, without replaying."""
        return self.rehearse_all(self.letters.select(selection), again=selection.ids is not None)

    def rehearse_all(self, letters: Iterable[DeadLetter], *, again: bool) -> Replayed:
        """Return the result that `replay_all` would have, without replaying."""
        would = Replayed()
        for letter in letters:
            if self._accepted(letter, would) is not None:
                doubtful = letter.published_perhaps and not again
                would.interrupted += doubtful
                would.replayed += not doubtful
        return would

    def replay(self, selection: Selection) -> Replayed:
        """Return the letters that workers can now accept to their queues, and remove them from the dead letters.

        If the broker is the ledger's Redis, both happen in one step. With another broker, an interrupted replay leaves a mark, and the
        letter is replayed again only when the selection names its id.
        """
        return self.replay_all(list(self.letters.select(selection)), again=selection.ids is not None)

    def replay_all(self, letters: Sequence[DeadLetter], *, again: bool) -> Replayed:
        """Replay these letters.

        Args:
            letters: the letters.
            again: whether to replay those that an interrupted replay may have published already.
        """
        done = Replayed()
        with self.audit.act("dead_letters.replay", letters=len(letters)) as found:
            try:
                for letter in letters:
                    self._replay(letter, done, again=again)
            finally:
                counts = done.as_json()
                del counts["flaws"]
                found.update(counts)
        return done

    def drop(self, selection: Selection) -> int:
        """Delete the letters of a selection, and return how many."""
        return self.drop_all(list(self.letters.select(selection)))

    def drop_all(self, letters: Sequence[DeadLetter]) -> int:
        """Delete these letters, and return how many there still were."""
        with self.audit.act("dead_letters.drop", letters=len(letters)) as found:
            found["dropped"] = 0
            for letter in letters:
                found["dropped"] += self.letters.drop(letter.id)
            return int(found["dropped"])

    def close(self) -> None:
        """Close the connections."""
        self._app.close()
        self._redis.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _replay(self, letter: DeadLetter, done: Replayed, *, again: bool) -> None:
        message = self._accepted(letter, done)
        if message is None:
            return
        if self._settings.broker == self._settings.redis_url.get_secret_value():
            moved = self.letters.move(letter.id, letter.queue, envelope_of(message, letter.queue))
            done.replayed += moved
            done.gone += not moved
            return
        match self.letters.mark(letter.id, again=again):
            case "marked":
                self._publish(message, letter.queue)
                self.letters.drop(letter.id)
                done.replayed += 1
            case "interrupted":
                done.interrupted += 1
            case _:
                done.gone += 1

    def _accepted(self, letter: DeadLetter, result: Replayed) -> dict[str, Any] | None:
        """Return a letter's message, or count the letter and return None if no worker can accept it."""
        try:
            return self._message_of(letter)
        except (Malformed, SealError) as flaw:
            result.refused[str(flaw)] += 1
        except DeadLetterNotFound:
            result.gone += 1
        return None

    def _message_of(self, letter: DeadLetter) -> dict[str, Any]:
        """Return a letter's message, if a worker can accept it."""
        if letter.queue not in self._app.amqp.queues:
            # The queue's name comes from the message. Without this check, a sender could make us write to any key.
            raise Malformed("its queue is not one of Gatepost's")
        message = self.letters.open(letter)
        if "note" in message:
            raise Malformed("its body was not stored, because it cannot be searched for a person")
        if "raw" in message:
            message = message_of(message["raw"])
        arguments, _ = check_message(
            message["headers"],
            lambda: loads(_bytes(message["body"]), message.get("content_type") or _JSON, "utf-8", accept=[_JSON]),
        )
        if message["headers"]["task"] == SUBMIT:
            self._open(message["headers"]["id"], arguments)
        return message

    def _open(self, task_id: str, arguments: dict[str, Any]) -> None:
        """Open a submitted command as a worker does. Raises `SealError` if a worker would set it aside again."""
        keyring = self._settings.keyring()
        if "sealed" in arguments:
            arguments = open_arguments(task_id, arguments["sealed"], keyring)
        open_command(arguments["command"], keyring, self._settings)

    def _publish(self, message: dict[str, Any], queue: str) -> None:
        bound = self._app.amqp.queues[queue]
        kept = {name: message["properties"].get(name) for name in ("correlation_id", "reply_to", "priority")}
        try:
            with self._app.producer_or_acquire() as producer:
                producer.publish(
                    _bytes(message["body"]),
                    exchange=bound.exchange,
                    routing_key=bound.routing_key,
                    declare=[bound],
                    headers=message["headers"],
                    content_type=message.get("content_type") or _JSON,
                    content_encoding=message.get("content_encoding") or "utf-8",
                    retry=False,
                    **{name: value for name, value in kept.items() if value is not None},
                )
        except Exception as failure:  # noqa: BLE001 - py-amqp raises more than its own errors when a connection breaks
            name = type(failure).__name__
        else:
            return
        # Raised outside the handler, because the frames of `failure` hold the message.
        raise Unavailable(
            f"The broker did not confirm the letter ({name}). The letter is kept, and marked as possibly published."
        )


def message_of(raw: str) -> dict[str, Any]:
    """Return the message in an envelope, as kombu writes it on a Redis list.

    Raises:
        Malformed: the envelope is not kombu's.
    """
    try:
        envelope = json.loads(raw)
    except (ValueError, RecursionError):
        raise Malformed("the envelope is not JSON") from None
    if flaw := flaw_of_envelope(envelope):
        raise Malformed(flaw)
    body = envelope["body"]
    if envelope["properties"].get("body_encoding") == "base64":
        body = base64.b64decode(body.encode()).decode("utf-8", "surrogateescape")
    return {
        "headers": envelope.get("headers"),
        "properties": envelope["properties"],
        "body": body,
        "content_type": envelope.get("content-type"),
        "content_encoding": envelope.get("content-encoding"),
    }


def envelope_of(message: dict[str, Any], queue: str) -> str:
    """Return the envelope of a message. `message_of` reads it."""
    properties = {
        **message["properties"],
        "body_encoding": "base64",
        # A worker may still hold the old tag.
        "delivery_tag": str(uuid.uuid4()),
        "delivery_info": {"exchange": queue, "routing_key": queue},
    }
    return json.dumps(
        {
            "body": base64.b64encode(_bytes(message["body"])).decode(),
            "content-encoding": message.get("content_encoding") or "utf-8",
            "content-type": message.get("content_type") or _JSON,
            "headers": message["headers"],
            "properties": properties,
        }
    )


def _bytes(body: str) -> bytes:
    return body.encode("utf-8", "surrogateescape")


# https://docs.celeryq.dev/en/stable/internals/protocol.html#version-2
_CELERY_HEADERS: Final = frozenset(
    {
        "lang", "task", "id", "root_id", "parent_id", "group", "meth", "shadow", "eta", "expires", "retries",
        "timelimit", "argsrepr", "kwargsrepr", "origin", "replaced_task_nesting", "ignore_result",
        "stamped_headers", "stamps", "compression", "group_index", "callbacks", "errbacks", "chain", "chord",
    }
)  # fmt: skip
