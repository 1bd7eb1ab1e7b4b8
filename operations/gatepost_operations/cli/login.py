"""`gatepost login`: exchange the code a person received for a token set."""

from pathlib import Path
from typing import Annotated

import typer

from gatepost_operations.cli.connection import await_end, open_producer
from gatepost_operations.cli.exit_codes import ExitCode, exit_code_of_outcome
from gatepost_operations.cli.inputs import address_from, code_from, deadline_in, given_only, is_email, json_object
from gatepost_operations.cli.login_output import show_login
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
from gatepost_operations.cli.output import show_outcome

app = command_app()


@app.command(
    epilog=examples(
        "gatepost login ana@example.com",
        "gatepost login +34600000001 --code-file code.txt --redeem --json",
        "gatepost login ana@example.com < code.txt",
    )
)
def login(
    address: AddressArgument,
    *,
    code_file: Annotated[
        Path | None,
        typer.Option("--code-file", metavar="FILE", help="Read the code from a file; otherwise from standard input."),
    ] = None,
    realm: Annotated[
        str | None, typer.Option("--realm", metavar="NAME", help="The passwordless connection, if not the usual one.")
    ] = None,
    scope: Annotated[str | None, typer.Option("--scope", metavar="SCOPES", help="Such as 'openid profile'.")] = None,
    audience: Annotated[
        str | None, typer.Option("--audience", metavar="API", help="The API the access token is for.")
    ] = None,
    organization: Annotated[
        str | None, typer.Option("--organization", metavar="ID|NAME", help="Log in to this organization.")
    ] = None,
    nonce: Annotated[
        str | None, typer.Option("--nonce", metavar="TEXT", help="Compared with the id_token's nonce.")
    ] = None,
    max_age: Annotated[
        int | None, typer.Option("--max-age", metavar="SECONDS", min=0, help="Bound on the id_token's auth_time.")
    ] = None,
    tenant: TenantOption = None,
    language: LanguageOption = None,
    client_ip: ClientIpOption = None,
    extra: ExtraOption = None,
    deadline: DeadlineOption = None,
    idempotency_key: IdempotencyKeyOption = None,
    redeem: Annotated[
        bool, typer.Option("--redeem", help="Print the token set. It is deleted in that moment.")
    ] = False,
    wait: WaitOption = True,
    timeout: TimeoutOption = 60.0,
    as_json: JsonOption = False,
) -> ExitCode:
    """Exchange the code a person received for a token set.

    The channel follows from the address: an @ makes it an e-mail address. The code is never an option: it is asked for without
    echo, or read from standard input or a file. Without --redeem no token is printed, only what the id_token says.
    """
    if redeem and not wait:
        raise typer.BadParameter("it needs the login's end, so it does not go with --no-wait", param_hint="--redeem")
    options = given_only(
        {
            "realm": realm,
            "scope": scope,
            "audience": audience,
            "organization": organization,
            "nonce": nonce,
            "max_age": max_age,
            "tenant": tenant,
            "language": language,
            "client_ip": client_ip,
            "extra": json_object(extra, "extra"),
            "deadline": deadline_in(deadline),
        }
    )
    recipient = address_from(address)
    code = code_from(code_file, address=address)
    with open_producer() as producer:
        enqueue = producer.login_with_email if is_email(recipient) else producer.login_with_sms
        handle = enqueue(recipient, code, idempotency_key=idempotency_key, **options)
        outcome = await_end(handle, timeout) if wait else handle.outcome()
        if outcome is None:
            show_outcome(handle.outcome(), as_json=as_json)
            return ExitCode.UNEXPECTED
        show_login(producer, handle, outcome, redeem=redeem, as_json=as_json)
        return exit_code_of_outcome(outcome)
