"""mypy and pyright refuse wrong options of the public methods, and accept right ones."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from support.checkout import CHECKOUT

if TYPE_CHECKING:
    from pathlib import Path

CALLS = """
from datetime import UTC, datetime, timedelta

from gatepost import AsyncProducer, CampaignOptions, Channel, Handle, Producer, Row, SendingHours
from gatepost.errors import CodeRejected


def right(producer: Producer) -> None:
    handle: Handle = producer.send_email(
        "ana@example.com", send="link", language="de", deadline=timedelta(minutes=2), auth_params={"scope": "openid"},
        client_ip="203.0.113.7", connection="email", on_unknown="resend", extra={"a": 1}, idempotency_key="k", tenant="eu",
    )
    producer.send_sms("+447700900123", language="en", deadline=datetime.now(UTC))
    producer.login_with_email("ana@example.com", "123456", scope="openid", audience="a", organization="o", nonce="n", max_age=1)
    producer.login_with_sms("+447700900123", "123456", realm="sms")
    campaign = producer.campaigns.create("spring", CampaignOptions(send="link", rate=30, start_at=datetime.now(UTC)))
    producer.campaigns.add(campaign, [Row(1, Channel.EMAIL, "ana@example.com", language="de")])
    producer.campaigns.change_rate(campaign, 30)
    CampaignOptions(hours=SendingHours.parse("09:00-18:00", "Europe/Berlin"))
    try:
        print(handle.redeem().access_token)
    except CodeRejected as failure:
        print(failure.reason)


async def right_too(producer: AsyncProducer) -> None:
    handle = await producer.send_email("ana@example.com", send="code")
    print((await handle.wait()).state)


def wrong(producer: Producer) -> None:
    producer.send_email("ana@example.com", langauge="de")  # wrong
    producer.send_email("ana@example.com", send="cdoe")  # wrong
    producer.send_email("ana@example.com", deadline=30)  # wrong
    producer.send_email("ana@example.com", on_unknown="retry")  # wrong
    producer.send_email("ana@example.com", code="123456")  # wrong
    producer.send_sms("+447700900123", send="link")  # wrong
    producer.send_sms("+447700900123", conection="sms")  # wrong
    producer.login_with_email("ana@example.com")  # wrong
    producer.login_with_email("ana@example.com", "123456", auth_params={})  # wrong
    producer.login_with_email("ana@example.com", "123456", max_age="1")  # wrong
    producer.login_with_sms("+447700900123", "123456", organisation="o")  # wrong
    producer.campaigns.create("spring", CampaignOptions(langauge="de"))  # wrong
    producer.campaigns.create("spring", CampaignOptions(send="cdoe"))  # wrong
    producer.campaigns.create("spring", send="link")  # wrong
    producer.campaigns.change_rate("id", "fast")  # wrong
    Row(1, Channel.EMAIL, "ana@example.com", langauge="de")  # wrong


async def wrong_too(producer: AsyncProducer) -> None:
    await producer.send_email("ana@example.com", langauge="de")  # wrong
    await producer.send_sms("+447700900123", send="link")  # wrong
    await producer.login_with_email("ana@example.com", "1", scopes="openid")  # wrong
    await producer.login_with_sms("+447700900123", "1", deadline=30)  # wrong
"""
WRONG = {number for number, line in enumerate(CALLS.splitlines(), start=1) if line.endswith("# wrong")}


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("typed") / "calls.py"
    path.write_text(CALLS)
    return path


def test_mypy_refuses_exactly_the_wrong_calls(program: Path) -> None:
    """Without the plugin of pydantic, as in an application."""
    (program.parent / "mypy.ini").write_text("[mypy]\n")
    command = [
        sys.executable,
        "-m",
        "mypy",
        "--strict",
        "--no-error-summary",
        "--cache-dir",
        str(CHECKOUT / ".mypy_cache" / "calls"),
    ]
    done = subprocess.run([*command, "calls.py"], cwd=program.parent, capture_output=True, text=True, check=False)
    found = {int(line.split(":")[1]) for line in done.stdout.splitlines() if " error: " in line}

    assert found == WRONG, done.stdout + done.stderr


def test_pyright_refuses_exactly_the_wrong_calls(program: Path) -> None:
    """As editors do."""
    command = [sys.executable, "-m", "pyright", "--outputjson", "--pythonpath", sys.executable, "calls.py"]
    done = subprocess.run(command, cwd=program.parent, capture_output=True, text=True, check=False)
    reported = json.loads(done.stdout)["generalDiagnostics"]
    found = {each["range"]["start"]["line"] + 1 for each in reported if each["severity"] == "error"}

    assert found == WRONG, done.stdout + done.stderr
