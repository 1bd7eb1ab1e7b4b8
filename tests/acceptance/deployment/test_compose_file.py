"""docker-compose.yml: no secret in it, a limit on every stop, and a form that Compose accepts."""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from gatepost_core.settings import Settings, environment_names
from gatepost_core.settings.known_names import probe_names
from gatepost_operations.web.console.security.settings import console_environment_names
from support.checkout import CHECKOUT
from support.compose_file import read_services, size_in_bytes
from support.new_secrets import new_secrets

if TYPE_CHECKING:
    from pathlib import Path

    from support.compose_file import Service

PROFILES = ("demo", "operator", "monitoring", "web", "probe")
OF_OTHERS = {"redis", "prometheus"}
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
        [binary, *(word for name in PROFILES for word in ("--profile", name)), "config"],
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


def test_no_secret_is_in_a_file_that_is_copied_or_in_an_environment(services: dict[str, Service]) -> None:
    """Neither file names a key or a credential, and what a container's environment says is in which file to look."""
    texts = [(CHECKOUT / name).read_text(encoding="utf-8") for name in ("docker-compose.yml", ".env.example")]
    names = r"^\s*([A-Z0-9_]*(?:SECRET|SEALING_KEYS|FINGERPRINT_KEY|SIGNING_KEY|API_KEY|PASSWORD|_URL)[A-Z_]*)\s*[:=]"
    named = {name for text in texts for name in re.findall(names, text, re.MULTILINE)}
    values = {
        value
        for one in services.values()
        for name, value in one.environment.items()
        if name.endswith("_FILE") and value
    }

    assert {name for name in named if not name.endswith("_FILE")} == {
        "AUTH0_BASE_URL",
        "AUTH0_CLIENT_SIGNING_KEY_PATH",
        "GATEPOST_WEB_API_URL",
        "GATEPOST_CONSOLE_URL",
    }
    assert values
    assert all(value.startswith("/run/secrets/") for value in values)


def test_only_those_who_seal_or_send_hold_keys_and_the_credential(services: dict[str, Service]) -> None:
    """Only workers and the operator's shell call Auth0; a service gets each file that its environment names, and no other."""
    keys = {"sealing_keys", "fingerprint_key"}
    mounted = {name: set(service.definition.get("secrets", ())) for name, service in services.items()}
    named = {
        name: {
            value.removeprefix("/run/secrets/")
            for key, value in one.environment.items()
            if key.endswith("_FILE") and value
        }
        for name, one in services.items()
    }

    callers = {"worker", "worker-bulk", "operator"}
    assert {name for name, files in mounted.items() if files & keys} == callers | {"api", "probe"}
    assert {name for name, files in mounted.items() if "auth0_credential" in files} == callers
    assert mounted == named


@pytest.mark.parametrize("variable", ["AUTH0_CLIENT_SECRET", "AUTH0_CLIENT_SIGNING_KEY"])
def test_a_service_without_the_credential_does_not_look_for_its_file(
    services: dict[str, Service], variable: str
) -> None:
    """The .env of all services names the file; only those that call Auth0 have it."""
    others = {name: one.environment for name, one in services.items() if one.definition.get("env_file")}
    others = {name: others[name] for name in others.keys() - {"worker", "worker-bulk", "operator"}}

    assert others
    assert {environment.get(f"{variable}_FILE") for environment in others.values()} == {""}


def test_every_service_has_limits_of_memory_and_of_its_log(services: dict[str, Service]) -> None:
    """One service fills neither the memory nor the disk of its host, and Redis has room to rewrite its file."""
    logs = [service.definition["logging"] for service in services.values()]
    redis = services["redis"]

    assert all(service.memory_bytes for service in services.values())
    assert all(log["driver"] == "json-file" and {"max-size", "max-file"} == log["options"].keys() for log in logs)
    assert redis.memory_bytes >= 2 * size_in_bytes(redis.command[redis.command.index("--maxmemory") + 1])


def test_new_secrets_change_no_file_that_exists(tmp_path: Path) -> None:
    """A second run leaves keys and a tenant's credential as they are; only the owner opens the directory, and containers read the files."""
    directory = tmp_path / "secrets"
    new_secrets(directory)
    (directory / "auth0_credential").write_text("the tenant's", encoding="utf-8")
    (directory / "broker_url").unlink()
    before = {file.name: file.read_text(encoding="utf-8") for file in directory.iterdir()}
    again = new_secrets(directory)
    after = {file.name: file.read_text(encoding="utf-8") for file in directory.iterdir()}

    assert after == before | {"broker_url": ""}
    assert again.stdout.split() == [f"{directory}/broker_url"]
    assert all(before[name] for name in ("sealing_keys", "fingerprint_key", "redis_url"))
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in directory.iterdir()} == {0o644}


def test_without_keys_no_file_is_written(tmp_path: Path) -> None:
    """A command that prints none is named, and the script fails before it writes half of the files."""
    script = CHECKOUT / "deploy" / "new-secrets"
    done = subprocess.run([script, tmp_path / "secrets", "true"], capture_output=True, text=True, check=False)

    assert done.returncode == 1
    assert done.stderr == "deploy/new-secrets: this printed no keys: true\n"
    assert list((tmp_path / "secrets").iterdir()) == []


def test_every_stop_leaves_time_for_the_longest_call(services: dict[str, Service]) -> None:
    """A worker that is asked to end finishes the call under way and settles it before the engine kills it."""
    settings = Settings()
    longest = max(settings.email_deadline, settings.sms_deadline, settings.login_deadline) + settings.lease_margin

    assert services["worker"].grace_s >= longest
    assert services["worker-bulk"].grace_s >= longest


def test_every_service_is_watched_and_confined(services: dict[str, Service]) -> None:
    """A health check everywhere; ours run without capabilities on a file system that they cannot write."""
    ours = {name: service.definition for name, service in services.items() if name not in OF_OTHERS}
    targets = {name: one["build"].get("target") for name, one in ours.items() if isinstance(one["build"], dict)}

    assert {name for name, service in services.items() if not service.health} == {"operator", "probe"}
    assert all(one["read_only"] and one["cap_drop"] == ["ALL"] for one in ours.values())
    assert targets == {"simulator": "demo"}
    assert services["simulator"].definition["profiles"] == ["demo"]
    assert "ports" not in services["redis"].definition


def test_a_namespace_of_the_env_file_reaches_every_service(compose_directory: Path, tmp_path: Path) -> None:
    """Workers and beat use the queues and keys of one namespace, the health check included."""
    shutil.copy(compose_directory / "docker-compose.yml", tmp_path)
    given = (compose_directory / ".env").read_text(encoding="utf-8")
    (tmp_path / ".env").write_text(f"{given}\nGATEPOST_NAMESPACE=staging\n", encoding="utf-8")

    services = read_services(tmp_path)
    ours = [services[name] for name in ("worker", "worker-bulk", "beat", "operator")]
    spelled = [part for one in ours for part in (*one.command, *one.health) if re.search(r"\bgatepost[.:]", part)]

    assert {one.environment.get("GATEPOST_NAMESPACE") for one in ours} == {"staging"}
    assert spelled == []


def test_the_console_gets_its_identity_provider_from_the_env_file(compose_directory: Path, tmp_path: Path) -> None:
    """Every setting of the provider reaches the console, and the client secret comes from its file."""
    shutil.copy(compose_directory / "docker-compose.yml", tmp_path)
    secret = "GATEPOST_CONSOLE_OIDC_CLIENT_SECRET"
    given = {name: name.lower() for name in console_environment_names() if "OIDC" in name and name != secret}
    text = "".join(f"{name}={value}\n" for name, value in given.items())
    (tmp_path / ".env").write_text((compose_directory / ".env").read_text(encoding="utf-8") + text, encoding="utf-8")
    console = read_services(tmp_path)["console"]

    assert {name: value for name, value in console.environment.items() if "OIDC" in name} == {
        **given,
        f"{secret}_FILE": "/run/secrets/console_client",
    }
    assert "console_client" in console.definition["secrets"]


def test_every_variable_of_the_example_is_read_by_something() -> None:
    """A name in .env.example, in a comment too, is a setting, or a variable of docker-compose.yml."""
    compose = (CHECKOUT / "docker-compose.yml").read_text(encoding="utf-8")
    example = (CHECKOUT / ".env.example").read_text(encoding="utf-8")
    settings = {*environment_names(), *probe_names()}
    read = settings | {f"{name}{suffix}" for name in settings for suffix in ("_FILE", "_COMMAND")}
    read |= set(re.findall(r"\$\{(\w+)", compose))

    named = set(re.findall(r"\b((?:AUTH0|GATEPOST|REDIS)_\w+)", example))

    assert named <= read


def _words(command: str | list[str]) -> list[str]:
    return command.split() if isinstance(command, str) else command
