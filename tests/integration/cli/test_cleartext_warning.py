"""Every start says which setting sends secrets in clear, where that is allowed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from gatepost_operations.cli.entry import main
from gatepost_worker.process import Process

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pytest

    from gatepost_core.settings import Settings

PASSWORD = "a-password-of-the-broker"
GATEWAY = "http://gateway.internal:8080"


def test_a_worker_names_it_at_its_start(
    make_settings: Callable[..., Settings], capsys: pytest.CaptureFixture[str]
) -> None:
    """The setting's name, and nothing of a URL that may hold more."""
    Process(make_settings(allow_http=True, auth0_base_url=GATEWAY)).prepare()
    warned = capsys.readouterr().out
    Process(make_settings(allow_http=True)).prepare()
    quiet = capsys.readouterr().out

    assert "secrets.in_clear" in warned
    assert "AUTH0_BASE_URL" in warned
    assert GATEWAY not in warned
    assert "secrets.in_clear" not in quiet


def test_a_worker_and_the_doctor_name_the_url_of_a_server_whose_password_is_sent_in_clear(
    make_settings: Callable[..., Settings],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """One line each, without the password; a warning is no failure."""
    url = make_settings().redis_url.get_secret_value()
    # Reaches this machine, though it is no loopback address. No server listens there, so only the warning is looked at.
    broker = f"amqp://gatepost:{PASSWORD}@0.0.0.0:1"
    Process(make_settings(broker_url=broker)).prepare()
    (warned,) = [line for line in capsys.readouterr().out.splitlines() if "secrets.in_clear" in line]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GATEPOST_REDIS_URL", url)
    monkeypatch.setenv("GATEPOST_BROKER_URL", broker)
    monkeypatch.setenv("GATEPOST_BROKER_TIMEOUT", "2")
    main(["doctor", "--offline", "--json"])
    checks = json.loads(capsys.readouterr().out)["checks"]

    assert "GATEPOST_BROKER_URL" in warned
    assert PASSWORD not in warned
    assert [(one["status"], one["found"]) for one in checks if one["name"] == "encryption"] == [
        ("warning", "GATEPOST_BROKER_URL")
    ]


def test_a_command_names_it_on_standard_error(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And is refused without the permission, with the field's name."""
    monkeypatch.chdir(tmp_path)
    assert settings.fingerprint_key is not None
    for name, value in {
        "GATEPOST_REDIS_URL": settings.redis_url.get_secret_value(),
        "GATEPOST_SEALING_KEYS": settings.sealing_keys[0].get_secret_value(),
        "GATEPOST_FINGERPRINT_KEY": settings.fingerprint_key.get_secret_value(),
        "AUTH0_DOMAIN": "tenant.example.com",
        "AUTH0_CLIENT_ID": "client",
        "AUTH0_CLIENT_SECRET": "secret",
        "AUTH0_BASE_URL": GATEWAY,
    }.items():
        monkeypatch.setenv(name, value)
    refused, said = main(["campaign", "list"]), capsys.readouterr().err
    monkeypatch.setenv("GATEPOST_ALLOW_HTTP", "1")
    allowed, warned = main(["campaign", "list", "--json"]), capsys.readouterr()

    assert (refused, allowed) == (4, 0)
    assert "AUTH0_BASE_URL: must begin with https://" in " ".join(said.split())
    assert "AUTH0_BASE_URL: no TLS to another machine" in " ".join(warned.err.split())
    assert warned.out.startswith("{")
