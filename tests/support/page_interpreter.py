"""Runs the Python blocks of one page in one namespace: a child process that reads a block a line and answers a result a line.

Standard library alone, so that a page sees what a reader's interpreter would.
"""

from __future__ import annotations

import ast
import asyncio
import contextlib
import doctest
import inspect
import io
import json
import os
import sys
import traceback
import types
from typing import Any


def main() -> None:
    """Answer until standard input ends."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    questions = os.fdopen(os.dup(0), encoding="utf-8")
    with open(os.devnull) as nothing, asyncio.Runner() as loop:  # noqa: PTH123 - the null device
        os.dup2(nothing.fileno(), 0)
        # A real module, so that a page's classes can be pickled and have type hints.
        page = sys.modules["__main__"] = types.ModuleType("__main__")
        namespace = page.__dict__
        for line in questions:
            question = json.loads(line)
            printed = io.StringIO()
            with contextlib.redirect_stdout(printed):
                failure = run(question["code"], question["file"], question["line"], namespace, loop)
            answers.write(json.dumps({"printed": printed.getvalue(), "failure": failure}) + "\n")
            answers.flush()


def run(code: str, file: str, line: int, namespace: dict[str, Any], loop: asyncio.Runner) -> str:
    """Run one block and return its traceback, or nothing when it ran through."""
    try:
        if code.lstrip().startswith(">>>"):
            return _examples(code, file, line, namespace)
        # Empty lines before it make the traceback name the page's own lines.
        program = compile("\n" * (line - 1) + code, file, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        if program.co_flags & inspect.CO_COROUTINE:
            loop.run(eval(program, namespace))  # noqa: S307 - the project's own documentation
        else:
            exec(program, namespace)  # noqa: S102 - as above
    except BaseException:  # noqa: BLE001 - a page may raise anything, SystemExit included
        return traceback.format_exc()
    return ""


def _examples(code: str, file: str, line: int, namespace: dict[str, Any]) -> str:
    examples = doctest.DocTestParser().get_doctest(code, namespace, file, file, line - 1)
    report = io.StringIO()
    runner = doctest.DocTestRunner(verbose=False, optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    result = runner.run(examples, out=report.write, clear_globs=False)
    namespace.update(examples.globs)
    return report.getvalue() if result.failed else ""


main()
