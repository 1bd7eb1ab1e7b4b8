"""Keyed fingerprints: they identify recipients without naming them.

HMAC-SHA-256 under a separate key, which does not rotate with the sealing keys. Without the key, an attacker cannot find an address by trying a
dictionary, as with a plain hash. Each purpose has a label, so that a person's fingerprints in two places cannot be compared.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pydantic import SecretStr

FINGERPRINT_BYTES: Final = 8
"""Bytes of a recipient's fingerprint, in storage and logs."""
_FILE_BYTES: Final = 16


class Origin(StrEnum):
    """The origin of a command.

    Each origin has separate idempotency keys. An outsider can read the key of a message on the queue, and could otherwise guess the sealed
    command by repeating the key with other commands.
    """

    PRODUCER = "producer"
    SEALED = "sealed"
    """Through `gatepost.submit`, as a JWE."""
    PLAIN = "plain"
    """Through `gatepost.submit`, in clear: anybody with write access to the broker can send it."""
    HTTP = "http"
    """Through the HTTP API."""


def _joined(*parts: str) -> bytes:
    return "".join([f"{len(part)}:{part}" for part in parts]).encode("utf-8", "surrogatepass")


@dataclass(frozen=True, slots=True)
class Fingerprints:
    """Makes fingerprints under one key."""

    key: bytes = field(repr=False)

    @classmethod
    def under(cls, key: SecretStr) -> Self:
        """Return the fingerprints under a configured key of any length."""
        # Derived, so that the key has 32 bytes.
        return cls(hmac.digest(b"gatepost fingerprints", key.get_secret_value().encode(), "sha256"))

    def digest(self, *parts: str) -> bytes:
        """Return 32 bytes for these parts, in this order."""
        return hmac.digest(self.key, _joined(*parts), "sha256")

    def operation(self, recipient: str, origin: Origin = Origin.PRODUCER) -> str:
        """Return a recipient's fingerprint in the index of operations, as hexadecimal digits.

        Plain submissions have a separate label. Otherwise an outsider could see which other operations a person has.
        """
        return self._short("submission" if origin is Origin.PLAIN else "operation", recipient).hex()

    def campaign(self, campaign_id: str, recipient: str) -> bytes:
        """Return a recipient's fingerprint in one campaign: in its index and its guest list."""
        return self._short("campaign", campaign_id, recipient)

    def in_campaign(self, campaign_id: str, recipients: Iterable[str]) -> list[bytes]:
        """Return what `campaign` returns for each of many recipients, in half the time."""
        begun = hmac.new(self.key, _joined("campaign", campaign_id), "sha256")
        marks = []
        for recipient in recipients:
            one = begun.copy()
            one.update(_joined(recipient))
            marks.append(one.digest()[:FINGERPRINT_BYTES])
        return marks

    def suppression(self, recipient: str) -> bytes:
        """Return a recipient's fingerprint in the suppression list."""
        return self._short("suppression", recipient)

    def file(self, digest: str) -> str:
        """Return the fingerprint of a recipient file as 32 hexadecimal digits. Without the key, an attacker cannot test whether a file was sent.

        Args:
            digest: the SHA-256 of the file's bytes, as hexadecimal digits.
        """
        return self.digest("file", digest)[:_FILE_BYTES].hex()

    def log(self, recipient: str) -> str:
        """Return a recipient's fingerprint in logs, as hexadecimal digits."""
        return self._short("log", recipient).hex()

    def mailbox(self, host: str, user: str, folder: str) -> str:
        """Return the fingerprint of a mailbox in the name of its lock, as hexadecimal digits."""
        return self._short("mailbox", host.lower(), user, folder).hex()

    @property
    def check(self) -> str:
        """Sixteen hexadecimal digits to compare the key with that of another process."""
        return self._short("check").hex()

    def _short(self, *parts: str) -> bytes:
        return self.digest(*parts)[:FINGERPRINT_BYTES]
