"""Read the records of operations."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from gatepost_core.blocks import read_block
from gatepost_core.errors import (
    Absence,
    CorruptRecord,
    NewerForm,
    NotFinished,
    NothingToRedeem,
    OperationNotFound,
    WrongRedeemToken,
)
from gatepost_core.kinds import Kind
from gatepost_core.ledger.values import UNREADABLE
from gatepost_core.outcomes import Outcome
from gatepost_core.reasons import Reason
from gatepost_core.redis.errors import READING
from gatepost_core.redis.keys import as_text, moment
from gatepost_core.states import State

if TYPE_CHECKING:
    from collections.abc import Sequence

OUTCOME_FIELDS: Final = (
    "kind", "state", "reason", "detail", "http_status", "attempts", "created", "updated", "deadline", "blocked",
    "form",
)  # fmt: skip
"""The fields of a record that make an outcome."""
_SUCCESS: Final = "SUCCESS"


def outcome_of(operation_id: str, values: Sequence[Any]) -> Outcome:
    """Read an operation's record.

    Args:
        operation_id: which operation.
        values: its `OUTCOME_FIELDS`, as HMGET gives them.

    Raises:
        OperationNotFound: the record is empty.
        CorruptRecord: it is damaged or of another version.
    """
    try:
        return _outcome_of(operation_id, values)
    except UNREADABLE:
        raise CorruptRecord(f"The operation's record is damaged or of another version. {READING}") from None


def _outcome_of(operation_id: str, values: Sequence[Any]) -> Outcome:
    fields = {name: as_text(value) for name, value in zip(OUTCOME_FIELDS, values, strict=True) if value is not None}
    if "state" not in fields:
        raise OperationNotFound
    if "form" in fields:
        raise NewerForm
    return Outcome(
        operation_id=operation_id,
        kind=Kind(fields["kind"]),
        state=State(fields["state"]),
        reason=Reason(fields["reason"]) if fields.get("reason") else None,
        detail=fields.get("detail") or None,
        http_status=int(fields["http_status"]) if fields.get("http_status") else None,
        attempts=int(fields["attempts"]),
        created_at=moment(fields["created"]),
        updated_at=moment(fields["updated"]),
        deadline=moment(fields["deadline"]),
        blocked=read_block(fields.get("blocked", "")),
    )


def sealed_part(stored: bytes | str) -> str | None:
    """Return the sealed part of an operation's result: a token set, or a message that came with a refusal.

    Raises:
        CorruptRecord: the result is damaged.
    """
    try:
        document = json.loads(stored)
        sealed = document["result"] if document["status"] == _SUCCESS else document.get("sealed")
    except (ValueError, LookupError, TypeError, AttributeError):
        raise CorruptRecord(f"The operation's result is damaged. {READING}") from None
    return sealed if isinstance(sealed, str) else None


def redeemed(reply: Sequence[str]) -> str:
    """Return the sealed result from a redemption's reply. It raises the errors of `Ledger.redeem`."""
    match reply:
        case ["redeemed", sealed]:
            return sealed
        case ["gone"]:
            raise NothingToRedeem(Absence.EXPIRED)
        case ["nothing", why]:
            raise NothingToRedeem(why)
        case ["nothing", why, at]:
            raise NothingToRedeem(why, moment(at))
        case ["wrong"]:
            raise WrongRedeemToken
        case ["open"]:
            raise NotFinished
        case _:
            raise OperationNotFound
