"""`gatepost web` serves each role in a separate process, and the console's process gets no keys."""

from __future__ import annotations

import signal
import subprocess
import sys
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest

from gatepost_operations.cli.entry import main
from gatepost_operations.cli.exit_codes import ExitCode
from gatepost_operations.web.keyless import drop_keys, keyless_settings, without_keys

if TYPE_CHECKING:
    from pathlib import Path

GATEPOST = [sys.executable, "-m", "gatepost_operations.cli"]


@pytest.mark.usefixtures("configured")
def test_the_api_serves_until_a_signal(tmp_path: Path) -> None:
    """It prints its URL when it accepts connections, and ends with exit code 0."""
    command = [*GATEPOST, "web", "--role", "api", "--port", "0"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        name, url = process.stdout.readline().split()
        with urllib.request.urlopen(f"{url}/v1/health", timeout=60) as answer:  # noqa: S310 - our own server
            status = answer.status
        process.send_signal(signal.SIGTERM)
        code = process.wait(60)

    assert (name, status, code) == ("api", 200, 0)


@pytest.mark.usefixtures("configured")
def test_a_taken_port_is_one_sentence(capsys: pytest.CaptureFixture[str], valkey: Any) -> None:
    """An operator sees the port and the options, and no traceback."""
    code = main(["web", "--role", "api", "--port", valkey.url.rpartition(":")[2].partition("/")[0]])

    assert code == ExitCode.CONFIGURATION
    assert "choose others with --host and --port" in capsys.readouterr().err


def test_the_console_s_environment_has_no_keys(variables: dict[str, str]) -> None:
    """Neither values nor the files and commands that hold them reach the console's process."""
    sources = {"GATEPOST_SEALING_KEYS_FILE": "keys", "GATEPOST_FINGERPRINT_KEY_COMMAND": "cat key"}
    left = without_keys({**variables, **sources, "GATEPOST_TENANTS": "[]", "PATH": "/bin"})

    assert left == {"GATEPOST_REDIS_URL": variables["GATEPOST_REDIS_URL"], "PATH": "/bin"}


def test_keys_in_files_do_not_reach_the_console(
    variables: dict[str, str], monkeypatch: pytest.MonkeyPatch, empty_directory: Path
) -> None:
    """A project's `.env` gives the console the address of Redis alone."""
    (empty_directory / ".env").write_text("".join(f"{name}={value}\n" for name, value in variables.items()))
    environment = dict(variables)
    drop_keys(environment)
    for name in variables:
        monkeypatch.delenv(name, raising=False)
    settings = keyless_settings(".env")

    assert environment.keys() == {"GATEPOST_REDIS_URL"}
    assert settings.redis_url.get_secret_value() == variables["GATEPOST_REDIS_URL"]
    assert (settings.sealing_keys, settings.fingerprint_key) == ((), None)
    assert (settings.auth0_domain, settings.auth0_client_secret) == (None, None)
