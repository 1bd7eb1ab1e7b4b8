"""The wheel contains the needed files and no others, and the sdist makes the same wheel."""

from __future__ import annotations

import email
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support.checkout import CHECKOUT

if TYPE_CHECKING:
    from email.message import Message

_ROOTS = {
    "gatepost_core": "core",
    "gatepost": "producer",
    "gatepost_worker": "worker",
    "gatepost_operations": "operations",
    "gatepost_simulator": "simulator",
    "gatepost_testing": "testing",
}
_SOURCES = (
    "core",
    "producer",
    "worker",
    "operations",
    "simulator",
    "testing",
    "pyproject.toml",
    "README.md",
    "LICENSE",
)


def _build(source: Path, kind: str, target: Path) -> Path:
    command = [sys.executable, "-m", "build", "--no-isolation", f"--{kind}", "--outdir", str(target), str(source)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return next(target.iterdir())


@pytest.fixture(scope="session")
def clean_source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sources without anything that a working copy gathers."""
    source = tmp_path_factory.mktemp("packaging") / "source"
    source.mkdir()
    for name in (*_SOURCES, "tests", "requirements", "examples", "benchmarks", "docs", "Makefile", "CHANGELOG.md"):
        found = CHECKOUT / name
        if found.is_dir():
            shutil.copytree(found, source / name, ignore=shutil.ignore_patterns("__pycache__", "node_modules"))
        elif found.exists():
            shutil.copy(found, source / name)
    return source


@pytest.fixture(scope="session")
def wheel(clean_source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of the sources."""
    return _build(clean_source, "wheel", tmp_path_factory.mktemp("wheel"))


@pytest.fixture
def metadata(wheel: Path) -> Message:
    """The metadata of the wheel."""
    with zipfile.ZipFile(wheel) as archive:
        name = next(one for one in archive.namelist() if one.endswith(".dist-info/METADATA"))
        return email.message_from_bytes(archive.read(name))


def _names(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return {name for name in archive.namelist() if ".dist-info/" not in name}


def test_the_wheel_holds_exactly_the_three_packages(wheel: Path) -> None:
    """Every module, script and marker of them, so also the Lua; and no `worker` that would shadow a host's own."""
    wanted = {
        str(Path(package) / file.relative_to(CHECKOUT / root / package))
        for package, root in _ROOTS.items()
        for file in (CHECKOUT / root / package).rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }

    assert _names(wheel) == wanted
    assert any(name.endswith(".lua") for name in wanted)
    assert {f"{package}/py.typed" for package in _ROOTS} <= wanted


def test_the_sdist_makes_the_same_wheel(clean_source: Path, wheel: Path, tmp_path: Path) -> None:
    """A build from the sdist gives the contents of the wheel, byte by byte."""
    sdist = _build(clean_source, "sdist", tmp_path / "sdist")
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path / "unpacked", filter="data")
    again = _build(next((tmp_path / "unpacked").iterdir()), "wheel", tmp_path / "again")

    with zipfile.ZipFile(wheel) as first, zipfile.ZipFile(again) as second:
        assert _names(wheel) == _names(again)
        assert all(first.read(name) == second.read(name) for name in _names(wheel))


def test_the_metadata_names_what_is_needed(metadata: Message) -> None:
    """A producer's dependencies have no extra; every dependency of the others has one that exists."""
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    required = metadata.get_all("Requires-Dist", [])

    light = {line.split(";")[0].strip() for line in required if "extra ==" not in line}
    assert len(light) == len(project["dependencies"])
    assert not any(name in line for line in light for name in ("requests", "tenacity", "fastapi", "typer"))
    assert set(metadata.get_all("Provides-Extra", [])) == set(project["optional-dependencies"])
    assert metadata["Requires-Python"] == ">=3.11"
    assert metadata["License-Expression"] == "MIT"


def test_the_wheel_brings_the_command(wheel: Path) -> None:
    """`gatepost` starts the command line."""
    with zipfile.ZipFile(wheel) as archive:
        name = next(one for one in archive.namelist() if one.endswith("entry_points.txt"))

        assert "gatepost = gatepost_operations.cli:main" in archive.read(name).decode()
