"""Reads a message: whether it is the probe's, and its code. Pure."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from email.utils import getaddresses, parsedate_to_datetime
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Final

from gatepost_core.identifiers import OneTimeCode
from gatepost_core.probe_results import Cause

if TYPE_CHECKING:
    from collections.abc import Iterator
    from email.message import Message

    from gatepost_core.identifiers import Personal

RECIPIENT_HEADERS: Final = ("To", "Cc", "Delivered-To", "X-Original-To", "Envelope-To")
"""The headers that can name the address that a message was sent to."""
# The clocks of the sender and of this machine may differ by this much.
_CLOCKS_DIFFER: Final = timedelta(minutes=2)
_URL: Final = re.compile(r"\bhttps?://\S+", re.IGNORECASE)
_MAGIC_LINK: Final = re.compile(r"https?://[^\s\"'<>]+/passwordless/verify_redirect", re.IGNORECASE)
_HIDDEN: Final = frozenset({"style", "script", "head", "title"})


def is_own(headers: bytes, address: Personal, since: datetime) -> bool:
    """Whether a message is for the probe's address, and was not written before the run.

    A message of an earlier run can arrive late. Its date tells it apart; a message without a readable date is accepted.

    Args:
        headers: at least the message's date and `RECIPIENT_HEADERS`.
        address: the probe's address, normalised.
        since: when the run began.
    """
    message = message_from_bytes(headers)
    values = [str(value) for name in RECIPIENT_HEADERS for value in message.get_all(name, [])]
    if address.get_secret_value() not in {found.lower() for _, found in getaddresses(values)}:
        return False
    written = _date(message)
    return written is None or written >= since - _CLOCKS_DIFFER


def code_in_message(raw: bytes, pattern: re.Pattern[str]) -> OneTimeCode | Cause:
    """Return the code in the subject and the texts of a message, or why there is none.

    Args:
        raw: the message as the mailbox has it.
        pattern: matches a code. A group in it is the code.
    """
    message = message_from_bytes(raw)
    texts = [_decoded(str(message.get("Subject", "")))]
    links = False
    for text, is_html in _text_parts(message):
        links = links or _MAGIC_LINK.search(text) is not None
        texts.append(_shown(text) if is_html else text)
    return _the_one(texts, pattern, Cause.MESSAGE_WITH_LINK if links else Cause.MESSAGE_WITHOUT_CODE)


def code_in_text(text: str, pattern: re.Pattern[str]) -> OneTimeCode | Cause:
    """Return the code in the text of a message, or why there is none."""
    links = _MAGIC_LINK.search(text) is not None
    return _the_one([text], pattern, Cause.MESSAGE_WITH_LINK if links else Cause.MESSAGE_WITHOUT_CODE)


def _the_one(texts: list[str], pattern: re.Pattern[str], without: Cause) -> OneTimeCode | Cause:
    # The code inside a magic link is no code that a person could type.
    matches = (found for text in texts for found in pattern.finditer(_URL.sub(" ", text)))
    codes = {re.sub(r"\s", "", found[pattern.groups] or "") for found in matches} - {""}
    if len(codes) > 1:
        return Cause.SEVERAL_CODES
    return OneTimeCode(codes.pop()) if codes else without


def _text_parts(message: Message) -> Iterator[tuple[str, bool]]:
    for part in message.walk():
        kind = part.get_content_type()
        if kind not in {"text/plain", "text/html"} or part.get_content_disposition() == "attachment":
            continue
        payload = part.get_payload(decode=True)
        if isinstance(payload, bytes):
            yield _text(payload, part.get_content_charset() or "utf-8"), kind == "text/html"


def _text(payload: bytes, charset: str) -> str:
    try:
        return payload.decode(charset, "replace")
    except LookupError:
        return payload.decode("utf-8", "replace")


def _decoded(header: str) -> str:
    try:
        return str(make_header(decode_header(header)))
    except (LookupError, ValueError, HeaderParseError):
        return header


def _date(message: Message) -> datetime | None:
    try:
        written = parsedate_to_datetime(str(message.get("Date", "")))
    except (ValueError, TypeError, OverflowError):
        return None
    return written.astimezone(UTC) if written.tzinfo else written.replace(tzinfo=UTC)


class _Shown(HTMLParser):
    """Collects the text that a mail program shows."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.texts: list[str] = []
        self._hidden = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002 - the signature is HTMLParser's
        self._hidden += tag in _HIDDEN

    def handle_endtag(self, tag: str) -> None:
        self._hidden = max(0, self._hidden - (tag in _HIDDEN))

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.texts.append(data)


def _shown(html: str) -> str:
    parser = _Shown()
    parser.feed(html)
    parser.close()
    return " ".join(parser.texts)
