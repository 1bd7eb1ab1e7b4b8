"""A message gives its code or the reason why it has none, and is the probe's own or another's."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from email.utils import format_datetime

import pytest

from gatepost_core.identifiers import OneTimeCode, Personal
from gatepost_core.probe_results import Cause
from gatepost_core.settings.probe import USUAL_CODE
from gatepost_operations.probing.message import code_in_message, code_in_text, is_own

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)
USUAL = re.compile(USUAL_CODE)
LINK = "https://acme.eu.auth0.com/passwordless/verify_redirect?connection=email&verification_code=123456"


def message(text: str = "", html: str | None = None, subject: str = "Sign in", **headers: str) -> bytes:
    """A message as a mailbox has it."""
    made = EmailMessage()
    made["Subject"] = subject
    for name, value in headers.items():
        made[name.replace("_", "-")] = value
    if text:
        made.set_content(text)
    if html is not None:
        made.add_alternative(html, subtype="html") if text else made.set_content(html, subtype="html")
    return made.as_bytes()


def code_of(found: OneTimeCode | Cause) -> str:
    return found.value if isinstance(found, Cause) else found.get_secret_value()


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (message("Your verification code is: 123456"), "123456"),
        (message("Code: 123456.\n\nExample Ltd, 2026, tel. +1 555 0100, 94105 Oakland"), "123456"),
        (message("", "<p style='color:#222222'>Your code: <b>123456</b></p><!-- 654321 -->"), "123456"),
        (message("", "<style>p { color: #123123 } .a { width: 600000px }</style><td>123456</td>"), "123456"),
        (message("Use 123456", "<p>Use <b>123456</b></p>"), "123456"),
        (message("See the subject.", subject="123456 is your code"), "123456"),
        (message("Ihr Code für Bücher", subject="Bücher: 123456"), "123456"),
        (message(f"Type 123456, or open {LINK.replace('123456', '999999')}"), "123456"),
        (message("Order 1234567, 12.345678 EUR, 123456,78 EUR, #123456; code 654321"), "654321"),
    ],
)
def test_the_code_is_the_only_number_of_its_form_that_a_person_sees(raw: bytes, code: str) -> None:
    """Colours, comments, years, amounts and links are no codes, and both parts of a message may show it."""
    assert code_of(code_in_message(raw, USUAL)) == code


@pytest.mark.parametrize(
    ("raw", "cause"),
    [
        (message("Someone asked for a code."), Cause.MESSAGE_WITHOUT_CODE),
        (message("Your code is 12345"), Cause.MESSAGE_WITHOUT_CODE),
        (b"", Cause.MESSAGE_WITHOUT_CODE),
        (message(f"Sign in: {LINK}"), Cause.MESSAGE_WITH_LINK),
        (message("", f'<a href="{LINK}">Sign in</a>'), Cause.MESSAGE_WITH_LINK),
        (message("", f'<a href="{LINK}">{LINK}</a>'), Cause.MESSAGE_WITH_LINK),
        (message("Your code is 123456, your customer number 654321."), Cause.SEVERAL_CODES),
        (message("Your code is 123456", "<p>Your code is 654321</p>"), Cause.SEVERAL_CODES),
    ],
)
def test_a_broken_template_is_named(raw: bytes, cause: Cause) -> None:
    """A message without a code, with a link in its place, or with two numbers that could be the code."""
    assert code_in_message(raw, USUAL) is cause


def test_a_pattern_of_the_operator_finds_other_forms() -> None:
    """Its group is the code, and spaces between digits are left out."""
    spaced = code_in_text("Code 12 34, number 999999", re.compile(r"Code (\d\d \d\d)"))

    assert code_of(spaced) == "1234"
    assert code_of(code_in_text("SMS: 123456", USUAL)) == "123456"
    assert code_in_text(LINK, USUAL) is Cause.MESSAGE_WITH_LINK


def test_a_code_inside_a_link_is_no_code() -> None:
    """With any pattern: a person cannot read it, and needs a code to type."""
    assert code_in_text(f"Sign in: {LINK}", re.compile(r"\d{6}")) is Cause.MESSAGE_WITH_LINK


@pytest.mark.parametrize(
    ("headers", "own"),
    [
        (message(To="probe+eu@example.com"), True),
        (message(To='"The probe" <Probe+EU@Example.com>, ana@example.com'), True),
        (message(To="list@example.com", Delivered_To="probe+eu@example.com"), True),
        (message(To="probe@example.com"), False),
        (message(To="ana@example.com"), False),
        (message(Reply_To="probe+eu@example.com"), False),
        (message(To="probe+eu@example.com", Date=format_datetime(NOON - timedelta(seconds=90))), True),
        (message(To="probe+eu@example.com", Date=format_datetime(NOON - timedelta(minutes=5))), False),
        (message(To="probe+eu@example.com", Date="yesterday"), True),
    ],
)
def test_only_a_new_message_to_the_probes_address_is_its_own(headers: bytes, own: bool) -> None:  # noqa: FBT001 - a column of the table
    """Others' messages, those to another plus-address, and a late one of an earlier run are left alone."""
    assert is_own(headers, Personal("probe+eu@example.com"), NOON) is own


def test_an_unknown_charset_does_not_hide_the_code() -> None:
    """Nor does a part that is no text."""
    raw = b"Content-Type: text/plain; charset=klingon\r\n\r\nCode 123456\r\n"
    attached = EmailMessage()
    attached.set_content("See the file")
    attached.add_attachment("123456", filename="code.txt")

    assert code_of(code_in_message(raw, USUAL)) == "123456"
    assert code_in_message(attached.as_bytes(), USUAL) is Cause.MESSAGE_WITHOUT_CODE
