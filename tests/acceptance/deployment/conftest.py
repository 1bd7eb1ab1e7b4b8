"""Fixtures of an operator of docker-compose.yml: the file, a .env, and the services."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from support.checkout import CHECKOUT
from support.compose_deployment import Deployment
from support.compose_file import Service, read_services, secret_files
from support.free_ports import free_port
from support.new_secrets import new_secrets

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="session")
def compose_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory after the first lines of docker-compose.yml: the file, the example as .env, and new secrets."""
    directory = tmp_path_factory.mktemp("compose")
    shutil.copy(CHECKOUT / "docker-compose.yml", directory)
    shutil.copy(CHECKOUT / ".env.example", directory / ".env")
    new_secrets(directory / "secrets")
    return directory


@pytest.fixture(scope="session")
def services(compose_directory: Path) -> dict[str, Service]:
    """The services of docker-compose.yml, by name."""
    return read_services(compose_directory)


@pytest.fixture
def deployment(services: dict[str, Service], compose_directory: Path, tmp_path: Path) -> Iterator[Deployment]:
    """The services, ready to be started."""
    numbers = ("8787", "8788", "8790", "8791", "worker:9101", "worker-bulk:9101", "metrics:9808")
    ports = {name: free_port() for name in ("redis", "simulator", "prometheus", *numbers)}
    with Deployment(tmp_path, services, ports, secret_files(compose_directory)) as ready:
        yield ready
