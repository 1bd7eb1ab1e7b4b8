"""What the ACL of Redis refuses is named as such, and not as a server that does not answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr

from gatepost_operations.cli.entry import main
from gatepost_operations.web.console.app import create_app
from gatepost_operations.web.console.security.operators import Level, Operator
from support.console_server import TOKEN, WebServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import redis

    from gatepost_core.settings import Settings

REFUSED = "does not allow this user that command or key"
ADA = Operator("ada", Level.ADMIN)


@pytest.fixture
def limited(settings: Settings, redis_client: redis.Redis) -> Iterator[Settings]:
    """A user of Redis that has all commands, and no key."""
    redis_client.acl_setuser("limited", enabled=True, passwords=["+pw"], commands=["+@all"], keys=["none"])
    url = settings.redis_url.get_secret_value().replace("redis://", "redis://limited:pw@")
    yield settings.model_copy(update={"redis_url": SecretStr(url)})
    redis_client.acl_deluser("limited")


@pytest.mark.parametrize(
    "command",
    [["health", "--reconciler"], ["metrics", "--once"], ["doctor", "--offline"], ["recover", "--backup-of=1h"]],
)
def test_commands_name_a_refusal(
    limited: Settings,
    command: list[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The user can then correct the ACL."""
    monkeypatch.chdir(tmp_path)
    assert limited.fingerprint_key is not None
    monkeypatch.setenv("GATEPOST_REDIS_URL", limited.redis_url.get_secret_value())
    monkeypatch.setenv("GATEPOST_SEALING_KEYS", limited.sealing_keys[0].get_secret_value())
    monkeypatch.setenv("GATEPOST_FINGERPRINT_KEY", limited.fingerprint_key.get_secret_value())
    code = main(command)
    said = " ".join("".join(capsys.readouterr()).split())

    assert code != 0
    assert REFUSED in said
    assert "not answer" not in said


@pytest.mark.parametrize("page", ["/workers", "/workers/answers", "/campaigns"])
def test_pages_of_the_console_name_a_refusal(limited: Settings, page: str) -> None:
    """The page says what to correct, and not to wait."""
    app = create_app(limited, "http://127.0.0.1:1", SecretStr("key"), identify=lambda _: (ADA, TOKEN))
    with WebServer(app) as server:
        shown = server.browser.get(page).text

    assert REFUSED in shown
    assert "does not answer" not in shown
