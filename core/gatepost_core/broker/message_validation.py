"""The form that a message must have before anything is built from it: checked at a worker's intake, and again before a replay."""

from __future__ import annotations

import base64
import json
import re
from datetime import UTC, datetime, timedelta
from enum import Enum, auto
from typing import TYPE_CHECKING, Any, Final

from gatepost_core.broker.messages import MESSAGE_VERSION, RECONCILE, SEND_BATCH, SUBMIT
from gatepost_core.json_limits import within_levels
from gatepost_core.kinds import Kind

if TYPE_CHECKING:
    from collections.abc import Callable

LONGEST_ENVELOPE: Final = 1 << 20
"""Bytes. Gatepost's own messages have a few hundred, a submitted command a few thousand."""
_BATCHES: Final = 1 << 24
# Ours wait a minute at most; clocks differ.
_LATEST: Final = timedelta(hours=2)
_UUID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII | re.IGNORECASE).fullmatch
_COMPRESSED: Final = "the body is compressed, which Gatepost does not take"
# Celery's own headers have three. Python's JSON reads a little deeper than it writes: what lies in between could not be kept.
_MOST_LEVELS: Final = 32


class Carries(Enum):
    """What a task's arguments are."""

    OPERATION = auto()
    BATCH = auto()
    COMMAND = auto()
    ANYTHING = auto()


TASKS: Final = {
    **{kind.task: Carries.OPERATION for kind in Kind},
    SEND_BATCH: Carries.BATCH,
    SUBMIT: Carries.COMMAND,
    RECONCILE: Carries.ANYTHING,
}
"""Every task that a worker has, and what its arguments are."""


class Malformed(Exception):
    """The message has not the form of `gatepost_core.broker.messages`."""


def flaw_of_envelope(envelope: Any) -> str | None:  # noqa: PLR0911 - a return a flaw
    """Return what is wrong with an envelope on a Redis list, or None. kombu can build a message from one without a flaw."""
    match envelope:
        case {"properties": {"delivery_tag": str(), "delivery_info": {"exchange": _, "routing_key": _}} as properties}:
            pass
        case {"properties": {"delivery_tag": str()}}:
            return "the envelope has no delivery_info with exchange and routing_key"
        case dict():
            return "the envelope has no properties with a delivery_tag"
        case _:
            return "the envelope is no JSON object"
    headers = envelope.get("headers", {})
    if not isinstance(headers, dict) or not isinstance(properties.get("priority", 0), int):
        return "the envelope's headers are no JSON object, or its priority is no number"
    if (flaw := flaw_of_depth(envelope)) is not None:
        return flaw
    if not _is_plain(envelope, ascii_only=False):
        return "the envelope has a half of a surrogate pair, or a value that is not JSON's own"
    flaw = flaw_of_content(envelope.get("content-type"), envelope.get("content-encoding"))
    return flaw or _flaw_of_body(envelope.get("body"), properties.get("body_encoding"), headers)


def flaw_of_depth(value: Any) -> str | None:
    """Return what is wrong with how deeply an envelope, or its headers, are nested, or None."""
    return None if within_levels(value, _MOST_LEVELS) else f"the envelope has more than {_MOST_LEVELS} levels"


def flaw_of_content(content_type: Any, encoding: Any) -> str | None:
    """Return what is wrong with how a body says it is written, or None. kombu decodes by any codec of Python's, bz2 included."""
    if content_type not in (None, "application/json") or encoding not in (None, "utf-8", "UTF-8", "binary"):
        return "the envelope names a content type or encoding that Gatepost does not take"
    return None


def _is_plain(value: Any, *, ascii_only: bool = True) -> bool:
    """Return whether a value is JSON's own; without `ascii_only`, also whether it can be written as UTF-8."""
    try:
        json.dumps(value, ensure_ascii=ascii_only).encode()
    except (TypeError, ValueError, RecursionError):
        return False
    return True


def _flaw_of_body(body: Any, encoding: Any, headers: dict[str, Any]) -> str | None:
    if headers.get("compression"):
        # A megabyte can unpack to a gigabyte, and kombu unpacks it before anybody can look.
        return _COMPRESSED
    if not isinstance(body, str) or encoding not in (None, "base64"):
        return "the envelope's body is no text, or of an unknown body_encoding"
    try:
        raw = body.encode()
        if encoding:
            # As kombu does, which takes more than the alphabet.
            base64.b64decode(raw)
    except ValueError:
        return "the envelope's body is not base64, or no UTF-8"
    return None


def check_message(headers: Any, payload: Callable[[], Any]) -> None:
    """Check a message's headers and arguments.

    Args:
        headers: as they came.
        payload: decodes the body; may raise anything.

    Raises:
        Malformed: says what is wrong, never a value.
    """
    task = _checked_task(headers)
    try:
        found = payload()
    except MemoryError:
        # That is this process's trouble, not the message's.
        raise
    except Exception as failure:  # noqa: BLE001 - kombu's decoders raise whatever a foreign body makes them raise
        raise Malformed(f"the body cannot be read ({type(failure).__name__})") from None
    if not _is_plain(found):
        # kombu rebuilds decimals, dates and others from marks in the text; one of the right size keeps a processor busy for ever.
        raise Malformed("the body has values that are not JSON's own")
    match found:
        case [list() as positional, dict() as kwargs, dict() | None as embedded]:
            if positional:
                raise Malformed("the arguments are not named")
            _check_nothing_follows(embedded or {})
            _check_arguments(kwargs, TASKS[task])
        case _:
            raise Malformed("the body is not [args, kwargs, embed]")


def _checked_task(headers: Any) -> str:
    if not isinstance(headers, dict) or not isinstance(headers.get("id"), str):
        raise Malformed("the header id is missing or no text")
    _check_uuid("the header id", headers["id"])
    task = headers.get("task")
    if not isinstance(task, str):
        raise Malformed("the message is not of Celery's protocol 2")
    if task not in TASKS:
        raise Malformed("there is no such task here")
    if headers.get("compression"):
        raise Malformed(_COMPRESSED)
    if (flaw := flaw_of_depth(headers)) is not None:
        raise Malformed(flaw)
    _check_nothing_follows(headers)
    _check_eta(headers.get("eta"))
    _moment("expires", headers.get("expires"))
    if not isinstance(headers.get("retries") or 0, int):
        raise Malformed("the header retries is no number")
    return task


def _check_eta(eta: Any) -> None:
    at = _moment("eta", eta)
    try:
        too_late = at is not None and at - datetime.now(UTC) > _LATEST
    except OverflowError:
        too_late = True
    if too_late:
        # A worker holds what is to be done later, and holds only so much.
        raise Malformed("the eta is too far away")


def _moment(name: str, value: Any) -> datetime | None:
    if value in (None, ""):
        return None
    try:
        # AMQP has moments of its own.
        at = value if isinstance(value, datetime) else datetime.fromisoformat(value)
        return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
    except (TypeError, ValueError, OverflowError):
        raise Malformed(f"the {name} is no moment") from None


def _check_nothing_follows(embedded: dict[str, Any]) -> None:
    # A worker would publish or run what a stranger names there, with rights that the stranger may not have.
    if any(embedded.get(name) for name in ("callbacks", "errbacks", "chain", "chord")):
        raise Malformed("the message carries callbacks, a chain or a chord, which Gatepost does not take")


def _check_arguments(kwargs: dict[str, Any], carries: Carries) -> None:
    if kwargs.get("version", MESSAGE_VERSION) != MESSAGE_VERSION:
        raise Malformed("the version of the message's form is unknown to this worker")
    if carries is Carries.OPERATION:
        _check_operation(kwargs)
    elif carries is Carries.BATCH:
        _check_batch(kwargs)
    elif carries is Carries.COMMAND:
        _check_command(kwargs)


def _check_command(kwargs: dict[str, Any]) -> None:
    # A worker that puts a submission back has sealed its arguments.
    is_put_back = set(kwargs) == {"sealed"} and isinstance(kwargs["sealed"], str)
    if not (is_put_back or {"command"} <= set(kwargs) <= {"command", "idempotency_key", "version"}):
        raise Malformed("the arguments are not command, idempotency_key and version")


def _check_operation(kwargs: dict[str, Any]) -> None:
    operation_id = kwargs.get("operation_id")
    if set(kwargs) - {"operation_id", "version"} or not isinstance(operation_id, str):
        raise Malformed("the arguments are not operation_id and version")
    _check_uuid("operation_id", operation_id)


def _check_batch(kwargs: dict[str, Any]) -> None:
    campaign_id, batch = kwargs.get("campaign_id"), kwargs.get("batch")
    # A bool is an int to Python, and no number of a batch.
    if set(kwargs) - {"campaign_id", "batch", "version"} or not isinstance(campaign_id, str) or type(batch) is not int:
        raise Malformed("the arguments are not campaign_id, batch and version")
    if not 0 <= batch < _BATCHES:
        raise Malformed("batch is out of range")
    _check_uuid("campaign_id", campaign_id)


def _check_uuid(name: str, text: str) -> None:
    # Python's takes braces, other digits and any number of dashes: one UUID in many spellings, each of which would be a key.
    if not _UUID(text):
        raise Malformed(f"{name} is not a UUID")
