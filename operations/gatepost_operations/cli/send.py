"""`gatepost send-email` and `gatepost send-sms`: enqueue one message."""

from dataclasses import dataclass
from typing import Annotated, Any

import typer

from gatepost_core.commands import OnUnknown
from gatepost_core.message_fields import Send
from gatepost_core.number_rules import Numbers
from gatepost_operations.cli.connection import open_producer
from gatepost_operations.cli.exit_codes import ExitCode
from gatepost_operations.cli.inputs import address_from
from gatepost_operations.cli.message_options import MessageOptions, OnUnknownOption
from gatepost_operations.cli.operation import CommandOptions, WaitOptions, follow
from gatepost_operations.cli.options import (
    EmailArgument,
    LandlinesOption,
    NumbersOption,
    PhoneArgument,
    command_app,
    examples,
    grouped,
)

send_email_app = command_app()
send_sms_app = command_app()


@dataclass(frozen=True, kw_only=True)
class SendOptions(MessageOptions):
    """The fields that only sends have."""

    connection: Annotated[
        str | None,
        typer.Option("--connection", metavar="NAME", help="Passwordless connection [default: email, or sms for SMS]."),
    ] = None
    on_unknown: OnUnknownOption = OnUnknown.HOLD

    def fields(self) -> dict[str, Any]:
        """Return them as a producer takes them. Errors are those of `json_object`."""
        return {**vars(self), **self.message_fields()}


@send_email_app.command(
    epilog=examples(
        "gatepost send-email ana@example.com",
        "gatepost send-email ana@example.com --send link --auth-params @link.json",
        "echo ana@example.com | gatepost send-email - --no-wait",
    )
)
@grouped
def send_email(
    address: EmailArgument,
    *,
    send: Annotated[Send, typer.Option("--send", help="What to send.")] = "code",
    sending: SendOptions,
    shared: CommandOptions,
    waiting: WaitOptions,
) -> ExitCode:
    """Send a one-time code or a magic link to an e-mail address.

    The state accepted means that Auth0 accepted the request, not that the message was delivered.
    """
    fields = shared.fields(send=send, **sending.fields())
    email = address_from(address)
    with open_producer() as producer:
        return follow(producer.send_email(email, **fields), waiting)


@send_sms_app.command(
    epilog=examples(
        "gatepost send-sms +34600000001 --language es",
        "gatepost send-sms +34600000001 --idempotency-key visit-1842 --no-wait --json",
    )
)
@grouped
def send_sms(
    address: PhoneArgument,
    *,
    numbers: NumbersOption = Numbers.PLAN,
    allow_landlines: LandlinesOption = False,
    sending: SendOptions,
    shared: CommandOptions,
    waiting: WaitOptions,
) -> ExitCode:
    """Send a one-time code to a phone number.

    The state accepted means that Auth0 accepted the request, not that the message was delivered.
    """
    fields = shared.fields(**sending.fields(), numbers=numbers, allow_landlines=allow_landlines)
    phone_number = address_from(address)
    with open_producer() as producer:
        return follow(producer.send_sms(phone_number, **fields), waiting)
