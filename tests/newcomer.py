"""Follow the tutorial and the example applications on a fresh clone, as a newcomer would: `python tests/newcomer.py`.

It types into terminals what the pages say, line by line, and nothing else. It needs Python, make, git and a package index.
"""

from __future__ import annotations

import http.cookiejar
import os
import re
import shutil
import ssl
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode
from urllib.request import HTTPCookieProcessor, HTTPSHandler, OpenerDirector, build_opener

import pexpect

from support.checkout import CHECKOUT
from support.markdown_blocks import blocks_of

PROMPT = "newcomer> "
MOST_S = 300
STEP_S = 180
PERSON = "ana@example.com"
PAGE = "http://127.0.0.1:8000"
TROUBLE = re.compile(r"Traceback|SyntaxError|command not found|No such file")


class Terminal:
    """A terminal in the clone. It counts the lines that are typed."""

    typed = 0

    def __init__(self, directory: Path) -> None:
        # The pages know nothing of settings that this process may have.
        kept = {name: os.environ[name] for name in os.environ if not name.startswith(("GATEPOST_", "AUTH0_", "PYTHON"))}
        environment = {**kept, "PS1": PROMPT, "TERM": "dumb", "NO_COLOR": "1"}
        self.shell = pexpect.spawn(
            "bash", ["--norc", "-i"], cwd=str(directory), env=environment, encoding="utf-8", timeout=STEP_S
        )
        self.shell.setwinsize(24, 80)
        self.shell.delaybeforesend = 0
        self.shell.expect_exact(PROMPT)

    def type(self, text: str, *, until: str | None = None) -> str:
        """Type lines, and wait for the prompt after each; after the last one for `until`. Return the output."""
        lines = text.splitlines()
        if lines[-1].startswith(" "):
            lines.append("")  # the Enter that ends an indented block
        shown = ""
        for number, line in enumerate(lines):
            Terminal.typed += bool(line.strip())
            self.shell.sendline(line)
            last = number == len(lines) - 1
            self.shell.expect([until] if last and until else [re.escape(PROMPT), ">>> ", r"\.\.\. "])
            shown += self.shell.before
        if TROUBLE.search(shown):
            sys.exit(f"The terminal shows an error:\n{shown}")
        return shown

    def end(self) -> None:
        """Press Ctrl-C until the shell's prompt returns."""
        for _ in range(3):
            self.shell.sendintr()
            if self.shell.expect_exact([PROMPT, pexpect.TIMEOUT], timeout=20) == 0:
                break
        self.shell.close(force=True)


def follow_the_tutorial(clone: Path, stack: ExitStack) -> None:
    """Type the blocks of the tutorial, and compare what they print with the comments beside them."""
    start, second, *steps = blocks_of(clone / "docs" / "tutorial.md")
    first = Terminal(clone)
    stack.callback(first.end)
    first.type(start.code, until="In a second terminal")
    terminal = Terminal(clone)
    stack.callback(terminal.shell.close, force=True)
    terminal.type(second.code)
    shown = [terminal.type(step.code) for step in steps]
    for output, sign in zip(shown, ("accepted", "", "\n2\r", "redeemed", "code"), strict=True):
        if sign not in output:
            sys.exit(f"The tutorial did not print {sign!r}:\n{output}")


def log_in_on_a_page(clone: Path, example: str) -> None:
    """Start an example application as its README says, and log in on its pages."""
    terminal = Terminal(clone)
    try:
        terminal.type(blocks_of(clone / "examples" / example / "README.md")[0].code, until=r"127\.0\.0\.1:8000")
        context = _trusting(clone / ".gatepost" / "simulator" / "ca.pem")
        visit = build_opener(HTTPCookieProcessor(http.cookiejar.CookieJar()), context)
        first = _answer(visit, PAGE)
        action = re.search(r'action="([^"]+)"', first)[1]
        asked = _answer(visit, f"{PAGE}{action}", _form(first, email=PERSON))
        code = _answer(visit, "https://localhost:4430/simulator/codes/ana%40example.com")
        found = re.search(r'"code": ?"(\d+)"', code)
        if not found:
            sys.exit(f"The outbox has no code: {code}")
        greeting = _answer(visit, f"{PAGE}/code", _form(asked, code=found[1]))
        if f"Welcome, {PERSON}" not in greeting:
            sys.exit(f"{example} does not greet the person:\n{greeting}")
    finally:
        terminal.end()


def _form(page: str, **fields: str) -> dict[str, str]:
    # Django's protection against forged requests.
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page)
    return {**fields, **({"csrfmiddlewaretoken": token[1]} if token else {})}


def _trusting(authority: Path) -> HTTPSHandler:
    return HTTPSHandler(context=ssl.create_default_context(cafile=str(authority)))


def _answer(visit: OpenerDirector, url: str, form: dict[str, str] | None = None) -> str:
    until = time.monotonic() + 20
    while True:
        try:
            with visit.open(url, urlencode(form).encode() if form else None, timeout=20) as answer:
                return answer.read().decode()
        except (HTTPError, URLError) as failure:
            # A server that has just started, or a code that is still on its way.
            if time.monotonic() > until:
                sys.exit(f"{url}: {failure}")
            time.sleep(0.2)


def main() -> None:
    """Follow the pages, and print the time and the number of typed lines."""
    begun = time.monotonic()
    directory = Path(tempfile.mkdtemp(prefix="newcomer-"))
    try:
        clone = directory / "gatepost"
        subprocess.run(["git", "clone", "--quiet", str(CHECKOUT), str(clone)], check=True)
        with ExitStack() as stack:
            follow_the_tutorial(clone, stack)
            tutorial, lines = time.monotonic() - begun, Terminal.typed
            print(f"tutorial: {tutorial:.0f} s, {lines} lines typed")
            for example in ("fastapi", "django"):
                log_in_on_a_page(clone, example)
                print(f"{example}: a person has logged in; {time.monotonic() - begun:.0f} s since the clone")
    finally:
        shutil.rmtree(directory)
    if tutorial > MOST_S:
        sys.exit(f"The tutorial promises five minutes and took {tutorial:.0f} s.")


if __name__ == "__main__":
    main()
