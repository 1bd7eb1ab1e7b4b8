"""What goes where: data on stdout, messages on stderr, one JSON object when it is asked for."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

from gatepost.errors import GatepostError, InvalidCommand

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gatepost.cli.exits import ExitCode
    from gatepost.outcomes import Outcome


def write(text: str) -> None:
    """Write data, a line or more, on stdout."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def write_json(document: Mapping[str, Any]) -> None:
    """Write the command's one JSON object on stdout."""
    write(json.dumps(document, ensure_ascii=False))


def say(text: str) -> None:
    """Write a message on stderr."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def show_outcome(outcome: Outcome, *, as_json: bool) -> None:
    """Show how an operation stands: `ID STATE [REASON]` on stdout, with what to do about it on stderr; or one JSON object."""
    if as_json:
        write_json(outcome.as_json())
        return
    write(" ".join(part for part in (outcome.operation_id, outcome.state.value, outcome.reason) if part))
    if outcome.reason is not None:
        code = f" (Auth0: {outcome.detail})" if outcome.detail else ""
        say(f"{outcome.reason.advice}{code}")


def show_error(error: BaseException, code: ExitCode, *, as_json: bool) -> None:
    """Show an error: one sentence on stderr, or one JSON object on stdout."""
    if not as_json:
        say(f"gatepost: {sentence_of(error)}")
        return
    document: dict[str, Any] = {
        "type": type(error).__name__,
        "message": sentence_of(error),
        "exit_code": int(code),
    }
    if isinstance(error, InvalidCommand):
        document["problems"] = [{"field": one.field, "problem": one.problem} for one in error.problems]
    write_json({"error": document})


def sentence_of(error: BaseException) -> str:
    """Return what an error says. Only our own errors are sure to hold nothing of a person; others are named by their type."""
    if isinstance(error, GatepostError):
        return str(error)
    return f"unexpected {type(error).__name__}; for the traceback: gatepost --debug COMMAND"
