"""Which rows `gatepost campaign test` takes, and what it sends."""

from __future__ import annotations

from dataclasses import fields
from inspect import signature

import pytest

from gatepost_core.campaigns.model import Options
from gatepost_core.campaigns.row import Row
from gatepost_core.kinds import Channel, Identifier
from gatepost_operations.cli.campaign.delivery_options import DeliveryOptions
from gatepost_operations.cli.campaign.sample import send_test
from gatepost_operations.planning.sample import first_rows, message_of


def email_row(line: int, language: str | None = None) -> Row:
    return Row(line, Channel.EMAIL, f"person{line}@example.com", language)


@pytest.mark.parametrize(("number", "lines"), [(1, [1]), (2, [1, 3]), (3, [1, 3, 2]), (9, [1, 3, 2, 4])])
def test_different_messages_come_first(number: int, lines: list[int]) -> None:
    """Rows with the same message fill up the number."""
    rows = [email_row(1, "de"), email_row(2, "de"), email_row(3, "fr"), email_row(4, "fr")]
    found = first_rows(rows, {Identifier.EMAIL}, number)

    assert [row.line for row in found[Identifier.EMAIL]] == lines


def test_each_address_gets_rows_of_its_channel() -> None:
    """A file may have both."""
    rows = [email_row(1), Row(2, Channel.SMS, "+12025550143"), email_row(3)]
    found = first_rows(rows, {Identifier.EMAIL, Identifier.PHONE_NUMBER}, 1)

    assert [found[one][0].line for one in (Identifier.EMAIL, Identifier.PHONE_NUMBER)] == [1, 2]


def test_a_message_has_the_rows_own_fields_before_the_campaigns() -> None:
    """As the campaign sends it; the recipient's IP address is not used for the operator."""
    options = Options(language="en", connection="invite", auth_params={"scope": "openid"}, tenant="default")
    row = Row(1, Channel.EMAIL, "person@example.com", "de", "192.0.2.1", '{"state":"x"}')

    assert message_of(row.kind, options, row) == {
        "language": "de",
        "auth_params": {"state": "x"},
        "connection": "invite",
        "send": "code",
        "tenant": "default",
        "on_unknown": "hold",
    }
    assert message_of(Channel.EMAIL, options, email_row(1))["auth_params"] == {"scope": "openid"}


def test_the_command_offers_no_option_without_effect() -> None:
    """It has the options that become fields of the message, and not those that become a start, a rate or a pause."""
    campaigns = {field.name for field in fields(DeliveryOptions)}
    options = Options(language="de", connection="invite", auth_params={"scope": "openid"}, tenant="default")

    assert signature(send_test).parameters.keys() & campaigns == message_of(Channel.EMAIL, options).keys()
