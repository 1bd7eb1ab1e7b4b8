"""Only reviewed packages are installed: each is pinned and hashed, and no file names a host."""

from __future__ import annotations

import re
import tomllib
from itertools import combinations
from typing import TYPE_CHECKING, Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from support.checkout import CHECKOUT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FILES = sorted((CHECKOUT / "requirements").glob("*.txt"))
PEERS = sorted((CHECKOUT / "benchmarks" / "peers").glob("*.txt"))
# What `make lock` compiles each file from: extras (None: not even the project's own dependencies) and groups of pyproject.toml.
SOURCES = {
    "image": (["worker", "cli", "xlsx", "metrics", "web", "webhooks"], []),
    "image-demo": (["worker", "cli", "simulator"], []),
    "build": (None, ["build"]),
    "run": (["all"], ["build"]),
    "dev": (["all"], ["build", "dev"]),
    "lowest": (["all"], ["build", "dev"]),
    "fuzz": (["all"], ["build", "fuzz"]),
    "docs": (["all"], ["build", "docs"]),
    "audit": ([], ["build", "audit"]),
}


def entries(file: Path) -> list[str]:
    """The file's entries, each on one line with its hashes."""
    return file.read_text(encoding="utf-8").replace("\\\n", " ").split("\n")[:-1]


def pinned(file: Path) -> dict[str, set[str]]:
    """Name to version of everything in a file; another version under another marker counts as well."""
    found: dict[str, set[str]] = {}
    for entry in entries(file):
        requirement = Requirement(entry.partition("--hash")[0])
        [specifier] = requirement.specifier
        found.setdefault(canonicalize_name(requirement.name), set()).add(specifier.version)
    return found


def declared(extras: list[str] | None, groups: list[str]) -> Iterator[Requirement]:
    """What pyproject.toml asks for, extras that name extras resolved."""
    document = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))
    project: dict[str, Any] = document["project"]
    texts = [text for group in groups for text in document["dependency-groups"][group]]
    texts += [] if extras is None else project["dependencies"]
    waiting = [text for extra in extras or () for text in project["optional-dependencies"][extra]]
    while waiting:
        requirement = Requirement(waiting.pop())
        if requirement.name == project["name"]:
            waiting += [text for extra in requirement.extras for text in project["optional-dependencies"][extra]]
        else:
            texts.append(str(requirement))
    yield from map(Requirement, texts)


@pytest.mark.parametrize("file", [*FILES, *PEERS], ids=lambda file: file.stem)
def test_every_entry_is_one_version_with_its_hashes(file: Path) -> None:
    """Neither a range, nor an option, nor a link, nor a host."""
    one = re.compile(r"[A-Za-z0-9._-]+(\[[a-z,]+\])?==[A-Za-z0-9.+!]+( ; [^:@/]+)?( +--hash=sha256:[0-9a-f]{64})+")

    assert [entry for entry in entries(file) if not one.fullmatch(entry)] == []


@pytest.mark.parametrize("name", SOURCES)
def test_the_pins_are_within_what_the_project_asks_for(name: str) -> None:
    """After a change of pyproject.toml, `make lock` must run; an outdated file fails here, without a network."""
    versions = pinned(CHECKOUT / "requirements" / f"{name}.txt")
    missing = [
        str(requirement)
        for requirement in declared(*SOURCES[name])
        if not any(
            requirement.specifier.contains(version) for version in versions.get(canonicalize_name(requirement.name), ())
        )
    ]

    assert missing == []


def test_the_files_agree_with_each_other() -> None:
    """Tests, fuzzing and the audit use the versions that run."""
    versions = {file.stem: pinned(file) for file in FILES if file.stem != "lowest"}
    apart = {
        (first, second, name)
        for first, second in combinations(versions, 2)
        for name in versions[first].keys() & versions[second].keys()
        if versions[first][name] != versions[second][name]
    }

    assert apart == set()
    assert versions["run"].keys() <= versions["dev"].keys()
    assert versions["fuzz"].keys() - versions["run"].keys() == {"atheris"}


def test_the_lowest_versions_are_tested() -> None:
    """Each lower bound in pyproject.toml is the version that `make test-lowest` installs."""
    versions = pinned(CHECKOUT / "requirements" / "lowest.txt")
    bounds = {
        canonicalize_name(requirement.name): Version(specifier.version)
        for requirement in declared(["all"], [])
        for specifier in requirement.specifier
        if specifier.operator == ">="
    }
    tested = {name: Version(version) for name in bounds for version in versions[name]}

    assert bounds
    assert tested == bounds


def test_every_file_has_a_source() -> None:
    """uv.txt names uv alone, which installs the others."""
    assert {file.stem for file in FILES} == {*SOURCES, "uv"}
