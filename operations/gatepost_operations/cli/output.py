"""Output: data on stdout, messages on stderr, one JSON object on request."""

from __future__ import annotations

import shutil
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, TextIO

from gatepost_core.errors import FieldError, GatepostError, InvalidCommand
from gatepost_core.safe_text import visible, visible_json
from gatepost_operations.cli.wrapping import wrapped

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from gatepost_operations.cli.exit_codes import ExitCode


# Its file holds the recipients that are wrong.
_GUESTS: Final = "--guest-list"


def write(*lines: str) -> None:
    """Write data on stdout, one line per text. Control characters and line ends are escaped. On a terminal, long lines wrap at words."""
    _write_lines(sys.stdout, lines)


def write_json(document: Mapping[str, Any]) -> None:
    """Write the command's one JSON object on stdout."""
    _write_text(sys.stdout, f"{visible_json(document)}\n")


def show(document: Mapping[str, Any], *lines: str, as_json: bool) -> None:
    """Write the command's result: the document as JSON, or the lines."""
    if as_json:
        write_json(document)
    else:
        write(*lines)


def say(*lines: str) -> None:
    """Write messages on stderr, one line per text, escaped in the same way."""
    if sys.stderr is not None:
        _write_lines(sys.stderr, lines)


def width_of(stream: TextIO) -> int | None:
    """Return the columns of the terminal that a stream writes to; None if it writes to something else."""
    if not stream.isatty():
        return None
    return shutil.get_terminal_size().columns


def is_terminal(stream: TextIO | None) -> bool:
    """Whether a stream is open and a terminal."""
    return stream is not None and stream.isatty()


def _write_lines(stream: TextIO | None, lines: Iterable[str]) -> None:
    shown: Iterable[str] = map(visible, lines)
    width = None if stream is None else width_of(stream)
    if width is not None:
        shown = (part for line in shown for part in wrapped(line, width))
    _write_text(stream, "".join(f"{line}\n" for line in shown))


def _write_text(stream: TextIO | None, text: str) -> None:
    if stream is None:
        raise GatepostError(
            "standard output is closed, so the result cannot be shown; open it, such as with >/dev/null"
        )
    stream.write(text)
    stream.flush()


def show_error(error: BaseException, code: ExitCode, *, as_json: bool, options: Sequence[str] = ()) -> None:
    """Show an error: one sentence on stderr, or one JSON object on stdout.

    Args:
        error: the error.
        code: the exit code.
        as_json: whether the command was asked for JSON.
        options: the words of the command line. A field whose option is among them is named as that option.
    """
    if not as_json:
        say(f"gatepost: {_with_options(error, options)}")
        return
    document: dict[str, Any] = {
        "type": type(error).__name__,
        "message": sentence_of(error),
        "exit_code": int(code),
    }
    if isinstance(error, InvalidCommand):
        document["problems"] = [{"field": one.field, "problem": one.problem} for one in error.problems]
    write_json({"error": document})


def blames_options(error: BaseException, words: Sequence[str]) -> bool:
    """Whether an error is about the values of options alone, not about an argument or the content of a file.

    Args:
        error: the error.
        words: the words of the command line.
    """
    if not isinstance(error, InvalidCommand):
        return False
    given = _given(words)
    named = [_option(problem) for problem in error.problems]
    return all(option in given and option != _GUESTS and not given[option].startswith("@") for option in named)


def _option(problem: FieldError) -> str:
    """Return the option that a field comes from. A field such as `to 2` names the second value of `--to`."""
    return f"--{problem.field.partition(' ')[0].replace('_', '-')}"


def _typed(problem: FieldError, given: Mapping[str, str]) -> str:
    _, space, place = problem.field.partition(" ")
    option = _option(problem)
    return f"{option}{space}{place}" if option in given else problem.field


def _given(words: Sequence[str]) -> dict[str, str]:
    """Return each option of a command line with the text after it."""
    pairs = zip(words, [*words[1:], ""], strict=True)
    split = ((word.partition("="), following) for word, following in pairs if word.startswith("--"))
    return {name: value if equals else following for (name, equals, value), following in split}


def _with_options(error: BaseException, words: Sequence[str]) -> str:
    if not isinstance(error, InvalidCommand):
        return sentence_of(error)
    given = _given(words)
    problems = [
        FieldError(_typed(problem, given), problem.problem.replace("Input should", "must"))
        for problem in error.problems
    ]
    return str(InvalidCommand(problems))


def sentence_of(error: BaseException) -> str:
    """Return an error as a sentence. Only Gatepost's errors are known to contain no personal data; others give their type."""
    if isinstance(error, GatepostError):
        return str(error)
    if isinstance(error, OSError):
        # Imported only after an error: the readers of files would slow every start.
        full = import_module("gatepost_operations.files.output").full_disk(error)
        if full:
            return f"the output or a temporary file cannot be written: {full}"
    return f"unexpected {type(error).__name__}; for the traceback: gatepost --debug COMMAND"
