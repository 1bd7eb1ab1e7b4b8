"""`gatepost console-users`: the local accounts that sign in to the console of a single machine."""

from importlib import import_module
from typing import Annotated, Any, Literal

import typer

from gatepost_core.errors import FieldError, InvalidCommand
from gatepost_operations.cli.connection import open_redis_without_keys
from gatepost_operations.cli.dev_environment import env_file
from gatepost_operations.cli.exit_codes import ExitCode
from gatepost_operations.cli.inputs import confirm, new_password
from gatepost_operations.cli.options import JsonOption, Missing, YesOption, command_app, examples
from gatepost_operations.cli.output import say, show, write, write_json
from gatepost_operations.extras import require_web
from gatepost_operations.formatting import counted

app = command_app()

_SECURITY = "gatepost_operations.web.console.security"
NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="Name of the account.")]


@app.callback(epilog=examples("gatepost console-users add ana --level admin"))
def console_users() -> None:
    """Manage the local accounts that sign in to the console.

    The accounts are in the file that GATEPOST_CONSOLE_USERS names [default: ~/.config/gatepost/console-users].
    """
    require_web()


@app.command(
    epilog=examples("gatepost console-users add ana --level admin", "gatepost console-users add ana < password.txt")
)
def add(
    name: NameArgument,
    *,
    level: Annotated[
        Literal["read-only", "operator", "admin"], typer.Option("--level", help="Access level.")
    ] = "operator",
    as_json: JsonOption = False,
) -> ExitCode:
    """Add an account, or change its level and password.

    Asks for the password, or reads it from the first line of standard input. Ends the open sessions of the account.
    """
    accounts = _accounts()
    level_of = import_module(f"{_SECURITY}.operators").Level.named
    is_new = accounts.add(name, level_of(level), new_password())
    text = f"{'added' if is_new else 'changed'}: {name}, {level}, in {accounts.path}"
    show({"name": name, "level": level, "new": is_new, "file": str(accounts.path)}, text, as_json=as_json)
    return ExitCode.DONE


@app.command("list", epilog=examples("gatepost console-users list"))
def list_accounts(*, as_json: JsonOption = False) -> ExitCode:
    """List the accounts and their access levels."""
    accounts = _accounts()
    found = sorted(accounts.read().values(), key=lambda one: one.name) if accounts.path.exists() else []
    if as_json:
        write_json({"accounts": [{"name": one.name, "level": str(one.level)} for one in found]})
        return ExitCode.DONE
    width = max((len(one.name) for one in found), default=0)
    write(*(f"{one.name:<{width}}  {one.level}" for one in found))
    say(f"{counted(len(found), 'account')} in {accounts.path}")
    return ExitCode.DONE


@app.command(epilog=examples("gatepost console-users remove ana"))
def remove(name: NameArgument, *, yes: YesOption = False, as_json: JsonOption = False) -> ExitCode:
    """Remove an account. Its sessions end at once."""
    accounts = _accounts()
    if name not in accounts.read():
        raise InvalidCommand([FieldError("name", "is not an account; see: gatepost console-users list")])
    confirm(f"Remove the account {name}?", sure=yes)
    accounts.remove(name)
    show({"removed": name}, f"removed: {name}", as_json=as_json)
    return ExitCode.DONE


@app.command(
    "sign-out",
    epilog=examples("gatepost console-users sign-out ana@example.com", "gatepost console-users sign-out --all"),
)
def sign_out(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="Operator's name, as the console shows it.")
    ] = None,
    *,
    everyone: Annotated[bool, typer.Option("--all", help="Sign out everyone.")] = False,
    as_json: JsonOption = False,
) -> ExitCode:
    """End the open sessions of an operator.

    This also works for an operator who signed in with OIDC.
    """
    if name is None and not everyone:
        raise Missing("NAME", "give it, or --all")
    if name is not None and everyone:
        raise typer.BadParameter("cannot be combined with NAME; leave one out", param_hint="--all")
    sessions = import_module(f"{_SECURITY}.sessions")
    with open_redis_without_keys() as (settings, client):
        ended = sessions.Sessions.at(client, settings.namespace).end_all(name)
    show({"ended": ended}, f"{counted(ended, 'session')} ended", as_json=as_json)
    return ExitCode.DONE


def _accounts() -> Any:
    access = import_module(f"{_SECURITY}.settings").load_console_settings(env_file=env_file())
    return import_module(f"{_SECURITY}.local_accounts").LocalAccounts(access.accounts_file)
