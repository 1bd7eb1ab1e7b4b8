"""`gatepost keys`: the keys that seal what is stored."""

import secrets
from datetime import UTC, datetime
from typing import Annotated

import typer

from gatepost_core.sealing import KEY_BYTES, Key
from gatepost_operations.cli import key_rotation
from gatepost_operations.cli.exits import ExitCode
from gatepost_operations.cli.options import JsonOption, command_app, examples
from gatepost_operations.cli.output import say, write, write_json

app = command_app()

_RANDOM_BYTES = 6


@app.callback(epilog=examples("gatepost keys new >> .env", "gatepost keys status", "gatepost keys rotate"))
def keys() -> None:
    """Make and rotate the keys that seal what is stored."""


@app.command(epilog=examples("gatepost keys new >> .env", "gatepost keys new --kid 2026-01 --json"))
def new(
    *,
    kid: Annotated[
        str | None,
        typer.Option("--kid", metavar="ID", help="The sealing key's id; today's date and random letters when absent."),
    ] = None,
    as_json: JsonOption = False,
) -> ExitCode:
    """Print a new sealing key and a new fingerprint key, as environment lines."""
    # Two environments that make their keys on one day must not have keys of one id.
    sealing = Key.new(kid or f"k{datetime.now(UTC):%Y%m%d}-{secrets.token_hex(_RANDOM_BYTES)}").reveal()
    fingerprint = secrets.token_urlsafe(KEY_BYTES)
    if as_json:
        write_json({"GATEPOST_SEALING_KEYS": sealing, "GATEPOST_FINGERPRINT_KEY": fingerprint})
        return ExitCode.DONE
    write(f"GATEPOST_SEALING_KEYS={sealing}")
    write(f"GATEPOST_FINGERPRINT_KEY={fingerprint}")
    say("To rotate, put the new sealing key after the old ones first, with a comma; keep the fingerprint key you have.")
    return ExitCode.DONE


app.command(epilog=examples("gatepost keys status", "gatepost keys status --json | jq '.keys[] | select(.values)'"))(
    key_rotation.status
)
app.command(epilog=examples("gatepost keys rotate"))(key_rotation.rotate)
app.command(epilog=examples("gatepost keys forget k20260104"))(key_rotation.forget)
