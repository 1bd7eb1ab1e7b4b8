"""Commands are validated when they are made, and never show personal data."""

from __future__ import annotations

import traceback
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from gatepost.errors import InvalidCommand
from gatepost_core.commands import (
    LoginWithEmail,
    LoginWithSms,
    SendEmail,
    SendSms,
    build,
    dump_command,
    load_command,
    parse_command,
    recipient_of,
)
from gatepost_core.kinds import CODE_LIFETIME, SEND_LIFETIME, Kind

CANARY = "canary-7f3a"


@pytest.mark.parametrize(
    "command",
    [
        build(
            SendEmail,
            {
                "email": f"{CANARY}@example.com",
                "auth_params": {"login_hint": "+12025550143"},
                "extra": {"hint": "914377"},
                "client_ip": "203.0.113.7",
            },
        ),
        build(SendSms, {"phone_number": "+12025550143", "language": "es"}),
        build(LoginWithEmail, {"email": f"{CANARY}@example.com", "code": "914377", "scope": "openid", "max_age": 60}),
        build(LoginWithSms, {"phone_number": "+12025550143", "code": "914377", "organization": "org_1"}),
    ],
)
def test_a_command_survives_sealing_and_shows_nothing(command: Any) -> None:
    """The sealed form reads back equal; the printed form is masked."""
    carried = {"extra", "auth_params"}
    shown = f"{command!r} {command} {command.model_dump(exclude=carried)} {command.model_dump_json(exclude=carried)}"

    assert load_command(dump_command(command)) == command
    for secret in (CANARY, "12025550143", "914377"):
        assert secret not in shown


def test_an_address_is_normalised_and_lower_case() -> None:
    """Start and token must name the same recipient, however it was typed."""
    assert recipient_of(build(SendEmail, {"email": "  Ana@EXAMPLE.com "})) == "ana@example.com"


def test_a_number_is_written_in_e164() -> None:
    """Punctuation goes; the plus stays."""
    assert recipient_of(build(SendSms, {"phone_number": "+44 (7700) 900-123"})) == "+447700900123"


@pytest.mark.parametrize(
    ("fields", "field", "problem"),
    [
        ({"email": f"{CANARY}"}, "email", "is not an e-mail address"),
        ({"email": "a@example.com", "send": CANARY}, "send", "Input should be 'code'"),
        ({"email": "a@example.com", "client_ip": CANARY}, "client_ip", "not a valid IPv4 or IPv6"),
        ({"email": "a@example.com", "client_ip": "fe80::1%a\r\nX-Evil: 1"}, "client_ip", "without a zone"),
        ({"email": "a@example.com", "deadline": "2026-01-01T00:00:00"}, "deadline", "timezone"),
        ({"email": "a@example.com", "deadline": 30}, "deadline", "not a number"),
        ({"email": "a@example.com", "deadline": 1.5e9}, "deadline", "not a number"),
        ({"email": "a@example.com", "deadline": True}, "deadline", "not a number"),
        ({"email": "a@example.com", "deadline": "1767225600"}, "deadline", "not a number"),
        ({"email": "a@example.com", "deadline": timedelta(0)}, "deadline", "later than now"),
        ({"email": "a@example.com", "deadline": timedelta.max}, "deadline", "2099"),
        (
            {"email": "a@example.com", "extra": {"client_secret": CANARY}},
            "command",
            "extra must not hold client_secret",
        ),
        ({"email": "a@example.com", "language": "x\r\ny"}, "language", "language that Auth0 supports"),
        ({"email": "a@example.com", "colour": CANARY}, "colour", "not permitted"),
        ({}, "email", "required"),
    ],
)
def test_bad_input_names_the_field_and_never_the_value(fields: dict[str, Any], field: str, problem: str) -> None:
    """The error names the field and the problem, and its traceback repeats no input."""
    with pytest.raises(InvalidCommand) as caught:
        build(SendEmail, fields)

    assert [one.field for one in caught.value.problems] == [field]
    assert problem in str(caught.value)
    assert CANARY not in "".join(traceback.format_exception(caught.value))


def test_a_login_by_sms_takes_no_address() -> None:
    """Auth0 would refuse it."""
    with pytest.raises(ValueError, match="letters or words"):
        LoginWithSms(phone_number="ana@example.com", code="123456")


@pytest.mark.parametrize("number", ["0777777777", "+1", "+99999999999999999", "CANARY", ""])
def test_what_cannot_be_a_phone_number_is_refused(number: str) -> None:
    """It would cost an attempt, and perhaps an SMS."""
    with pytest.raises(InvalidCommand, match="phone_number"):
        build(SendSms, {"phone_number": number})


@pytest.mark.parametrize("code", ["", " ", "12 34", "1" * 65, "12\n34", "\uff11\uff12"])
def test_what_cannot_be_a_code_is_refused(code: str) -> None:
    """Each wrong try costs one of three."""
    with pytest.raises(InvalidCommand, match="code"):
        build(LoginWithEmail, {"email": "a@example.com", "code": code})


def test_an_unknown_kind_is_named_without_repeating_it() -> None:
    """A foreign document's kind may be anything."""
    with pytest.raises(InvalidCommand) as caught:
        parse_command({"kind": CANARY, "email": "a@example.com"})

    assert "kind must be one of send_email" in str(caught.value)
    assert CANARY not in str(caught.value)


def test_a_foreign_document_becomes_the_command_it_names() -> None:
    """JSON from another system."""
    command = parse_command({"kind": "login_with_sms", "phone_number": "+12025550143", "code": "123456"})

    assert isinstance(command, LoginWithSms)
    assert command.kind is Kind.LOGIN_WITH_SMS


def test_the_deadline_defaults_to_the_kinds_lifetime() -> None:
    """A code lives 180 s; a message may leave a while later."""
    now = datetime(2026, 1, 1, tzinfo=UTC)

    assert build(LoginWithEmail, {"email": "a@example.com", "code": "1"}).ends_at(now) == now + CODE_LIFETIME
    assert build(SendEmail, {"email": "a@example.com"}).ends_at(now) == now + SEND_LIFETIME
    own = build(SendEmail, {"email": "a@example.com", "deadline": now + timedelta(seconds=5)})
    assert own.ends_at(now) == now + timedelta(seconds=5)


def test_a_deadline_may_be_a_time_from_now() -> None:
    """A timedelta."""
    before = datetime.now(UTC)
    deadline = build(SendEmail, {"email": "a@example.com", "deadline": timedelta(minutes=2)}).ends_at()

    assert before < deadline - timedelta(minutes=2) <= datetime.now(UTC)


@pytest.mark.parametrize("given", [True, False, "5", "true", b"5"])
def test_a_number_is_no_text_and_no_truth_value(given: object) -> None:
    """`true` could mean 1 second, and `"5"` a text: neither is taken for a number."""
    with pytest.raises(ValidationError, match="must be a number"):
        LoginWithEmail(email="ana@example.com", code="123456", max_age=given)
