"""The suppression list: keyed fingerprints of people to whom no campaign sends."""

from __future__ import annotations

import struct
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from gatepost.campaigns.row_validation import checked_rows
from gatepost.chunks import UntilError, in_chunks
from gatepost_core.campaigns.scripts import part
from gatepost_core.error_boundary import boundary, items_of_caller
from gatepost_core.errors import FieldError, InvalidCommand
from gatepost_core.identifiers import normalise_recipient
from gatepost_core.number_rules import TO_FIND
from gatepost_core.points_in_time import PAST, is_past, require_near
from gatepost_core.redis.errors import translated_errors
from gatepost_core.redis.keys import starting

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from redis import Redis

    from gatepost_core.audit_log import AuditLog
    from gatepost_core.campaigns.row import Row
    from gatepost_core.redis.keys import RedisKeys
    from gatepost_core.sealing.fingerprints import Fingerprints

_ENTRY: Final = struct.Struct("<BII")
_CHUNK: Final = 500


class SuppressionReason(StrEnum):
    """Why a person is on the list."""

    MANUAL = "manual"
    BOUNCED = "bounced"
    COMPLAINED = "complained"
    UNSUBSCRIBED = "unsubscribed"
    ERASED = "erased"


# Stored in the list: a number is never reused for another reason.
_CODES: Final = {
    SuppressionReason.MANUAL: 1,
    SuppressionReason.BOUNCED: 2,
    SuppressionReason.COMPLAINED: 3,
    SuppressionReason.UNSUBSCRIBED: 4,
    SuppressionReason.ERASED: 5,
}
_REASONS: Final = {code: reason for reason, code in _CODES.items()}


@dataclass(frozen=True, slots=True)
class Suppression:
    """One entry. It holds no personal data."""

    reason: SuppressionReason
    created_at: datetime
    expires_at: datetime | None = None


@boundary
class Suppressions:
    """The list for all campaigns and tenants. Workers check it when they take a batch. The audit log records every change."""

    def __init__(self, client: Redis, keys: RedisKeys, fingerprints: Fingerprints, audit: AuditLog) -> None:
        self._redis = client
        self._key = keys.suppression
        self._audit = audit
        self._fingerprints = fingerprints
        self._script = client.register_script(starting(keys.lua + part("index") + part("suppression")))

    def add(
        self,
        recipient: str,
        reason: SuppressionReason = SuppressionReason.MANUAL,
        *,
        expires_at: datetime | None = None,
    ) -> bool:
        """Add a person to the list, or change their entry. Return whether the entry is new.

        Args:
            recipient: an address or number in clear. Only the fingerprint of its normal form is stored.
            reason: the reason.
            expires_at: when the entry expires; None for never.

        Raises:
            ValueError: it is neither an address nor a number.
            InvalidCommand: the expiry is in the past or after 2099.
            Unavailable: Redis did not answer.
        """
        mark, entry = self._of(recipient), _entry(reason, expires_at)
        with self._audit.act("suppression.add", reason=reason.value, expires_at=expires_at and expires_at.isoformat()):
            return bool(self._call("add", mark, entry))

    def remove(self, recipient: str) -> bool:
        """Remove a person from the list. Return whether there was an entry."""
        mark = self._of(recipient)
        with self._audit.act("suppression.remove") as found:
            found["removed"] = int(self._call("remove", mark))
            return bool(found["removed"])

    def find(self, recipient: str) -> Suppression | None:
        """Return a person's entry, unless it has expired."""
        found = self._call("find", self._of(recipient))
        if found is None:
            return None
        code, created, expires = _ENTRY.unpack(found)
        if expires and expires <= time.time():
            return None
        return Suppression(_REASONS[code], _moment(created), _moment(expires) if expires else None)

    def count_among(self, recipients: Iterable[str]) -> int:
        """Return how many of these recipients are on the list. Expired entries do not count.

        Args:
            recipients: normalised addresses and numbers, each once.
        """
        return sum(sum(self.hold(chunk)) for chunk in in_chunks(items_of_caller(recipients), _CHUNK))

    def hold(self, recipients: Sequence[str]) -> list[bool]:
        """Return for each of these recipients whether it is on the list. Expired entries do not count.

        Args:
            recipients: normalised addresses and numbers, at most a thousand.
        """
        marks = b"".join(map(self._fingerprints.suppression, recipients))
        holding: bytes = self._call("probe", marks, int(time.time())) if marks else b""
        return [mark == ord("1") for mark in holding]

    def import_rows(
        self,
        rows: Iterable[Row],
        reason: SuppressionReason = SuppressionReason.MANUAL,
        *,
        expires_at: datetime | None = None,
    ) -> int:
        """Add the recipients of a file to the list, and return how many are new.

        Raises:
            InvalidCommand: a row of the caller's own is invalid, and all rows before it are on the list; or the expiry is before 1970 or after
                2099.
        """
        entry = _entry(reason, expires_at)
        valid = UntilError(checked_rows(rows, TO_FIND))
        known = (self._fingerprints.suppression(row.recipient) for row in valid)
        with self._audit.act("suppression.import", reason=reason.value) as found:
            found.update(rows=0, new=0)
            for chunk in in_chunks(known, _CHUNK):
                found["new"] += self._call("add", b"".join(chunk), entry)
                found["rows"] += len(chunk)
            valid.raise_error(f"the {found['rows']:,} rows before it are on the list, {found['new']:,} of them new")
            return int(found["new"])

    def __len__(self) -> int:
        with translated_errors():
            return int(self._redis.hget(self._key, "index_size") or 0)

    def _of(self, recipient: str) -> bytes:
        return self._fingerprints.suppression(normalise_recipient(recipient))

    def _call(self, call: str, *arguments: Any) -> Any:
        with translated_errors():
            return self._script(keys=[self._key], args=[call, *arguments])


def _entry(reason: SuppressionReason, expires_at: datetime | None) -> bytes:
    try:
        expires_at = expires_at and require_near(expires_at)
    except ValueError as problem:
        raise InvalidCommand([FieldError("expires_at", str(problem))]) from None
    if expires_at and is_past(expires_at, datetime.now(UTC)):
        raise InvalidCommand([FieldError("expires_at", PAST)])
    return _ENTRY.pack(_CODES[reason], int(time.time()), 0 if expires_at is None else int(expires_at.timestamp()))


def _moment(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
