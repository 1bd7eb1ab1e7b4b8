"""The messages that the tenant sent: exact counts by recipient, and the most recent messages."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(slots=True)
class Message:
    """One email or SMS."""

    sequence: int
    sent_at: float
    connection: str
    channel: str
    recipient: str
    kind: str
    code: str
    link: str | None
    language: str | None
    client_id: str
    request_id: str

    def document(self) -> dict[str, Any]:
        """Return the message for the control API."""
        return asdict(self)


class Outbox:
    """Counts messages by recipient, and keeps the last ones whole.

    Args:
        details: How many messages to keep whole.
    """

    def __init__(self, details: int) -> None:
        self.total = 0
        self.repeated = 0
        self._counts: dict[str, dict[str, int]] = {}
        self._ring: deque[Message] = deque(maxlen=details)

    def next_sequence(self) -> int:
        """Return the number that the next message will bear, from 1."""
        return self.total + 1

    def put(self, message: Message) -> None:
        """Record a message as sent."""
        counts = self._counts.setdefault(message.connection, {})
        count = counts.get(message.recipient, 0) + 1
        counts[message.recipient] = count
        self.total += 1
        if count == 2:  # noqa: PLR2004 - a second message makes the recipient a repeated one
            self.repeated += 1
        self._ring.append(message)

    def count(self, recipient: str, connection: str | None = None) -> int:
        """Return how many messages a recipient got, over one connection or all."""
        if connection is not None:
            return self._counts.get(connection, {}).get(recipient, 0)
        return sum(counts.get(recipient, 0) for counts in self._counts.values())

    def distinct(self) -> int:
        """Return the number of recipients (the same one over two connections counts twice)."""
        return sum(len(counts) for counts in self._counts.values())

    def histogram(self) -> dict[int, int]:
        """Return how many recipients got one message, two, and so on."""
        found: Counter[int] = Counter()
        for counts in self._counts.values():
            found.update(counts.values())
        return dict(sorted(found.items()))

    def counts(self, minimum: int = 1) -> Iterator[tuple[str, str, int]]:
        """Return (connection, recipient, count) for every recipient of at least `minimum` messages."""
        for connection, counts in self._counts.items():
            for recipient, count in counts.items():
                if count >= minimum:
                    yield connection, recipient, count

    def latest(self, recipient: str | None = None, channel: str | None = None) -> Iterator[Message]:
        """Return the kept messages, newest first, of one recipient and channel if named."""
        for message in reversed(self._ring):
            if (recipient is None or message.recipient == recipient) and channel in (None, message.channel):
                yield message

    def search(self, part: str) -> Iterator[Message]:
        """Return the kept messages whose recipient contains `part`, newest first."""
        return (message for message in reversed(self._ring) if part in message.recipient)
