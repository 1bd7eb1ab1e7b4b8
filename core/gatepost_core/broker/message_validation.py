"""Checks of a message's form, at a worker's intake and again before a replay."""

from __future__ import annotations

import base64
import json
import re
from datetime import UTC, datetime, timedelta
from enum import Enum, auto
from typing import TYPE_CHECKING, Any, Final

from gatepost_core.broker.messages import DELIVER_WEBHOOKS, MESSAGE_VERSION, RECONCILE, SEND_BATCH, SUBMIT
from gatepost_core.json_limits import within_levels
from gatepost_core.kinds import Kind

if TYPE_CHECKING:
    from collections.abc import Callable

LONGEST_ENVELOPE: Final = 1 << 20
"""Bytes. Gatepost's own messages have a few hundred, a submitted command has a few thousand."""
PLAIN_TEXT: Final = "utf-8"
"""The `body_encoding` of celery-ts: the body is the text itself. kombu does not know it."""
_BATCHES: Final = 1 << 24
# Gatepost's own messages wait a minute at most; the rest allows for clocks that differ.
_LATEST: Final = timedelta(hours=2)
_UUID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII | re.IGNORECASE).fullmatch
_COMPRESSED: Final = "the body is compressed, which Gatepost does not accept"
# Of other clients: ULID, nanoid and the like. Neither an address nor a number has this form, because Celery shows ids in logs and events.
_OTHER_ID: Final = re.compile(r"(?=.*[A-Za-z])(?=.*[0-9])[A-Za-z0-9_-]{16,64}").fullmatch
# In the order of the task's parameters.
_OF_COMMAND: Final = ("command", "idempotency_key", "version")
# Celery's own headers have three. Python reads deeper JSON than it writes, so a deeper message could not be stored.
_MOST_LEVELS: Final = 32


class Carries(Enum):
    """The kinds of task arguments."""

    OPERATION = auto()
    BATCH = auto()
    COMMAND = auto()
    ENDPOINT = auto()
    ANYTHING = auto()


TASKS: Final = {
    **{kind.task: Carries.OPERATION for kind in Kind},
    SEND_BATCH: Carries.BATCH,
    SUBMIT: Carries.COMMAND,
    DELIVER_WEBHOOKS: Carries.ENDPOINT,
    RECONCILE: Carries.ANYTHING,
}
"""Every task of a worker, with its kind of arguments."""


class Malformed(Exception):
    """The message does not have the form of `gatepost_core.broker.publishing`."""


def flaw_of_envelope(envelope: Any) -> str | None:  # noqa: PLR0911 - one return for each flaw
    """Return the flaw of an envelope on a Redis list, or None. kombu can build a message from an envelope without a flaw."""
    match envelope:
        case {"properties": {"delivery_tag": str(), "delivery_info": {"exchange": _, "routing_key": _}} as properties}:
            pass
        case {"properties": {"delivery_tag": str()}}:
            return "the envelope has no delivery_info with exchange and routing_key"
        case dict():
            return "the envelope has no properties with a delivery_tag"
        case _:
            return "the envelope is not a JSON object"
    headers = envelope.get("headers", {})
    if not isinstance(headers, dict) or not isinstance(properties.get("priority", 0), int):
        return "the envelope's headers are not a JSON object, or its priority is not a number"
    if (flaw := flaw_of_depth(envelope)) is not None:
        return flaw
    if not _is_plain(envelope, ascii_only=False):
        return "the envelope has half a surrogate pair, or a value that JSON does not have"
    flaw = flaw_of_content(envelope.get("content-type"), envelope.get("content-encoding"))
    return flaw or _flaw_of_body(envelope.get("body"), properties.get("body_encoding"), headers)


def flaw_of_depth(value: Any) -> str | None:
    """Return the flaw of an envelope, or of headers, with too many levels, or None."""
    return None if within_levels(value, _MOST_LEVELS) else f"the envelope has more than {_MOST_LEVELS} levels"


def flaw_of_content(content_type: Any, encoding: Any) -> str | None:
    """Return the flaw of a content type or encoding, or None. kombu would decode with any codec of Python, including bz2."""
    if content_type not in (None, "application/json") or encoding not in (None, "utf-8", "UTF-8", "binary"):
        return "the envelope names a content type or encoding that Gatepost does not accept"
    return None


def _is_plain(value: Any, *, ascii_only: bool = True) -> bool:
    """Return whether JSON can hold a value; without `ascii_only`, also whether UTF-8 can."""
    try:
        json.dumps(value, ensure_ascii=ascii_only).encode()
    except (TypeError, ValueError, RecursionError):
        return False
    return True


def _flaw_of_body(body: Any, encoding: Any, headers: dict[str, Any]) -> str | None:
    if headers.get("compression"):
        # kombu unpacks before any check, and a megabyte can become a gigabyte.
        return _COMPRESSED
    if not isinstance(body, str) or encoding not in (None, "base64", PLAIN_TEXT):
        return "the envelope's body is not text, or its body_encoding is unknown"
    try:
        raw = body.encode()
        if encoding == "base64":
            # As kombu does: it also accepts characters outside the alphabet.
            base64.b64decode(raw)
    except ValueError:
        return "the envelope's body is not base64, or not UTF-8"
    return None


def check_message(headers: Any, payload: Callable[[], Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Check a message's headers and arguments, and return its named arguments and its `embed` part.

    Args:
        headers: as received.
        payload: decodes the body; it may raise anything.

    Raises:
        Malformed: names the flaw, never a value.
    """
    task = _checked_task(headers)
    try:
        found = payload()
    except MemoryError:
        # The fault is in this process, not in the message.
        raise
    except Exception as failure:  # noqa: BLE001 - kombu's decoders can raise any class
        raise Malformed(f"the body cannot be read ({type(failure).__name__})") from None
    if not _is_plain(found):
        # kombu builds decimals, dates and other values from marks in the text. A huge one would keep a processor busy for hours.
        raise Malformed("the body has values that JSON does not have")
    match found:
        case [list() as positional, dict() as kwargs, dict() | None as embedded]:
            named = _named(positional, kwargs, TASKS[task])
            _check_nothing_follows(embedded or {})
            _check_arguments(named, TASKS[task])
            return named, embedded or {}
        case _:
            raise Malformed("the body is not [args, kwargs, embed]")


def of_protocol_2(payload: Any) -> tuple[dict[str, Any], list[Any]] | None:
    """Return headers and body in protocol 2 of a message in Celery's protocol 1, or None if it is neither."""
    if not isinstance(payload, dict) or not isinstance(payload.get("task"), str):
        return None
    headers = {name: payload[name] for name in ("task", "id", "eta", "expires", "retries") if name in payload}
    embedded = {name: payload[name] for name in ("callbacks", "errbacks", "chain", "chord") if name in payload}
    return headers, [payload.get("args") or [], payload.get("kwargs") or {}, embedded]


def _named(positional: list[Any], kwargs: dict[str, Any], carries: Carries) -> dict[str, Any]:
    if not positional:
        return kwargs
    if carries is not Carries.COMMAND:
        raise Malformed("the arguments are not named")
    if len(positional) > len(_OF_COMMAND):
        raise Malformed("there are more arguments than command, idempotency_key and version")
    named = dict(zip(_OF_COMMAND, positional, strict=False))
    if twice := sorted(named.keys() & kwargs.keys()):
        raise Malformed(f"{twice[0]} is given by position and by name")
    return {**named, **kwargs}


def _check_id(task: str, text: str) -> None:
    if TASKS[task] is not Carries.COMMAND:
        _check_uuid("the header id", text)
    elif not (_UUID(text) or _OTHER_ID(text)):
        raise Malformed(
            "the header id is neither a UUID nor 16 to 64 letters, digits, - and _ with a letter and a digit"
        )


def _checked_task(headers: Any) -> str:
    if not isinstance(headers, dict) or not isinstance(headers.get("id"), str):
        raise Malformed("the header id is missing or not text")
    task = headers.get("task")
    if not isinstance(task, str):
        raise Malformed("the message is not of Celery's protocol 1 or 2")
    if task not in TASKS:
        raise Malformed("there is no such task here")
    _check_id(task, headers["id"])
    if headers.get("compression"):
        raise Malformed(_COMPRESSED)
    if (flaw := flaw_of_depth(headers)) is not None:
        raise Malformed(flaw)
    _check_nothing_follows(headers)
    _check_eta(headers.get("eta"))
    _moment("expires", headers.get("expires"))
    if not isinstance(headers.get("retries") or 0, int):
        raise Malformed("the header retries is not a number")
    return task


def _check_eta(eta: Any) -> None:
    at = _moment("eta", eta)
    try:
        too_late = at is not None and at - datetime.now(UTC) > _LATEST
    except OverflowError:
        too_late = True
    if too_late:
        # A worker holds delayed messages in memory, and only a limited number.
        raise Malformed("the eta is too far away")


def _moment(name: str, value: Any) -> datetime | None:
    if value in (None, ""):
        return None
    try:
        # AMQP has a type for times.
        at = value if isinstance(value, datetime) else datetime.fromisoformat(value)
        return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
    except (TypeError, ValueError, OverflowError):
        raise Malformed(f"the {name} is not a time") from None


def _check_nothing_follows(embedded: dict[str, Any]) -> None:
    # A worker would run the tasks that a stranger names there, with rights that the stranger may not have.
    if any(embedded.get(name) for name in ("callbacks", "errbacks", "chain", "chord")):
        raise Malformed("the message carries callbacks, a chain or a chord, which Gatepost does not accept")


def _check_arguments(kwargs: dict[str, Any], carries: Carries) -> None:
    if kwargs.get("version", MESSAGE_VERSION) != MESSAGE_VERSION:
        raise Malformed("this worker does not know the version of the message")
    if carries is Carries.OPERATION:
        _check_reference("operation_id", kwargs)
    elif carries is Carries.ENDPOINT:
        _check_reference("endpoint_id", kwargs)
    elif carries is Carries.BATCH:
        _check_batch(kwargs)
    elif carries is Carries.COMMAND:
        _check_command(kwargs)


def _check_command(kwargs: dict[str, Any]) -> None:
    # A worker seals the arguments before it requeues a submission.
    is_requeued = set(kwargs) == {"sealed"} and isinstance(kwargs["sealed"], str)
    if not (is_requeued or {"command"} <= set(kwargs) <= {"command", "idempotency_key", "version"}):
        raise Malformed("the arguments are not command, idempotency_key and version")


def _check_reference(name: str, kwargs: dict[str, Any]) -> None:
    reference = kwargs.get(name)
    if set(kwargs) - {name, "version"} or not isinstance(reference, str):
        raise Malformed(f"the arguments are not {name} and version")
    _check_uuid(name, reference)


def _check_batch(kwargs: dict[str, Any]) -> None:
    campaign_id, batch = kwargs.get("campaign_id"), kwargs.get("batch")
    # A bool is an int to Python, but not a batch number.
    if set(kwargs) - {"campaign_id", "batch", "version"} or not isinstance(campaign_id, str) or type(batch) is not int:
        raise Malformed("the arguments are not campaign_id, batch and version")
    if not 0 <= batch < _BATCHES:
        raise Malformed("batch is out of range")
    _check_uuid("campaign_id", campaign_id)


def _check_uuid(name: str, text: str) -> None:
    # Python's UUID accepts braces, other digits and any dashes: one UUID would have many spellings, each with its own key.
    if not _UUID(text):
        raise Malformed(f"{name} is not a UUID")
