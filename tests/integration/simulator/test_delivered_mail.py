"""With an SMTP server, the simulator's e-mails arrive as a tenant's do: with a text and an HTML part, and with the template's faults."""

from __future__ import annotations

import time
from email import message_from_bytes, policy
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

import pytest
import requests

from gatepost_simulator.settings import DEV_CLIENT_ID, DEV_CLIENT_SECRET
from support.free_ports import free_port
from support.mailboxes import MailServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from email.message import EmailMessage

    from gatepost_simulator.server import SimulatorServer

ARRIVED: list[tuple[str, bytes]] = []


@pytest.fixture
def smtp(simulator: SimulatorServer) -> Iterator[None]:
    """An SMTP server that the simulator delivers to."""
    ARRIVED.clear()
    with MailServer(lambda recipient, raw: ARRIVED.append((recipient, raw))) as server:
        simulator.control.change_settings(smtp={"server": server.server})
        yield


def start(simulator: SimulatorServer, **fields: str) -> None:
    body = {"client_id": DEV_CLIENT_ID, "client_secret": DEV_CLIENT_SECRET, "send": "code", **fields}
    assert requests.post(f"{simulator.url}/passwordless/start", json=body, timeout=60).status_code == 200


def next_mail(number: int = 1) -> EmailMessage:
    """Wait for a message that is delivered meanwhile."""
    give_up = time.monotonic() + 60
    while len(ARRIVED) < number:
        assert time.monotonic() < give_up
        time.sleep(0.02)
    return message_from_bytes(ARRIVED[number - 1][1], policy=policy.default)


@pytest.mark.usefixtures("smtp")
def test_a_code_arrives_by_mail(simulator: SimulatorServer) -> None:
    """To its recipient alone, in both parts, with the time of the send; an SMS goes to no SMTP server."""
    start(simulator, connection="sms", phone_number="+447700900847")
    start(simulator, connection="email", email="ana@example.com")
    mail = next_mail()
    code = simulator.control.latest_code("ana@example.com")
    parts = [part.get_content() for part in mail.iter_parts()]

    assert [recipient for recipient, _ in ARRIVED] == ["ana@example.com"]
    assert mail["To"] == "ana@example.com"
    assert len(parts) == 2
    assert all(code in part for part in parts)
    assert abs(parsedate_to_datetime(mail["Date"]).timestamp() - time.time()) < 120


@pytest.mark.usefixtures("smtp")
def test_templates_can_be_broken(simulator: SimulatorServer) -> None:
    """By a link in place of the code, or by neither; a magic link that was asked for is the real one."""
    bodies = []
    for number, template in enumerate(("link", "without_code"), 1):
        simulator.control.change_settings(smtp={"template": template})
        start(simulator, connection="email", email="ana@example.com")
        bodies.append(next_mail(number).get_body(("plain",)))
    simulator.control.change_settings(smtp={"template": "code"})
    start(simulator, connection="email", email="ana@example.com", send="link")
    asked = next_mail(3).get_body(("plain",))
    texts = [body.get_content() for body in (*bodies, asked) if body is not None]

    assert "/passwordless/verify_redirect?" in texts[0]
    assert not any(character.isdigit() for character in texts[1])
    assert simulator.control.outbox()[0]["link"] in texts[2]


def test_a_server_that_is_away_holds_nothing_up(simulator: SimulatorServer) -> None:
    """The send is accepted as at Auth0, and the message is lost."""
    simulator.control.change_settings(smtp={"server": f"127.0.0.1:{free_port()}"})
    start(simulator, connection="email", email="ana@example.com")

    assert simulator.control.count("ana@example.com") == 1
