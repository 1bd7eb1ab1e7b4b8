"""Breaks the rules that carry the promises, one at a time, and says whether the tests notice.

`tests/mutations.toml` lists the mutations. Each is applied to a copy of the checkout, where the tests that it names must fail. A mutation
that cannot be loaded, or whose tests time out, proves nothing of a test: it counts as a survivor.

    make mutants                                          all
    make mutants MUTANTS="--changed-since HEAD~20"        those of files that changed since a commit
    make mutants MUTANTS="--name settle"                  those with this text in their rule
"""

from __future__ import annotations

import argparse
import os
import queue
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import tomllib
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from itertools import chain, count
from pathlib import Path
from typing import TYPE_CHECKING

import redis

from gatepost_operations.local.embedded_valkey import EmbeddedValkey

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

CHECKOUT = Path(__file__).resolve().parent.parent
LIST = "tests/mutations.toml"
COPIES = 2
LONGEST_S = 150.0
"""Seconds that the tests of one mutation may take. Unmutated they take one to ten."""
_SOME_FAILED = 1
_source_times = count(1)


@dataclass(frozen=True, slots=True)
class Mutation:
    """One rule, and the text that breaks it.

    Attributes:
        rule: the rule that the line carries.
        file: the file, from the checkout's root.
        line: the text to replace; it occurs once.
        becomes: its replacement.
        tests: node ids, or files, of which at least one test must fail.
    """

    rule: str
    file: str
    line: str
    becomes: str
    tests: tuple[str, ...]

    def mutated(self, source: str) -> str:
        """Return the file's text with the rule broken.

        Raises:
            ValueError: the text to replace does not occur exactly once.
        """
        if (times := source.count(self.line)) != 1:
            raise ValueError(f"{self.rule}: the text occurs {times} times in {self.file}, not once")
        return source.replace(self.line, self.becomes)


def read_mutations(path: Path) -> list[Mutation]:
    """Return the listed mutations."""
    listed = tomllib.loads(path.read_text())["mutation"]
    return [Mutation(**{**one, "tests": tuple(one["tests"])}) for one in listed]


class Copy:
    """A copy of the checkout, in which tests run."""

    def __init__(self, at: Path) -> None:
        self.at = at
        settings = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())
        self._roots = settings["tool"]["hatch"]["build"]["dev-mode-dirs"]
        listed = _git("ls-files", "--cached", "--others", "--exclude-standard", "-z").split("\0")
        for name in filter(None, listed):
            # A file that was deleted and not committed is listed too.
            with suppress(FileNotFoundError):
                (at / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(CHECKOUT / name, at / name)

    def python(self, *arguments: str, timeout_s: float | None = LONGEST_S) -> subprocess.CompletedProcess[str]:
        """Run Python in the copy, with the copy's sources. `returncode` is -1 when it took too long."""
        # Before the directories of the editable installation, which come with the interpreter.
        paths = os.pathsep.join(str(self.at / root) for root in self._roots)
        environment = {
            **os.environ,
            "PYTHONPATH": paths,
            "PYTHONPYCACHEPREFIX": str(self.at / "build" / "bytecode"),
        }
        command = [sys.executable, *arguments]
        with subprocess.Popen(
            command,
            cwd=self.at,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            process_group=0,
        ) as process:
            try:
                output, _ = process.communicate(timeout=timeout_s)
            except subprocess.TimeoutExpired:
                # The servers that the tests have started, too.
                os.killpg(process.pid, 9)
                output, _ = process.communicate()
                return subprocess.CompletedProcess(command, -1, output)
        return subprocess.CompletedProcess(command, process.returncode, output)

    def test(self, *tests: str, timeout_s: float | None = LONGEST_S) -> subprocess.CompletedProcess[str]:
        """Run tests until one fails."""
        options = ("-x", "-q", "--tb=line")
        return self.python("-m", "pytest", *options, *tests, timeout_s=timeout_s)

    def check_sources(self) -> None:
        """Make sure that the copy's sources are imported.

        Raises:
            SystemExit: they are not.
        """
        packages = [path.parent.name for root in self._roots for path in (self.at / root).glob("*/__init__.py")]
        script = f"import {', '.join(packages)}\nfor one in ({', '.join(packages)}): print(one.__file__)"
        found = self.python("-c", script).stdout.split()
        if len(found) != len(packages) or not all(Path(one).is_relative_to(self.at) for one in found):
            sys.exit(f"The copy's own sources are not imported: {found}")


def write_source(target: Path, text: str) -> None:
    """Replace a source file, so that no code that was compiled before counts as its own.

    Python knows compiled code by the size of its source and its time in seconds, and mutations of one file can have the same size.
    """
    target.write_text(text)
    seconds = next(_source_times)
    os.utime(target, (seconds, seconds))


def judge(copy: Copy, mutation: Mutation, server: redis.Redis) -> str | None:
    """Break a rule in the copy, run its tests, and make it whole again; return why the mutation survived, or None."""
    target = copy.at / mutation.file
    whole = target.read_text()
    broken = mutation.mutated(whole)
    times = target.stat()
    try:
        write_source(target, broken)
        return _why_not_compiled(mutation, broken, server) or why_survived(copy.test(*mutation.tests))
    finally:
        target.write_text(whole)
        os.utime(target, ns=(times.st_atime_ns, times.st_mtime_ns))


def _why_not_compiled(mutation: Mutation, source: str, server: redis.Redis) -> str | None:
    if mutation.file.endswith(".lua"):
        try:
            server.script_load(source)
        except redis.ResponseError as error:
            return f"it does not compile: {error}"
        return None
    try:
        compile(source, mutation.file, "exec")
    except SyntaxError as error:
        return f"it does not compile: {error}"
    return None


def why_survived(tests: subprocess.CompletedProcess[str]) -> str | None:
    """Return why a mutation survived these tests; None when one of them failed."""
    if tests.returncode == -1:
        return f"its tests took more than {LONGEST_S:.0f} s"
    if tests.returncode == 0:
        return "its tests pass"
    # An import or a fixture that breaks, or a test that is not found, says nothing of the rule.
    if tests.returncode != _SOME_FAILED or not re.search(r"^FAILED ", tests.stdout, re.MULTILINE):
        return f"its tests did not run:\n{tests.stdout}"
    return None


class Round:
    """All chosen mutations, over several copies at once."""

    def __init__(self, copies: Sequence[Copy], chosen: Sequence[Mutation], server: redis.Redis) -> None:
        self._copies = copies
        self._server = server
        self._chosen = chosen
        self._left: queue.SimpleQueue[Mutation] = queue.SimpleQueue()
        self.survivors: list[str] = []
        for mutation in chosen:
            self._left.put(mutation)

    def prove_tests_pass(self) -> None:
        """Run every named test on the sources as they are, a share in each copy.

        Raises:
            SystemExit: one fails, and so would tell nothing of a mutation.
        """
        by_file: dict[str, list[str]] = {}
        for test in sorted({test for mutation in self._chosen for test in mutation.tests}):
            by_file.setdefault(test.partition("::")[0], []).append(test)
        of_files, copies = list(by_file.values()), len(self._copies)
        shares = [list(chain.from_iterable(of_files[at::copies])) for at in range(copies)]
        results: list[subprocess.CompletedProcess[str]] = []

        def run(copy: Copy, share: list[str]) -> None:
            if share:
                results.append(copy.test(*share, timeout_s=None))

        _at_once(threading.Thread(target=run, args=pair) for pair in zip(self._copies, shares, strict=True))
        failed = [result.stdout for result in results if result.returncode != 0]
        if failed:
            sys.exit("\n".join(["Without a mutation, too, tests fail:", *failed]))

    def run(self) -> None:
        """Judge every mutation, and print each as it is judged."""
        _at_once(threading.Thread(target=self._work, args=(copy,)) for copy in self._copies)

    def _work(self, copy: Copy) -> None:
        with suppress(queue.Empty):
            while True:
                mutation = self._left.get_nowait()
                started = time.monotonic()
                try:
                    why = judge(copy, mutation, self._server)
                except (OSError, ValueError) as error:
                    why = f"it could not be judged: {error}"
                seconds = time.monotonic() - started
                if why is not None:
                    self.survivors.append(f"{mutation.rule} ({mutation.file}): {why}")
                print(f"{'killed  ' if why is None else 'SURVIVED'} {seconds:5.1f} s  {mutation.rule}", flush=True)


def _at_once(threads: Iterable[threading.Thread]) -> None:
    started = list(threads)
    for thread in started:
        thread.start()
    for thread in started:
        thread.join()


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=CHECKOUT, check=True, capture_output=True, text=True).stdout


def _chosen(listed: Sequence[Mutation], *, changed_since: str | None, name: str) -> list[Mutation]:
    chosen = [mutation for mutation in listed if name.casefold() in mutation.rule.casefold()]
    if changed_since is None:
        return chosen
    changed = set(_git("diff", "--name-only", "-z", changed_since).split("\0"))
    # A test that was changed may no longer notice.
    return [one for one in chosen if changed & {one.file, *(test.partition("::")[0] for test in one.tests)}]


def main() -> int:
    """Run the mutations that the arguments choose; return 1 when one survives."""
    parser = argparse.ArgumentParser(description="Break the rules that carry the promises, one at a time.")
    parser.add_argument("--changed-since", metavar="REF", help="only mutations whose file or tests changed since then")
    parser.add_argument("--name", default="", help="only mutations with this text in their rule")
    given = parser.parse_args()
    chosen = _chosen(read_mutations(CHECKOUT / LIST), changed_since=given.changed_since, name=given.name)
    if not chosen:
        print("No mutation is concerned.")
        return 0
    started = time.monotonic()
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="gatepost-mutants-")))
        valkey = stack.enter_context(EmbeddedValkey(scratch / "valkey"))
        server = stack.enter_context(redis.Redis.from_url(valkey.url))
        copies = [Copy(scratch / f"copy-{number}") for number in range(min(COPIES, len(chosen)))]
        for copy in copies:
            copy.check_sources()
        todo = Round(copies, chosen, server)
        todo.prove_tests_pass()
        print(f"Unmutated, all named tests pass ({time.monotonic() - started:.0f} s).", flush=True)
        todo.run()
    for survivor in todo.survivors:
        print(f"\nSurvived: {survivor}")
    killed = len(chosen) - len(todo.survivors)
    print(f"\n{killed} of {len(chosen)} mutations killed in {time.monotonic() - started:.0f} s.")
    return 1 if todo.survivors else 0


if __name__ == "__main__":
    sys.exit(main())
