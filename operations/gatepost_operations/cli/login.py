"""`gatepost login`: exchange the code a person received for a token set."""

from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from gatepost_core.errors import FieldError, InvalidCommand
from gatepost_core.identifiers import NO_RECIPIENT, is_address, is_no_recipient
from gatepost_operations.cli.connection import open_producer
from gatepost_operations.cli.exit_codes import ExitCode
from gatepost_operations.cli.inputs import address_from, code_from
from gatepost_operations.cli.operation import CommandOptions, WaitOptions, follow
from gatepost_operations.cli.options import (
    AddressArgument,
    ForceOption,
    command_app,
    examples,
    grouped,
)
from gatepost_operations.files.output import output_file, require_free

login_app = command_app()


@dataclass(frozen=True, kw_only=True)
class LoginOptions:
    """The fields that only logins have, and the language, which sends have among those of the message."""

    language: Annotated[
        str | None,
        typer.Option("--language", metavar="TAG", help="Language of the request, such as pt-BR."),
    ] = None
    realm: Annotated[
        str | None, typer.Option("--realm", metavar="NAME", help="Passwordless connection [default: email or sms].")
    ] = None
    scope: Annotated[
        str | None,
        typer.Option("--scope", metavar="SCOPES", help="Scopes of the access token, such as 'openid profile'."),
    ] = None
    audience: Annotated[
        str | None, typer.Option("--audience", metavar="API", help="API that the access token is for.")
    ] = None
    organization: Annotated[
        str | None, typer.Option("--organization", metavar="ID|NAME", help="Log in to this organization.")
    ] = None
    nonce: Annotated[
        str | None,
        typer.Option("--nonce", metavar="TEXT", help="Nonce that the id_token must contain. It is not sent to Auth0."),
    ] = None
    max_age: Annotated[
        int | None,
        typer.Option(
            "--max-age",
            metavar="SECONDS",
            min=0,
            help="Refuse an id_token whose auth_time is more than this many seconds ago.",
        ),
    ] = None


@login_app.command(
    epilog=examples(
        "gatepost login ana@example.com",
        "gatepost login +34600000001 --code-file code.txt --redeem --json",
        "gatepost login ana@example.com < code.txt",
        "gatepost login ana@example.com --no-wait --reference-file reference.txt",
    )
)
@grouped
def login(
    address: AddressArgument,
    *,
    code_file: Annotated[
        Path | None,
        typer.Option("--code-file", metavar="FILE", help="File with the code [default: ask, or read standard input]."),
    ] = None,
    logging_in: LoginOptions,
    shared: CommandOptions,
    redeem: Annotated[
        bool, typer.Option("--redeem", help="Print the token set, and delete it from Redis. This works only once.")
    ] = False,
    reference_file: Annotated[
        Path | None,
        typer.Option(
            "--reference-file",
            metavar="FILE",
            help="File for the reference, a secret with which you can get the tokens later.",
        ),
    ] = None,
    force: ForceOption = False,
    waiting: WaitOptions,
) -> ExitCode:
    """Log a person in: exchange a one-time code for a token set.

    An address with an @ is an e-mail address. Any other address is a phone number.

    Without --redeem, the command prints some claims of the id_token, but no tokens. To get the tokens later, use --reference-file FILE. Then
    run `gatepost result - --redeem < FILE`.
    """
    if redeem and not waiting.wait:
        raise typer.BadParameter(
            "cannot be combined with --no-wait, because it needs the login's result", param_hint="--redeem"
        )
    if reference_file is not None:
        require_free(reference_file, replace=force)
    fields = shared.fields(**vars(logging_in))
    recipient = address_from(address)
    if is_no_recipient(recipient):
        raise InvalidCommand([FieldError("address", NO_RECIPIENT)])
    code = code_from(code_file, address=address)
    # Opened before the login is enqueued: a file that cannot be written spends no code.
    output = nullcontext() if reference_file is None else output_file(reference_file, replace=force)
    with open_producer() as producer:
        enqueue = producer.login_with_email if is_address(recipient) else producer.login_with_sms
        with output as file:
            handle = enqueue(recipient, code, **fields)
            if file is not None:
                file.write(f"{handle.reference}\n")
        return follow(handle, waiting, redeem=redeem)
