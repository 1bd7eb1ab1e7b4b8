"""Draw docs/campaign.svg: a terminal in which `gatepost campaign send` runs against the simulator.

Starts `gatepost dev` in a temporary directory, with a quota and other load, and records the command's terminal output.
Run: python benchmarks/campaign_picture.py
"""

from __future__ import annotations

import codecs
import fcntl
import json
import os
import pty
import re
import ssl
import struct
import subprocess
import sys
import tempfile
import termios
import time
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.request import Request, urlopen

from rich.console import Console
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PICTURE = Path(__file__).parents[1] / "docs" / "campaign.svg"
GATEPOST = Path(sys.executable).with_name("gatepost")
COMMAND = ("campaign", "send", "people.csv", "--name", "spring", "--yes")
COLUMNS, LINES = 120, 40
PEOPLE = 2_000
# The simulator refuses the first two, and loses its answer to the third.
UNLUCKY = ("ana+bad-email@example.org", "eva+bad-email@example.org", "ida+503-after@example.org")
QUOTA = {"tenant": {"size": 100, "refill": 100, "period_s": 1}}
OTHERS_PER_S = 30
SHOWN_PERCENT = 60
START_S = 60.0
_PIECES = re.compile(r"(\r|\n|\x1b\[2K|\x1b\[1A|\x1b\[\?25[lh])")
_PERCENT = re.compile(r"(\d+)%")


def main() -> None:
    """Record one campaign and write the picture."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        with started(directory) as variables:
            set_quota(variables)
            rows = [*UNLUCKY, *(f"guest-{number:04}@example.org" for number in range(PEOPLE))]
            (directory / "people.csv").write_text("\n".join(["email", *rows, ""]), encoding="utf-8")
            screen = screen_while_sending(directory, variables)
    PICTURE.write_text(drawn(screen), encoding="utf-8")
    print(PICTURE)


@contextmanager
def started(directory: Path) -> Iterator[dict[str, str]]:
    """Run `gatepost dev`, and give the variables that it writes for a second terminal."""
    file = directory / "dev.env"
    command = [GATEPOST, "dev", "--data-dir", directory]
    with (directory / "dev.log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as dev:
        try:
            until = time.monotonic() + START_S
            while b"ready" not in (directory / "dev.log").read_bytes() and time.monotonic() < until:
                time.sleep(0.2)
            lines = file.read_text(encoding="utf-8").splitlines()
            pairs = [line.removeprefix("export ").split("=", 1) for line in lines if "=" in line]
            yield {name: value.strip("'\"") for name, value in pairs}
        finally:
            dev.terminate()


def set_quota(variables: Mapping[str, str]) -> None:
    """Give the simulator's tenant a quota, and other applications that use a part of it."""
    put(variables, "quota", QUOTA)
    put(variables, "foreign-traffic", {"rate": OTHERS_PER_S})


def put(variables: Mapping[str, str], route: str, body: Mapping[str, Any]) -> None:
    """Call the simulator's control API."""
    url = f"https://{variables['AUTH0_DOMAIN']}/simulator/{route}"
    request = Request(url, json.dumps(body).encode(), {"content-type": "application/json"}, method="PUT")
    trusted = ssl.create_default_context(cafile=variables["AUTH0_CA_BUNDLE"])
    with urlopen(request, context=trusted):  # noqa: S310 - the simulator on this machine
        return


def screen_while_sending(directory: Path, variables: Mapping[str, str]) -> str:
    """Run the command on a terminal, and return the screen at the moment when most recipients had ended."""
    terminal, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
    environment = {**os.environ, **variables, "TERM": "xterm-256color", "COLUMNS": str(COLUMNS)}
    with subprocess.Popen([GATEPOST, *COMMAND], cwd=directory, env=environment, stdout=theirs, stderr=theirs):
        os.close(theirs)
        written = "".join(parts_of(terminal))
    os.close(terminal)
    return next(screen for screen in screens(written) if percent_of(screen) >= SHOWN_PERCENT)


def parts_of(terminal: int) -> Iterator[str]:
    """Yield the output of a terminal until its other side closes."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    while True:
        try:
            part = os.read(terminal, 65536)
        except OSError:
            return
        if not part:
            return
        yield decoder.decode(part)


def screens(written: str) -> Iterator[str]:
    """Yield the whole screen each time before a line of it is erased."""
    lines, row = [""], 0
    for piece in _PIECES.split(written):
        match piece:
            case "\x1b[2K":
                yield "\n".join(lines)
                lines[row] = ""
            case "\x1b[1A":
                row -= 1
            case "\n":
                row += 1
                lines += [""] * (row + 1 - len(lines))
            case _ if not piece.startswith(("\r", "\x1b[?")):
                lines[row] += piece


def percent_of(screen: str) -> int:
    """Return the percentage that the bar shows, or 0 without a bar."""
    found = _PERCENT.findall(screen)
    return int(found[-1]) if found else 0


def drawn(screen: str) -> str:
    """Draw a terminal's text as SVG, without fonts from other servers."""
    console = Console(record=True, file=StringIO(), width=COLUMNS, force_terminal=True)
    console.print(f"[bold]$[/bold] gatepost {' '.join(COMMAND)}")
    console.print(Text.from_ansi(screen))
    picture = console.export_svg(title="gatepost", unique_id="campaign")
    return re.sub(r"\s*@font-face \{.*?\}\n", "\n", picture, flags=re.DOTALL)


if __name__ == "__main__":
    main()
