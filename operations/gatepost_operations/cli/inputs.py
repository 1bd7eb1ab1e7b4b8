"""Input besides options: an address or a code from standard input, JSON from a file, a confirmation."""

from __future__ import annotations

import json
import sys
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import typer

from gatepost_core.errors import FieldError, InvalidCommand, InvalidValue
from gatepost_core.points_in_time import TOO_FAR, require_near
from gatepost_core.safe_text import visible
from gatepost_operations.cli.exit_codes import Refused
from gatepost_operations.cli.output import is_terminal, say, width_of
from gatepost_operations.cli.wrapping import wrapped

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

STANDARD_INPUT: Final = "-"


def address_from(given: str) -> str:
    """Return the address: the argument itself, or the first line of standard input for `-`.

    Raises:
        InvalidCommand: standard input is empty.
    """
    if given != STANDARD_INPUT:
        return given
    return _line("address")


@contextmanager
def naming(field: str) -> Iterator[None]:
    """Name the argument in the error of a value that cannot be used.

    Raises:
        InvalidCommand: the value cannot be used.
    """
    try:
        yield
    except InvalidValue as problem:
        raise InvalidCommand([FieldError(field, str(problem))]) from None


def code_from(file: Path | None, *, address: str) -> str:
    """Return the one-time code: from a file, a prompt that does not echo, or the next line of standard input.

    Args:
        file: a file with the code.
        address: the ADDRESS argument. `-` takes the first line of standard input, so the code is the second.

    Raises:
        InvalidCommand: the code is missing.
    """
    if file is not None:
        return _text_of(file, "code").strip()
    if is_terminal(sys.stdin) and address != STANDARD_INPUT:
        return str(typer.prompt("One-time code", hide_input=True, err=True))
    return _line("code")


def new_password() -> str:
    """Return a new password: from a prompt that does not echo and asks twice, or the first line of standard input.

    Raises:
        InvalidCommand: standard input is empty.
    """
    if is_terminal(sys.stdin):
        return str(typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True))
    return _line("password")


def url_from(given: str) -> str:
    """Return the URL: the argument itself, or the first line of standard input for `-`, which other users cannot see.

    Raises:
        InvalidCommand: standard input is empty.
    """
    return _line("url") if given == STANDARD_INPUT else given


def reference_from(given: str) -> str:
    """Return the operation's id: the argument itself. `-` takes the reference of a login from the first line of standard input.

    Raises:
        InvalidCommand: standard input is empty, or the argument is a reference, which other users could see.
    """
    if given == STANDARD_INPUT:
        return _line("reference")
    if "." in given:
        raise InvalidCommand(
            [
                FieldError(
                    "operation",
                    "must not hold a redeem token, which is a secret: give -, and the reference on standard input",
                )
            ]
        )
    return given


# As typer.confirm adds them.
_ANSWERS: Final = " [y/N]:"


def confirm(question: str, *, sure: bool, flag: str = "--yes") -> None:
    """Ask for confirmation on a terminal. Elsewhere the flag must have been given.

    Raises:
        Refused: the answer is no, or there is no terminal.
    """
    if sure:
        return
    if not is_terminal(sys.stdin):
        raise Refused(f"Without a terminal, this needs {flag}. Nothing was done.")
    *first, last = wrapped(f"{visible(question)}{_ANSWERS}", width_of(sys.stderr) or sys.maxsize)
    say(*first)
    if not typer.confirm(last.removesuffix(_ANSWERS), err=True):
        raise Refused("Nothing was done.")


def choose(question: str, letters: str) -> str:
    """Ask on a terminal for one of some letters, and return it in lower case. Enter means the last letter."""
    choices = "/".join([*letters[:-1], letters[-1].upper()])
    while True:
        answer = str(
            typer.prompt(f"{visible(question)} [{choices}]", default=letters[-1], show_default=False, err=True)
        )
        if (first := answer.strip().lower()[:1]) in set(letters):
            return first


def json_object(given: str | None, field: str) -> dict[str, Any] | None:
    """Return the JSON object that an option holds, or that the file after its `@` holds.

    Raises:
        InvalidCommand: it is not a JSON object; the message does not quote it.
    """
    if given is None:
        return None
    text = _text_of(Path(given[1:]), field) if given.startswith("@") else given
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        raise InvalidCommand([FieldError(field, "is not JSON")]) from None
    if not isinstance(document, dict):
        raise InvalidCommand([FieldError(field, "is not a JSON object")])
    return document


def deadline_in(seconds: float | None) -> datetime | None:
    """Return the time this many seconds from now.

    Raises:
        InvalidCommand: the time is too far away.
    """
    try:
        return None if seconds is None else require_near(datetime.now(UTC) + timedelta(seconds=seconds))
    except (OverflowError, ValueError):
        raise InvalidCommand([FieldError("deadline", TOO_FAR)]) from None


def given_only(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that were given."""
    return {name: value for name, value in options.items() if value is not None}


def _line(field: str) -> str:
    if sys.stdin is None:
        raise InvalidCommand([FieldError(field, "is missing: standard input is closed")])
    line = sys.stdin.readline().strip()
    if not line:
        raise InvalidCommand([FieldError(field, "is missing: standard input is empty")])
    return line


def _text_of(file: Path, field: str) -> str:
    try:
        return file.expanduser().read_text(encoding="utf-8")
    except (OSError, ValueError, RuntimeError) as failure:
        # A name with a null byte or an unknown home raises ValueError or RuntimeError.
        raise InvalidCommand([FieldError(field, f"{file} cannot be read: {_why(failure)}")]) from None


def _why(failure: Exception) -> str:
    if isinstance(failure, OSError):
        return failure.strerror or type(failure).__name__
    return "it is not UTF-8 text" if isinstance(failure, UnicodeError) else "that is not a path"
