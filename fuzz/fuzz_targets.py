"""The fuzz targets. Each takes any bytes, and raises only if a promise is broken. They run without a fuzzer too."""

from __future__ import annotations

import io
import json
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from kombu import Connection
from kombu.utils.json import loads

from gatepost.errors import InvalidCommand
from gatepost_core.broker.message_validation import Malformed, check_message, flaw_of_envelope
from gatepost_core.commands import SendEmail, SendSms, build, dump_command, load_command, parse_command, recipient_of
from gatepost_core.identifiers import REVEAL
from gatepost_core.kinds import Channel, Queue
from gatepost_core.outcomes import MfaChallenge
from gatepost_core.redis.keys import RedisKeys
from gatepost_operations.files.rows import FileError, RowError, read_rows
from gatepost_operations.maintenance.dead_letters import envelope_of, message_of
from gatepost_worker.authentication.classify import classify
from gatepost_worker.authentication.endpoints import Endpoint
from gatepost_worker.authentication.rate_limits import parse_rate_limits
from gatepost_worker.authentication.refusals import MfaRequired
from gatepost_worker.authentication.response_bodies import parse_error_body
from gatepost_worker.celery_guard.intake import refuse_compression

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from gatepost_core.campaigns.row import Row

KEYS = RedisKeys()

_OPERATION: Final = "0b3f8f5e-5f0e-4c5e-9d38-0f8f0f3a7c11"
_ENCODINGS: Final = (None, "utf-8", "utf-16", "cp1252", "shift_jis")
# No message of Gatepost contains this marker, so a message with it repeats the input.
_MARK: Final = "§"


def recipients_file(content: bytes) -> None:
    """A file of recipients: rows that build commands, errors of rows, or `FileError`. The first byte selects the format."""
    first, rest = content[:1] or b"\0", content[1:]
    options: dict[str, Any] = {
        "channel": list(Channel)[first[0] % 3],
        "encoding": _ENCODINGS[first[0] // 3 % len(_ENCODINGS)],
        "default_region": (None, "GB")[first[0] // 128],
    }
    try:
        with read_rows(io.BytesIO(rest), **options) as rows:
            for row in rows:
                _check_row(row)
    except FileError:
        return


def envelope(content: bytes) -> None:
    """An envelope on a queue: a message that kombu builds and the intake checks, or a named flaw; a dead letter of it can be replayed or not."""
    try:
        read = loads(content)
    except Exception:  # noqa: BLE001 - kombu rebuilds typed values, and a worker dead-letters a value that it cannot rebuild
        return
    if flaw_of_envelope(read) is None:
        message = _channel().Message(read, channel=_channel())
        json.dumps({"headers": message.headers, "properties": message.properties}, default=str)
        with suppress(Malformed):
            check_message(message.headers, lambda: message.payload)
    try:
        dead_letter = message_of(content.decode("utf-8", "replace"))
        check_message(dead_letter["headers"], lambda: [[], {"operation_id": _OPERATION}, {}])
    except Malformed:
        return
    replayed = envelope_of(dead_letter, KEYS.queue(Queue.SEND))
    assert flaw_of_envelope(json.loads(replayed)) is None, "a replay writes what a worker reads"


def error_body(content: bytes) -> None:
    """The body of a refusal: one typed error that repeats none of it. The first bytes select endpoint and status."""
    head, body = content[:3].ljust(3, b"\0"), content[3:]
    read = parse_error_body(body)
    error = classify(
        list(Endpoint)[head[0] % len(Endpoint)],
        100 + int.from_bytes(head[1:]) % 900,
        read,
        rate_limits=parse_rate_limits({}, now_epoch_s=0.0),
        now_epoch_s=0.0,
    )
    shown = f"{error} {error!r} {error.description!r}"
    assert _MARK not in shown, "an error repeats Auth0's text"
    if isinstance(error, MfaRequired):
        sealed = MfaChallenge(mfa_requirements=error.mfa_requirements).model_dump_json(context=REVEAL)
        assert MfaChallenge.model_validate_json(sealed).mfa_requirements == error.mfa_requirements, (
            "it survives sealing"
        )


def command(content: bytes) -> None:
    """A command from another system: it opens as it was sealed, or raises `InvalidCommand` without its values."""
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        return
    if not isinstance(document, dict):
        return
    try:
        parsed = parse_command(document)
    except InvalidCommand as refused:
        assert _MARK not in str(refused), "a refusal repeats the input"
        return
    assert load_command(dump_command(parsed)) == parsed, "it survives sealing"
    assert recipient_of(parsed), "it has a recipient"


TARGETS: Final[Mapping[str, Callable[[bytes], None]]] = {
    target.__name__: target for target in (recipients_file, envelope, error_body, command)
}


def _check_row(row: Row | RowError) -> None:
    if isinstance(row, RowError):
        return
    shared = {
        "language": row.language,
        "client_ip": row.client_ip,
        "auth_params": row.auth_params and json.loads(row.auth_params),
    }
    if row.kind is Channel.EMAIL:
        built: SendEmail | SendSms = build(SendEmail, {"email": row.recipient, **shared})
    else:
        built = build(SendSms, {"phone_number": row.recipient, **shared})
    assert recipient_of(built) == row.recipient, "a row's recipient is normal already"
    assert row.recipient not in f"{row!r} {built!r}", "a recipient is not shown"


@cache
def _channel() -> Any:
    """A kombu channel that builds messages from envelopes as the Redis channel does."""
    refuse_compression()
    return Connection("memory://").channel()
