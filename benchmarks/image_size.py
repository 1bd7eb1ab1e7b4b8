"""The size of the packages in the image: carries out the Dockerfile's own commands, and adds up the files that they install.

Run: make image-size. It needs a package index.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from campaign_setup import expect, keep

sys.path.append(str(Path(__file__).parents[1] / "tests"))

from support.checkout import CHECKOUT
from support.dockerfile import Build, read_stages

MB = 1_000_000


def main() -> None:
    """Print and keep the megabytes of each target."""
    stages = read_stages((CHECKOUT / "Dockerfile").read_text(encoding="utf-8"))
    python = _python_of(stages["runtime"].base)
    with TemporaryDirectory() as root:
        build = Build(Path(root), stages, python)
        _expect_what_is_promised(build)
        found = {name: _megabytes(build.environment_of(f"packages-{name}")) for name in ("default", "demo")}
        tools = _megabytes(Path(root) / "wheel" / "image") - _megabytes(Path(root) / "packages" / "image")
    keep("image_size", {"default_mb": found["default"], "demo_mb": found["demo"], "build_tools_mb": tools})


def _expect_what_is_promised(build: Build) -> None:
    """Read phone numbers and start the modules of a worker in both targets; only the demo has the simulator."""
    for name, has_simulator in (("default", False), ("demo", True)):
        python = build.environment_of(f"packages-{name}") / "bin" / "python"
        everything = "import gatepost_worker.celery, gatepost_worker.tasks, gatepost_operations.cli.entry"
        subprocess.run([python, "-c", everything], check=True)
        check = [python, "-m", "gatepost_operations.cli", "campaign", "check", "-", "--json"]
        rows = "phone_number\n+4915123456789\n"
        done = subprocess.run(check, input=rows, capture_output=True, text=True, check=True)
        expect(json.loads(done.stdout)["valid"] == 1, "the number is valid")
        simulator = subprocess.run([python, "-c", "import gatepost_simulator.server"], capture_output=True, check=False)
        expect((simulator.returncode == 0) == has_simulator, f"{name} has the simulator: {has_simulator}")


def _python_of(image: str) -> str:
    """Return an interpreter of the image's version, such as 3.13 of `python:3.13-slim`: from the path, or one of pyenv's."""
    version = image.partition(":")[2].partition("-")[0]
    known = [*Path.home().glob(f".pyenv/versions/{version}.*/bin/python3"), Path(f"python{version}")]
    for one in known:
        found = subprocess.run(
            [one, "-c", "import sys; print(sys.executable)"], capture_output=True, text=True, check=False
        )
        if not found.returncode:
            return found.stdout.strip()
    sys.exit(f"python{version}, which the image has, is not installed")


def _megabytes(directory: Path) -> int:
    files = [file for file in directory.rglob("*") if file.is_file() and not file.is_symlink()]
    return round(sum(file.stat().st_size for file in files) / MB)


if __name__ == "__main__":
    main()
