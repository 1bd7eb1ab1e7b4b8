"""A newcomer starts the API and the console apart, as the console's own message and its page say."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import SecretStr

from gatepost_core.campaigns.model import Options, Status
from gatepost_operations.cli.exit_codes import ExitCode
from gatepost_operations.web.api.app import create_app as create_api
from gatepost_operations.web.console.app import create_app as create_console
from gatepost_operations.web.console.security.operators import Level, Operator
from support.campaign_parts import email, rows
from support.console_accounts import SignedInConsole, write_accounts
from support.console_server import TOKEN, WebServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from gatepost.campaigns.control import Campaigns
    from gatepost_core.settings import Settings


@pytest.fixture
def draft(campaigns: Campaigns) -> str:
    """A draft with three recipients."""
    campaign_id = campaigns.create("Spring invitation", Options())
    campaigns.add(campaign_id, rows(3))
    return campaign_id


def web(role: str) -> list[str]:
    return [sys.executable, "-m", "gatepost_operations.cli", "web", "--role", role, "--port", "0"]


@contextmanager
def served(role: str, directory: Path, environment: dict[str, str]) -> Iterator[str]:
    """Serve a role in a separate process; give its URL."""
    with (
        (directory / f"{role}.log").open("w") as log,
        subprocess.Popen(
            web(role), cwd=directory, env={**os.environ, **environment}, stdout=subprocess.PIPE, stderr=log, text=True
        ) as process,
    ):
        assert process.stdout is not None
        try:
            yield process.stdout.readline().split()[1]
        finally:
            process.terminate()


@pytest.fixture
def users(configured: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The console's accounts."""
    del configured
    path = write_accounts(tmp_path / "users")
    monkeypatch.setenv("GATEPOST_CONSOLE_USERS", str(path))
    return path


def test_the_message_of_the_console_leads_to_a_console_that_may_do_everything(
    tmp_path: Path, users: Path, draft: str, campaigns: Campaigns
) -> None:
    """The printed command makes the key of both processes. The operator starts, reveals, suppresses and exports."""
    refused = subprocess.run(web("console"), cwd=tmp_path, capture_output=True, text=True, check=False)
    command = re.search(
        r"GATEPOST_WEB_API_KEY is not set;.* the same secret value, such as the output of: (.+)", refused.stderr
    )
    assert command is not None, refused.stderr
    key = subprocess.run(["bash", "-c", command[1]], capture_output=True, text=True, check=True).stdout.strip()
    steps: list[tuple[str, dict[str, str]]] = [
        *(("start", {}), ("recipients/1/reveal", {})),
        *(("suppress", {"confirmed": "3"}), ("export", {"confirmed": "3"})),
    ]
    given = {"GATEPOST_WEB_API_KEY": key}
    with (
        served("api", tmp_path, given) as api,
        served("console", tmp_path, {**given, "GATEPOST_WEB_API_URL": api}) as url,
        closing(SignedInConsole(url, users)) as console,
    ):
        operator = console.signed_in(Level.OPERATOR)
        pages = [operator.post(f"/campaigns/{draft}/{path}", data=data) for path, data in steps]
        looked_up = operator.post("/suppression/find", data={"recipient": email(1)})

    assert refused.returncode == ExitCode.CONFIGURATION
    assert [page.status_code for page in pages] == [303, 200, 303, 200]
    assert email(1) in pages[1].text
    assert email(2) in pages[3].text
    assert "On the list" in looked_up.text
    assert campaigns.status(draft).status is Status.RUNNING
    assert len(campaigns.suppressions) == 3


@pytest.mark.usefixtures("users")
def test_an_empty_key_counts_as_not_set(tmp_path: Path) -> None:
    """The console does not start with a key that opens nothing."""
    environment = {**os.environ, "GATEPOST_WEB_API_KEY": ""}
    refused = subprocess.run(
        web("console"), cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120, check=False
    )

    assert refused.returncode == ExitCode.CONFIGURATION
    assert "GATEPOST_WEB_API_KEY is not set" in refused.stderr


@pytest.mark.usefixtures("configured")
@pytest.mark.parametrize("refusal", ["A valid API key is needed", "lacks the scope campaigns"])
def test_a_key_that_the_api_refuses_is_named_with_the_setting(
    run: Callable[..., tuple[int, Any]], settings: Settings, draft: str, campaigns: Campaigns, refusal: str
) -> None:
    """Neither another value nor a key for other programs is the console's key. The operator is not blamed."""
    other = run("api-keys", "create", "other", "--scope", "console")[1]["key"]
    key = SecretStr(other if "scope" in refusal else "1" * 64)
    identity = Operator("ada", Level.ADMIN), TOKEN
    with (
        WebServer(create_api(settings.model_copy(update={"web_api_key": SecretStr("0" * 64)}))) as api,
        WebServer(create_console(settings, api.url, key, identify=lambda _: identity)) as console,
    ):
        answer = console.browser.post(f"/campaigns/{draft}/start")

    assert answer.status_code == 502
    assert refusal in answer.text
    assert "Give the API and the console the same GATEPOST_WEB_API_KEY." in answer.text
    assert campaigns.status(draft).status is Status.DRAFT
