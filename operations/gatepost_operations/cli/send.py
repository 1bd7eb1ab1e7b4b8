"""`gatepost send-email` and `gatepost send-sms`: enqueue one message."""

from typing import Annotated, Any

import typer

from gatepost_core.commands import OnUnknown, Send
from gatepost_operations.cli.connection import follow, open_producer
from gatepost_operations.cli.exit_codes import ExitCode
from gatepost_operations.cli.inputs import address_from, deadline_in, given_only, json_object
from gatepost_operations.cli.options import (
    AddressArgument,
    ClientIpOption,
    DeadlineOption,
    ExtraOption,
    IdempotencyKeyOption,
    JsonOption,
    LanguageOption,
    TenantOption,
    TimeoutOption,
    WaitOption,
    command_app,
    examples,
)

email_app = command_app()
sms_app = command_app()

ConnectionOption = Annotated[
    str | None, typer.Option("--connection", metavar="NAME", help="Passwordless connection [default: email or sms].")
]
AuthParamsOption = Annotated[
    str | None,
    typer.Option("--auth-params", metavar="JSON|@FILE", help="authParams of a magic link: scope, redirect_uri, state."),
]
OnUnknownOption = Annotated[
    OnUnknown,
    typer.Option("--on-unknown", help="After a lost answer: hold, or send again (voids the first code)."),
]


@email_app.command(
    epilog=examples(
        "gatepost send-email ana@example.com",
        'gatepost send-email ana@example.com --send link --auth-params \'{"scope": "openid"}\' --json',
        "echo ana@example.com | gatepost send-email - --no-wait",
    )
)
def send_email(
    address: AddressArgument,
    *,
    send: Annotated[Send, typer.Option("--send", help="What to send.")] = "code",
    connection: ConnectionOption = None,
    tenant: TenantOption = None,
    language: LanguageOption = None,
    client_ip: ClientIpOption = None,
    auth_params: AuthParamsOption = None,
    extra: ExtraOption = None,
    on_unknown: OnUnknownOption = OnUnknown.HOLD,
    deadline: DeadlineOption = None,
    idempotency_key: IdempotencyKeyOption = None,
    wait: WaitOption = True,
    timeout: TimeoutOption = 60.0,
    as_json: JsonOption = False,
) -> ExitCode:
    """Send a one-time code or a magic link to an e-mail address.

    `accepted` means that Auth0 accepted the request, not that the message was delivered.
    """
    options = _options(
        connection=connection,
        tenant=tenant,
        language=language,
        client_ip=client_ip,
        auth_params=auth_params,
        extra=extra,
        deadline=deadline,
    )
    email = address_from(address)
    with open_producer() as producer:
        handle = producer.send_email(
            email, send=send, on_unknown=on_unknown, idempotency_key=idempotency_key, **options
        )
        return follow(handle, wait=wait, timeout_s=timeout, as_json=as_json)


@sms_app.command(
    epilog=examples(
        "gatepost send-sms +34600000001 --language es",
        "gatepost send-sms +34600000001 --idempotency-key visit-1842 --no-wait --json",
    )
)
def send_sms(
    address: AddressArgument,
    *,
    connection: ConnectionOption = None,
    tenant: TenantOption = None,
    language: LanguageOption = None,
    client_ip: ClientIpOption = None,
    auth_params: AuthParamsOption = None,
    extra: ExtraOption = None,
    on_unknown: OnUnknownOption = OnUnknown.HOLD,
    deadline: DeadlineOption = None,
    idempotency_key: IdempotencyKeyOption = None,
    wait: WaitOption = True,
    timeout: TimeoutOption = 60.0,
    as_json: JsonOption = False,
) -> ExitCode:
    """Send a one-time code to a phone number.

    `accepted` means that Auth0 accepted the request, not that the message was delivered.
    """
    options = _options(
        connection=connection,
        tenant=tenant,
        language=language,
        client_ip=client_ip,
        auth_params=auth_params,
        extra=extra,
        deadline=deadline,
    )
    phone_number = address_from(address)
    with open_producer() as producer:
        handle = producer.send_sms(phone_number, on_unknown=on_unknown, idempotency_key=idempotency_key, **options)
        return follow(handle, wait=wait, timeout_s=timeout, as_json=as_json)


def _options(
    *,
    connection: str | None,
    tenant: str | None,
    language: str | None,
    client_ip: str | None,
    auth_params: str | None,
    extra: str | None,
    deadline: float | None,
) -> dict[str, Any]:
    return given_only(
        {
            "connection": connection,
            "tenant": tenant,
            "language": language,
            "client_ip": client_ip,
            "auth_params": json_object(auth_params, "auth_params"),
            "extra": json_object(extra, "extra"),
            "deadline": deadline_in(deadline),
        }
    )
