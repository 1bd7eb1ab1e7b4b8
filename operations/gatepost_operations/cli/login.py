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
        str | None, typer.Option("--realm", metavar="NAME", help="Passwordless connection [default: email or sms].")
    ] = None,
    scope: Annotated[str | None, typer.Option("--scope", metavar="SCOPES", help="Such as 'openid profile'.")] = None,
    audience: Annotated[
        str | None, typer.Option("--audience", metavar="API", help="The API the access token is for.")
    ] = None,
    organization: Annotated[
        str | None, typer.Option("--organization", metavar="ID|NAME", help="Log in to this organization.")
    ] = None,
    nonce: Annotated[
        str | None, typer.Option("--nonce", metavar="TEXT", help="Nonce that the id_token must have.")
    ] = None,
    max_age: Annotated[
        int | None,
        typer.Option(
            "--max-age", metavar="SECONDS", min=0, help="Maximum age of the login, by the id_token's auth_time."
        ),
    ] = None,
    tenant: TenantOption = None,
    language: LanguageOption = None,
    client_ip: ClientIpOption = None,
    extra: ExtraOption = None,
    deadline: DeadlineOption = None,
    idempotency_key: IdempotencyKeyOption = None,
    redeem: Annotated[bool, typer.Option("--redeem", help="Print the token set, and delete it.")] = False,
    wait: WaitOption = True,
    timeout: TimeoutOption = 60.0,
    as_json: JsonOption = False,
) -> ExitCode:
    """Exchange the code a person received for a token set.

    An address with an @ is an e-mail address; any other is a phone number. The code is never an option: the command prompts for it
    without echo, or reads it from standard input or a file. Without --redeem it prints claims of the id_token, and no token.
    """
    if redeem and not wait:
        raise typer.BadParameter(
            "cannot be combined with --no-wait, because it needs the login's result", param_hint="--redeem"
        )
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
