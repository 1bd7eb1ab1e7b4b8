"""What a row and its campaign put into the request of a message."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from gatepost_core.campaigns.model import Options
from gatepost_core.campaigns.row import Row
from gatepost_core.kinds import Channel
from gatepost_worker.authentication import Passwordless
from gatepost_worker.bulk.sending import Sender
from gatepost_worker.delivery.policy import RetryLimits

if TYPE_CHECKING:
    from gatepost_worker.authentication.caller import Call

OPTIONS = Options(language="de", send="link", auth_params={"scope": "openid"})


def call_of(row: Row) -> Call:
    with Passwordless(domain="example.eu.auth0.com", client_id="client", client_secret="secret") as client:
        sender = Sender(client.starts, OPTIONS, RetryLimits(), clock=lambda: datetime(2026, 1, 1, tzinfo=UTC))
        return sender.call_of(row)


def test_a_row_without_values_takes_those_of_its_campaign() -> None:
    """Its connection is the channel's own, unless the campaign names one."""
    call = call_of(Row(1, Channel.EMAIL, "ana@example.com"))

    assert call.members == {
        "client_id": "client",
        "email": "ana@example.com",
        "connection": "email",
        "send": "link",
        "authParams": {"scope": "openid"},
    }
    assert call.headers == {"x-request-language": "de"}


def test_a_rows_own_values_are_stronger_than_those_of_its_campaign() -> None:
    """A file says more about a person than the campaign does."""
    call = call_of(Row(1, Channel.EMAIL, "ana@example.com", "fr", "203.0.113.7", '{"state":"s"}'))

    assert call.members["authParams"] == {"state": "s"}
    assert call.headers == {"x-request-language": "fr", "auth0-forwarded-for": "203.0.113.7"}


def test_a_row_of_another_channel_gets_no_field_that_its_kind_lacks() -> None:
    """An SMS has no links, also in a campaign that sends them by e-mail."""
    call = call_of(Row(1, Channel.SMS, "+447700900123"))

    assert call.members == {
        "client_id": "client",
        "phone_number": "+447700900123",
        "connection": "sms",
        "authParams": {"scope": "openid"},
    }


@pytest.mark.parametrize(
    "row",
    [
        Row(1, Channel.EMAIL, "ana@example.com"),
        Row(1, Channel.EMAIL, 'änne+"quoted"@example.com'),
        Row(1, Channel.SMS, "+447700900123"),
        Row(1, Channel.EMAIL, "ana@example.com", "fr", "203.0.113.7", '{"state":"s"}'),
    ],
)
@pytest.mark.parametrize("options", [Options(), OPTIONS])
def test_the_request_on_the_wire_is_that_of_the_rows_call(row: Row, options: Options) -> None:
    """The parts that the rows of a batch share are prepared once, and that changes no byte."""
    with Passwordless(domain="example.eu.auth0.com", client_id="client", client_secret="secret") as client:
        sender = Sender(client.starts, options, RetryLimits(), clock=lambda: datetime(2026, 1, 1, tzinfo=UTC))
        call = sender.call_of(row)
        requests = [sender.request_of(row, plain=row.is_plain) for _ in range(2)]

        assert requests == [(client.starts.encode(call), call.timeouts)] * 2


def test_each_request_of_a_client_that_signs_has_an_assertion_of_its_own() -> None:
    """Auth0 accepts an assertion once."""
    row = Row(1, Channel.EMAIL, "ana@example.com")
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    with Passwordless(
        domain="example.eu.auth0.com", client_id="client", client_assertion_signing_key=key.decode()
    ) as client:
        sender = Sender(client.starts, OPTIONS, RetryLimits(), clock=lambda: datetime(2026, 1, 1, tzinfo=UTC))
        requests = {sender.request_of(row, plain=True)[0] for _ in range(3)}

    assert len(requests) == 3
