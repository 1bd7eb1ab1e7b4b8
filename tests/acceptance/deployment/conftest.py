"""Fixtures of an operator of docker-compose.yml: the file, a .env, and the services."""

from __future__ import annotations

import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from support.checkout import CHECKOUT
from support.compose_deployment import Deployment
from support.compose_file import Service, read_services
from support.free_ports import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="session")
def compose_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory after the first two lines of docker-compose.yml: the file, and a .env with new keys."""
    directory = tmp_path_factory.mktemp("compose")
    shutil.copy(CHECKOUT / "docker-compose.yml", directory)
    keys = subprocess.run(
        [sys.executable, "-m", "gatepost_operations.cli", "keys", "new"], capture_output=True, text=True, check=True
    )
    example = (CHECKOUT / ".env.example").read_text(encoding="utf-8")
    (directory / ".env").write_text(example + keys.stdout, encoding="utf-8")
    return directory


@pytest.fixture(scope="session")
def services(compose_directory: Path) -> dict[str, Service]:
    """The services of docker-compose.yml, by name."""
    return read_services(compose_directory)


@pytest.fixture
def deployment(services: dict[str, Service], tmp_path: Path) -> Iterator[Deployment]:
    """The services, ready to be started."""
    ports = {name: free_port() for name in ("redis", "simulator", "8787", "8788")}
    with Deployment(tmp_path, services, ports) as ready:
        yield ready
