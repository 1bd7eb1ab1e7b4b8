"""A single command reads a number and an address like a file does."""

from __future__ import annotations

import pytest

from gatepost_core.commands import LoginWithSms, SendSms, build, dump_command, load_command, recipient_of
from gatepost_core.errors import InvalidCommand
from gatepost_core.number_rules import number_rules


@pytest.mark.parametrize(
    ("number", "problem"),
    [
        ("+44 7700 90XXXX", "contains letters or words"),
        ("4915123456789", "has no country code"),
        ("+49 49 151 23456789", "has two readings"),
        ("+44 20 7946 0991", "cannot receive SMS"),
        ("+1 999 555 0123", "is not in its country's number plan"),
        ("+52 1 55 1234 5678", "is in a form that is no longer used"),
    ],
)
def test_a_send_is_refused_like_a_row(number: str, problem: str) -> None:
    """The command is not recorded; the error names the field and not the number."""
    with pytest.raises(InvalidCommand, match=f"phone_number: {problem}") as refused:
        build(SendSms, {"phone_number": number})

    assert number not in str(refused.value)


def test_a_send_accepts_more_on_request() -> None:
    """A land line, and a number in no plan, by the rules of the call."""
    rules = number_rules("length", allow_landlines=True)

    assert recipient_of(build(SendSms, {"phone_number": "+44 (0)20 7946 0991"}, rules)) == "+442079460991"
    assert recipient_of(build(SendSms, {"phone_number": "+1 999 555 0123"}, rules)) == "+19995550123"


def test_what_was_accepted_is_read_again_under_any_rules() -> None:
    """A stored command opens although the number plan of this version does not have its number."""
    rules = number_rules("length", allow_landlines=True)
    command = build(SendSms, {"phone_number": "+1 999 555 0123"}, rules)

    assert load_command(dump_command(command)) == command


@pytest.mark.parametrize("number", ["+44 20 7946 0991", "+1 999 555 0123", "+49 151 23456789"])
def test_a_login_takes_every_number_that_a_send_may_have_taken(number: str) -> None:
    """The code was received, so the number's range does not matter any more."""
    command = build(LoginWithSms, {"phone_number": number, "code": "123456"})

    assert recipient_of(command) == number.replace(" ", "")
