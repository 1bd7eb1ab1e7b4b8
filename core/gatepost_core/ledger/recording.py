"""New operations as the ledger's script takes them, and its answer about them."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from redis.exceptions import ResponseError

from gatepost_core.errors import GatepostError, IdempotencyConflict, RecordGone
from gatepost_core.redis.errors import translate
from gatepost_core.redis.keys import recipient_entry
from gatepost_core.redis.stored_values import as_text, milliseconds

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gatepost_core.ledger.values import NewOperation
    from gatepost_core.redis.keys import RedisKeys


@dataclass(frozen=True, slots=True)
class Recorded:
    """The result of `Ledger.record_many`.

    Attributes:
        operations: for each operation, its id, the id of the earlier operation that its idempotency key or seal names, or the error.
        unpublished: the error of the queue by the id of the operation, for messages that the script could not push.
    """

    operations: list[str | GatepostError]
    unpublished: dict[str, str] = field(default_factory=dict)


def dump_new(operations: Sequence[NewOperation], keys: RedisKeys) -> str:
    """Return new operations as JSON for the script."""
    return json.dumps(
        [
            {
                "id": new.operation_id,
                "kind": new.kind,
                "tenant": new.tenant,
                "command": new.sealed_command,
                "kid": new.kid,
                "deadline": milliseconds(new.deadline),
                "on_unknown": new.on_unknown,
                "application": new.application,
                "index": new.recipient_fingerprint and keys.recipients(new.recipient_fingerprint),
                "entry": recipient_entry(new.recipient_fingerprint, new.operation_id),
                "key": new.idempotency_fingerprint,
                "fingerprint": new.payload_fingerprint,
                "seal": new.seal_fingerprint,
                "redeem": new.redeem_digest,
                "queue": new.queue,
            }
            for new in operations
        ],
        separators=(",", ":"),
    )


def read_recorded(operations: Sequence[NewOperation], reply: Sequence[Any]) -> Recorded:
    """Read the script's answer about new operations."""
    exceptions, refused = reply
    found: list[str | GatepostError] = [new.operation_id for new in operations]
    for number, *answer in exceptions:
        found[int(number) - 1] = _answer([as_text(part) for part in answer])
    unpublished = {as_text(one): as_text(error) for error, *ids in refused for one in ids}
    return Recorded(found, unpublished)


def _answer(answer: Sequence[str]) -> str | GatepostError:
    match answer:
        case ["conflict", _]:
            return IdempotencyConflict()
        case ["gone", _]:
            return RecordGone()
        case ["error", text]:
            # As Redis ends the text of an error in a script.
            return translate(ResponseError(f"{text} script: recording.lua, on @user_script."))
        case [_, operation_id]:
            return operation_id
        case _:
            raise ValueError
