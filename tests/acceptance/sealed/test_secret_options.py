"""No command takes a secret on its command line, where `ps` and the shell's history would keep it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
import typer
from typer.main import get_command

from gatepost_operations.cli.command_table import TABLE
from gatepost_operations.cli.entry import app, load
from gatepost_simulator.__main__ import app as simulator

if TYPE_CHECKING:
    from collections.abc import Iterator

SECRET = re.compile(
    r"code|otp|secret|token|passw|credential|assertion|authorization|(?<!idempotency-)key|email|phone|address",
    re.IGNORECASE,
)
# Options that take a file with the secret are allowed.
FILE = re.compile(r"-(file|dir|path)$")


def commands(name: str, command: Any) -> Iterator[tuple[str, Any]]:
    """Give a command and every one below it, with its name as it is typed."""
    yield name, command
    for verb, one in getattr(command, "commands", {}).items():
        yield from commands(f"{name} {verb}", one)


def all_commands() -> dict[str, Any]:
    """Every command that an operator can type, and the simulator's own."""
    found = {"gatepost": get_command(app), "python -m gatepost_simulator": get_command(simulator)}
    for entry in TABLE:
        found |= dict(commands(f"gatepost {entry.name}", load(entry)))
    return found


COMMANDS = all_commands()


def secret_options(command: Any) -> list[str]:
    """Return the options of a command that take a secret's value."""
    options = [one for one in command.params if one.param_type_name == "option" and not one.is_flag]
    names = [name for option in options for name in (*option.opts, *option.secondary_opts)]
    return [name for name in names if SECRET.search(name) and not FILE.search(name)]


@pytest.mark.parametrize("name", COMMANDS)
def test_no_option_takes_a_secret(name: str) -> None:
    """By the names of the options: a code, a token, a key and a password come from standard input, a file or the environment."""
    assert secret_options(COMMANDS[name]) == []


def test_every_command_is_looked_at() -> None:
    """The simulator's command counts twice; a group counts as a command, because it has options too."""
    assert len(COMMANDS) > len(TABLE)
    assert {"gatepost login", "gatepost campaign send", "gatepost keys new"} <= COMMANDS.keys()
    assert any(one.param_type_name == "option" and not one.is_flag for one in COMMANDS["gatepost login"].params)


def test_a_secret_option_would_be_found() -> None:
    """A rule that nothing can break proves nothing."""
    careless = typer.Typer()

    @careless.command()
    def log_in(
        code: str = "", *, api_key: str = "", code_file: str = "", idempotency_key: str = "", redeem_token: bool = False
    ) -> None:
        """Log in."""

    assert secret_options(get_command(careless)) == ["--code", "--api-key"]
