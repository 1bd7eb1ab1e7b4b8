"""Reads the Dockerfile, and carries out the stages that install packages, where there is no engine."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from support.checkout import CHECKOUT

_ENVIRONMENT = "/opt/gatepost"


@dataclass
class Stage:
    """One stage.

    Attributes:
        base: the image, or the stage, that it begins with.
        steps: its instructions with their arguments, in order.
    """

    base: str
    steps: list[tuple[str, str]] = field(default_factory=list)

    def all(self, instruction: str) -> list[str]:
        """Return the arguments of each instruction of one kind."""
        return [arguments for name, arguments in self.steps if name == instruction]


def read_stages(text: str) -> dict[str, Stage]:
    """Return the stages by name, the last one as the engine's default last."""
    stages: dict[str, Stage] = {}
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    for line in "\n".join(lines).replace("\\\n", "").splitlines():
        instruction, _, arguments = line.strip().partition(" ")
        if instruction == "FROM":
            base, _, name = arguments.partition(" AS ")
            stages[name] = Stage(base)
        elif instruction:
            stages[list(stages)[-1]].steps.append((instruction, arguments.strip()))
    return stages


@dataclass
class Build:
    """Carries out stages with the commands of the Dockerfile: the image's paths become directories below `root`."""

    root: Path
    stages: dict[str, Stage]
    python: str

    def environment_of(self, name: str) -> Path:
        """Carry out a stage, and the ones that it needs, and return its virtual environment."""
        place = self.root / name
        if not place.exists():
            self._carry_out(name, place)
        return Path(f"{place}{_ENVIRONMENT}")

    def _carry_out(self, name: str, place: Path) -> None:
        stage = self.stages[name]
        if stage.base in self.stages:
            self.environment_of(stage.base)
            shutil.copytree(self.root / stage.base, place, symlinks=True)
        else:
            (place / "build").mkdir(parents=True)
            subprocess.run([self.python, "-m", "venv", place / "image"], check=True)
        environment = {"PATH": f"{place / 'image' / 'bin'}:{os.environ['PATH']}", "HOME": str(Path.home())}
        for instruction, arguments in stage.steps:
            if instruction == "ENV":
                environment |= dict(pair.split("=", 1) for pair in arguments.split())
            elif instruction == "COPY":
                self._copy(arguments.split(), place / "build")
            elif instruction == "RUN":
                command = arguments.replace(_ENVIRONMENT, f"{place}{_ENVIRONMENT}")
                done = subprocess.run(
                    ["sh", "-ec", command],
                    cwd=place / "build",
                    env=environment,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    text=True,
                    check=False,
                )
                assert done.returncode == 0, f"{command}\n{done.stdout}"

    def _copy(self, words: list[str], build: Path) -> None:
        origin = CHECKOUT
        if given := re.fullmatch(r"--from=(.+)", words[0]):
            self.environment_of(given[1])
            words = words[1:]
            origin = self.root / given[1]
        *sources, target = words
        for source in sources:
            found = origin / source.lstrip("/")
            place = build / target / found.name if target.endswith("/") else build / target
            place.parent.mkdir(parents=True, exist_ok=True)
            if found.is_dir():
                shutil.copytree(found, place, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(found, place)
