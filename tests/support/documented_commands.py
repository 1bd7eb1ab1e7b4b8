"""Reads the commands that a page runs in a container, with the files that its shell connects to them."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

from support.checkout import CHECKOUT

if TYPE_CHECKING:
    import subprocess


@dataclass(frozen=True)
class ContainerCommand:
    """A command in a container.

    Attributes:
        words: the command as the container runs it.
        given: the text on its standard input.
    """

    words: list[str]
    given: str


def container_commands(page: str, prefix: str) -> list[ContainerCommand]:
    """Return the console commands of a page in `docs/how-to` that begin with a prefix, such as `kubectl exec`."""
    text = (CHECKOUT / "docs" / "how-to" / page).read_text(encoding="utf-8")
    return [_parsed(line.removeprefix(f"$ {prefix} ")) for line in text.splitlines() if line.startswith(f"$ {prefix} ")]


def assert_file_was_sent(results: list[subprocess.CompletedProcess[str]], *, messages: int) -> None:
    """Assert that check, send, watch, export and the invalid rows gave what a page promises for `examples/people.csv`.

    Args:
        results: the results of the documented commands, in the order of the page.
        messages: how many messages the tenant sent for them.
    """
    _, _, watched, exported, rejects = results
    recipients = [json.loads(line) for line in exported.stdout.splitlines()]

    assert [one.returncode for one in results] == [6, 0, 0, 0, 0], [one.stderr for one in results]
    assert "finished" in watched.stdout + watched.stderr
    assert {one["state"] for one in recipients} == {"accepted"}
    assert messages == len(recipients)
    assert {"email", "error_line"} <= set(rejects.stdout.splitlines()[0].lstrip("\ufeff").split(","))


def _parsed(command: str) -> ContainerCommand:
    words = shlex.split(command)
    ends = [place for place, word in enumerate(words) if word in {"<", ">"}]
    files = {words[place]: words[place + 1] for place in ends}
    given = (CHECKOUT / files["<"]).read_text(encoding="utf-8") if "<" in files else ""
    return ContainerCommand(words[: min(ends, default=len(words))], given)
