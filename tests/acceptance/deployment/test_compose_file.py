"""docker-compose.yml: no secret in it, a limit on every stop, and a form that Compose accepts."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from gatepost_core.settings import Settings, environment_names
from support.checkout import CHECKOUT
from support.compose_file import read_services

if TYPE_CHECKING:
    from pathlib import Path

    from support.compose_file import Service

_IN_CI = os.environ.get("CI", "").lower() in {"1", "true"}


@pytest.fixture(scope="session")
def as_compose_reads_it(compose_directory: Path) -> dict[str, Any]:
    """The file as Debian's Compose resolves it."""
    binary = shutil.which("docker-compose")
    if binary is None:
        if _IN_CI:
            pytest.fail("docker-compose is not installed; .ci/run installs it")
        pytest.skip("docker-compose is not on the PATH; on Debian: apt-get install docker-compose")
    done = subprocess.run(
        [binary, "--profile", "demo", "config"],
        cwd=compose_directory,
        capture_output=True,
        text=True,
        check=False,
        # Only .env speaks, as in a shell of an operator without variables of ours.
        env={"PATH": os.environ["PATH"], "HOME": str(compose_directory)},
    )
    assert done.returncode == 0, done.stderr
    document: dict[str, Any] = yaml.safe_load(done.stdout)
    return document


def test_compose_accepts_the_file(as_compose_reads_it: dict[str, Any], services: dict[str, Service]) -> None:
    """Compose finds the services, with the commands and the environment that the other tests run."""
    found = {
        name: (service.get("environment", {}), _words(service["command"]))
        for name, service in as_compose_reads_it["services"].items()
    }

    assert found == {name: (service.environment, service.command) for name, service in services.items()}


def test_the_file_contains_no_secret() -> None:
    """Secrets come from .env; the file names neither a credential nor a key."""
    text = (CHECKOUT / "docker-compose.yml").read_text(encoding="utf-8")

    assert not re.search(r"(SECRET|SEALING_KEYS|FINGERPRINT_KEY|SIGNING_KEY|PASSWORD)\w*\s*[:=]", text, re.IGNORECASE)


def test_only_workers_hold_credentials(services: dict[str, Service]) -> None:
    """Beat, Redis and the simulator run without a key and without a credential."""
    secret = re.compile(r"SECRET|KEY")

    holders = {name for name, service in services.items() if secret.search(json.dumps(service.environment))}

    assert holders == {"worker", "worker-bulk"}


def test_every_stop_leaves_time_for_the_longest_call(services: dict[str, Service]) -> None:
    """A worker that is asked to end finishes the call under way and settles it before the engine kills it."""
    settings = Settings()
    longest = max(settings.email_deadline, settings.sms_deadline, settings.login_deadline) + settings.lease_margin

    assert services["worker"].grace_s >= longest
    assert services["worker-bulk"].grace_s >= longest


def test_every_service_is_watched_and_confined(services: dict[str, Service]) -> None:
    """A health check everywhere; ours run without capabilities on a file system that they cannot write."""
    ours = [service.definition for name, service in services.items() if name != "redis"]

    assert all(service.health for service in services.values())
    assert all(one["read_only"] and one["cap_drop"] == ["ALL"] and one["build"] == "." for one in ours)
    assert services["simulator"].definition["profiles"] == ["demo"]
    assert "ports" not in services["redis"].definition


def test_a_namespace_of_the_env_file_reaches_every_service(compose_directory: Path, tmp_path: Path) -> None:
    """Workers and beat use the queues and keys of one namespace, the health check included."""
    shutil.copy(compose_directory / "docker-compose.yml", tmp_path)
    given = (compose_directory / ".env").read_text(encoding="utf-8")
    (tmp_path / ".env").write_text(f"{given}\nGATEPOST_NAMESPACE=staging\n", encoding="utf-8")

    services = read_services(tmp_path)
    ours = [services[name] for name in ("worker", "worker-bulk", "beat")]
    spelled = [part for one in ours for part in (*one.command, *one.health) if re.search(r"\bgatepost[.:]", part)]

    assert {one.environment.get("GATEPOST_NAMESPACE") for one in ours} == {"staging"}
    assert spelled == []


def test_every_variable_of_the_example_is_read_by_something() -> None:
    """A name in .env.example, in a comment too, is a setting, or a variable of docker-compose.yml."""
    compose = (CHECKOUT / "docker-compose.yml").read_text(encoding="utf-8")
    example = (CHECKOUT / ".env.example").read_text(encoding="utf-8")
    settings = set(environment_names())
    read = settings | {f"{name}{suffix}" for name in settings for suffix in ("_FILE", "_COMMAND")}
    read |= set(re.findall(r"\$\{(\w+)", compose))

    named = set(re.findall(r"\b((?:AUTH0|GATEPOST|REDIS)_\w+)", example))

    assert named <= read


def _words(command: str | list[str]) -> list[str]:
    return command.split() if isinstance(command, str) else command
