"""Planted addresses, numbers, codes, tokens, keys and passwords are searched for in everything the system wrote, wherever it wrote it."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING

import pytest

from gatepost_operations.local.embedded_valkey import EmbeddedValkey
from gatepost_simulator.server import SimulatorServer
from support.canary_journey import Journey, travel
from support.canary_values import NAME, PHONE
from support.planted_secrets import found
from support.stack import Stack
from support.stored_values import unlisted, written_in

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

SURFACES = {
    "broker, events and results": ["task-received", "gatepost.login", "gatepost.bulk", "celery-task-meta", "celeryev"],
    "ledger and campaigns": ["gatepost:campaign", "gatepost:operation", "gatepost:audit"],
    "logs": ["attempt.finished", "http_status", "flower", "console.signed_in", "console.sign_in_failed"],
    "errors": ["RecipientRejected", "MfaRequired", "InvalidCommand", "worker_lost"],
    "flower": ["gatepost.send_email", "flower_events_total", "task-failed", "InvalidCommand", "broker_url"],
    "webhooks": ["operation.ended", "campaign.finished", "webhook-signature"],
    "http answers": [
        "over HTTP",
        "urn:gatepost:problem:invalid",
        "urn:gatepost:problem:wrong-redeem-token",
        "accepted",
        "422",
    ],
    "console pages": [
        "in the console",
        "over HTTP",
        "1 row is invalid",
        "rejected",
        "campaign.reveal",
        "console.sign_in",
        "Dead letter",
        "On the list",
    ],
    "console to api": ["POST /v1/recipient-files/check", "/test HTTP/1.1", "Gatepost-Actor: ada", "reveal=true"],
    "api to console": ["HTTP/1.1 201", "recipient", "urn:gatepost:problem:invalid"],
    "console to redis": ["gatepost:console:session", "gatepost:audit", "HGETALL"],
    "redis to console": ["over HTTP", "in the console", "dead_letter", "campaign.reveal"],
    "command line": ["recipient_rejected", "campaign.export", "accepted", "is not an e-mail address"],
    "process list": [
        "gatepost_operations.cli send-email -",
        "celery -A gatepost_worker flower",
        "gatepost_worker worker",
        "gatepost_operations.cli web --role console",
    ],
    "files": ["appendonly", "attempt.finished", "gatepost:campaign"],
}
"""Each place, and what it must hold for the search to mean anything."""


@pytest.fixture
def journey(tmp_path: Path) -> Iterator[Journey]:
    """Codes are too long to occur by chance in a time stamp."""
    connections = [
        {"name": "email", "strategy": "email", "digits": 12},
        {"name": "sms", "strategy": "sms", "digits": 12},
    ]
    with (
        EmbeddedValkey(tmp_path / "valkey") as valkey,
        SimulatorServer(tls=True, quota={"plan": "unlimited"}, connections=connections) as simulator,
        # The process list shows each program's own command line.
        Stack(valkey, simulator, tmp_path, fresh=True) as stack,
    ):
        yield travel(stack)


def test_the_search_finds_what_is_there() -> None:
    """A search that cannot find anything would pass whatever the code did."""
    body = base64.b64encode(json.dumps({"email": f"{NAME}@example.com"}).encode()).decode()

    assert found([NAME], body) == [NAME]
    assert found([PHONE], "username=%2B447700900847") == [PHONE]


def test_nothing_secret_is_readable(journey: Journey, subtests: pytest.Subtests) -> None:
    """Over success, retry, failure, submission, HTTP, the console and a crash; with logs at DEBUG and Flower open to anybody.

    Only the address that the operator reveals is on a page, and only values that the operator types go from the console to the api.
    """
    assert len(journey.secrets) == 6 + 1 + 12 + 1 + 15
    assert journey.surfaces.keys() == SURFACES.keys()
    for surface, text in journey.surfaces.items():
        with subtests.test(surface):
            assert found(SURFACES[surface], text) == SURFACES[surface]
            assert set(found(journey.secrets, text)) == journey.meant.get(surface, set())
    with subtests.test("the page of stored data lists every field that was stored"):
        assert unlisted(written_in(journey.surfaces["broker, events and results"])) == set()
    with subtests.test("files that hold people are for their owner alone"):
        written = {file.name: file for file in journey.files}
        for name in ("out.csv", "rejects.jsonl"):
            assert NAME in written[name].read_text(encoding="utf-8")
            assert written[name].stat().st_mode & 0o777 == 0o600
