"""What the processes of `gatepost web` write: lines like those of a worker, and no person in them."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from gatepost_operations.web.console.security.operators import Level
from gatepost_operations.web.keyless import without_keys
from gatepost_operations.web.server import config_of
from support.console_accounts import SignedInConsole, write_accounts

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

OPERATOR = "ana.silva@example.com"
QUERY = "guest-5b1c"
PEOPLE = ("ana.silva", "example.com", QUERY, "127.0.0.9")
API_KEY = "a key of the console, for these tests"
LINE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z \[(\w+) *\] .+")
UPGRADE = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "AA=="}


@dataclass
class Served:
    """A role in a process of its own, and what it wrote when it has ended."""

    url: str = ""
    printed: str = ""
    log: list[str] = field(default_factory=list)

    def lines(self, event: str) -> list[dict[str, Any]]:
        """Return the lines of an event."""
        return [line for line in map(json.loads, self.log) if line["event"] == event]


@contextmanager
def serving(role: str, directory: Path, **variables: str) -> Iterator[Served]:
    """Run `gatepost web` for a role until the block ends."""
    command = [sys.executable, "-m", "gatepost_operations.cli", "web", "--role", role, "--port", "0"]
    environment = {**os.environ, "GATEPOST_WEB_API_KEY": API_KEY, **variables}
    log = directory / f"{role}.log"
    with (
        log.open("w") as written,
        subprocess.Popen(
            command, cwd=directory, env=environment, stdout=subprocess.PIPE, stderr=written, text=True
        ) as process,
    ):
        assert process.stdout is not None
        served = Served(process.stdout.readline().split()[-1])
        try:
            yield served
        finally:
            process.send_signal(signal.SIGTERM)
            served.printed = process.communicate(timeout=60)[0]
            served.log = log.read_text().splitlines()


def use_console(directory: Path, **variables: str) -> Served:
    """Sign in with an e-mail address as the name, fail to sign in from another address, and ask for a page of the API."""
    accounts = write_accounts(directory / "users", {Level.ADMIN: OPERATOR, Level.OPERATOR: "otto"})
    variables |= {"GATEPOST_CONSOLE_USERS": str(accounts), "GATEPOST_WEB_API_URL": "http://127.0.0.1:1"}
    with serving("console", directory, **variables) as served:
        console = SignedInConsole(served.url, accounts)
        browser = console.browser()
        assert console.try_password(browser, OPERATOR).status_code == 303
        assert console.try_password(console.browser(), "otto").status_code == 303
        browser.get(f"/suppression?address={QUERY}@example.com")
        with httpx.Client(transport=httpx.HTTPTransport(local_address="127.0.0.9"), base_url=served.url) as stranger:
            stranger.headers["Sec-Fetch-Site"] = "same-origin"
            assert console.try_password(stranger, OPERATOR, "wrong").status_code == 403
        httpx.get(served.url, params={"address": f"{QUERY}@example.com"}, headers=UPGRADE)
        console.close()
    return served


def use_api(directory: Path, **variables: str) -> Served:
    """Ask without a key, and for a WebSocket, each with an address in the query."""
    with serving("api", directory, **variables) as served:
        asked = {"address": f"{QUERY}@example.com"}
        assert httpx.get(f"{served.url}/v1/campaigns", params=asked).status_code == 401
        httpx.get(f"{served.url}/v1/campaigns", params=asked, headers=UPGRADE)
    return served


def shown(served: Served) -> list[str]:
    """Return what of a person is in the output."""
    return [one for one in PEOPLE if one in served.printed + "".join(served.log)]


@pytest.mark.usefixtures("configured")
def test_the_console_writes_json_lines_and_names_no_person(tmp_path: Path) -> None:
    """An account that is an address is a digest, and so is the browser's address. Uvicorn's lines have the same form."""
    served = use_console(tmp_path, GATEPOST_LOG_LEVEL="DEBUG")
    signed_in, failed = served.lines("console.signed_in"), served.lines("console.sign_in_failed")
    named = [line["operator"] for line in signed_in]

    assert shown(served) == []
    assert served.printed == ""
    assert re.fullmatch(r"password:[0-9a-f]{16}", named[0])
    assert named[1:] == ["password:otto"]
    assert [line["access_level"] for line in signed_in] == ["admin", "operator"]
    assert [(line["error"], len(line["address"])) for line in failed] == [("WrongPassword", 16)]
    lines = [json.loads(line) for line in served.log]
    assert all({"event", "level", "logger", "timestamp"} <= line.keys() for line in lines)
    assert {"uvicorn.error", "gatepost.console"} <= {line["logger"] for line in lines}


@pytest.mark.usefixtures("configured")
def test_the_api_writes_json_lines_and_no_query(tmp_path: Path) -> None:
    """Its start is in the log, too, and not only warnings."""
    served = use_api(tmp_path)
    levels = {json.loads(line)["level"] for line in served.log}

    assert shown(served) == []
    assert levels == {"info", "warning"}
    assert [line["reason"] for line in served.lines("api.refused")] == ["no valid key"] * 2


@pytest.mark.usefixtures("configured")
@pytest.mark.parametrize(
    ("use", "level", "found"),
    [(use_console, "INFO", {"info", "warning"}), (use_api, "WARNING", {"warning"})],
)
def test_the_console_format_is_text_for_people(tmp_path: Path, use: Any, level: str, found: set[str]) -> None:
    """Each line begins with its time and its level, and shows no person either. Lower levels are left out."""
    served = use(tmp_path, GATEPOST_LOG_FORMAT="console", GATEPOST_LOG_LEVEL=level)
    lines = [LINE.fullmatch(line) for line in served.log]

    assert shown(served) == []
    assert {line and line[1] for line in lines} == found


def test_the_command_for_both_roles_passes_the_settings_of_the_log_on() -> None:
    """The console gets an environment without keys, and with these."""
    settings = {"GATEPOST_LOG_FORMAT": "console", "GATEPOST_LOG_LEVEL": "DEBUG"}

    assert without_keys({**settings, "GATEPOST_FINGERPRINT_KEY": "k"}) == settings


def test_the_server_takes_no_web_sockets() -> None:
    """With a library for them, uvicorn logs the URL of each with its query."""
    assert config_of(None).ws == "none"
