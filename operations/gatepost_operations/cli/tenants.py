"""`gatepost tenants`: the Auth0 application that is registered for each tenant name in this Redis."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from gatepost_core.errors import FieldError, InvalidCommand
from gatepost_core.ledger import ledger_at
from gatepost_core.settings.tenants import Application
from gatepost_operations.cli.connection import open_redis
from gatepost_operations.cli.exit_codes import ExitCode
from gatepost_operations.cli.inputs import confirm
from gatepost_operations.cli.options import DryRunOption, JsonOption, YesOption, command_app, examples
from gatepost_operations.cli.output import say, show, write, write_json
from gatepost_operations.formatting import counted
from gatepost_operations.maintenance.tenants import Acceptance, TenantControl, TenantUse

app = command_app()

NameArgument = Annotated[
    str, typer.Argument(metavar="NAME", help="Name of the tenant. The tenant of AUTH0_DOMAIN has the name default.")
]


@app.callback(epilog=examples("gatepost tenants accept default"))
def tenants() -> None:
    """Show the Auth0 application of each tenant, or accept a changed one."""


@contextmanager
def _control() -> Iterator[TenantControl]:
    with open_redis() as (settings, client, audit):
        yield TenantControl(client, ledger_at(client, settings), settings, audit)


@app.command("list", epilog=examples("gatepost tenants list", "gatepost tenants list --json | jq '.tenants[].name'"))
def list_command(*, as_json: JsonOption = False) -> ExitCode:
    """List tenant names and their applications.

    Shows the number of open operations of each Auth0 application. The exit code is 4 if Redis and this configuration name different
    applications for a tenant.
    """
    with _control() as control:
        found = control.look()
    if as_json:
        write_json({"tenants": [one.as_json() for one in found]})
    else:
        for use in found:
            write(*_lines(use))
        if not found:
            say("No tenant is registered; the first worker registers its own.")
    return ExitCode.CONFIGURATION if any(use.differs for use in found) else ExitCode.DONE


@app.command(
    epilog=examples(
        "gatepost tenants accept default",
        "gatepost tenants accept default --from Xy12AbCd@acme.eu.auth0.com --dry-run",
    )
)
def accept(
    name: NameArgument,
    *,
    before: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="CLIENT_ID@DOMAIN",
            help="Application whose open operations are moved [default: the one registered so far].",
        ),
    ] = None,
    dry_run: DryRunOption = False,
    yes: YesOption = False,
    as_json: JsonOption = False,
) -> ExitCode:
    """Accept a client id or domain that was changed on purpose.

    Registers the Auth0 application of this configuration under the tenant name. Moves the open operations of the earlier application to the
    new one. To move a campaign, use `gatepost campaign resume --accept-tenant`.

    Do not use this command if two environments share a Redis. It would move the operations of the other environment.
    """
    earlier = None if before is None else Application.read(before)
    if before is not None and earlier is None:
        raise InvalidCommand([FieldError("from", "must be CLIENT_ID@DOMAIN, as tenants list shows it")])
    with _control() as control:
        found = control.accept(name, earlier, dry_run=True)
        if not dry_run:
            confirm(f"{_sentence(name, found)}?", sure=yes)
            found = control.accept(name, earlier)
    text = f"{'would change' if dry_run else 'changed'}: {_sentence(name, found)}"
    show(_document(name, found, dry_run=dry_run), text, as_json=as_json)
    if found.in_flight and not as_json:
        say(f"{counted(found.in_flight, 'attempt is', 'attempts are')} under way; run it again in a minute.")
    return ExitCode.DONE


def _lines(use: TenantUse) -> Iterator[str]:
    yield f"{use.name:<12}{use.registered.stored if use.registered else 'not registered yet'}"
    if use.own is None:
        yield f"{'':<12}not configured here"
    elif use.differs:
        yield f"{'':<12}configured here: {use.own.stored}"
    for application, number in use.open.items():
        yield f"{'':<12}{counted(number, 'open operation')} for {application.stored if application else 'the registered one'}"


def _sentence(name: str, found: Acceptance) -> str:
    earlier = f" instead of {found.before}" if found.before else ""
    return f"{name} is registered for {found.after}{earlier}; {counted(found.operations, 'open operation')} moved"


def _document(name: str, found: Acceptance, *, dry_run: bool) -> dict[str, object]:
    return {
        "tenant": name,
        "dry_run": dry_run,
        "before": found.before and found.before.as_json(),
        "after": found.after.as_json(),
        "operations": found.operations,
        "in_flight": found.in_flight,
    }
