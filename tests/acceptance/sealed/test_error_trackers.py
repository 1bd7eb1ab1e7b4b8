"""A worker with sentry-sdk's defaults, and rich's tracebacks with locals: whatever fails, neither shows a person or a secret."""

from __future__ import annotations

import contextlib
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from gatepost import errors as e
from gatepost_core.broker.messages import SUBMIT
from gatepost_core.broker.publishing import publish
from gatepost_core.campaigns.row import Row
from gatepost_core.kinds import Channel, Queue
from gatepost_simulator.settings import DEV_CLIENT_SECRET
from support.planted_secrets import found

if TYPE_CHECKING:
    from gatepost import Producer
    from support.stack import Stack

NAME = "canary-q7x2v9"
EMAIL = f"{NAME}@example.com"
PHONE = "+447700900847"
CODE = "914377"
SECRETS = [NAME, PHONE, f'"{CODE}"', f"'{CODE}'", DEV_CLIENT_SECRET]
QUEUES = "gatepost.login,gatepost.send,gatepost.bulk"
TAGS = ("bad-email", "invalid-client", "mfa", "drop-after", "503-after", "idtoken-bad-aud")


def tracked(stack: Stack, **environment: str) -> None:
    """Start a worker with error trackers, whose set-up takes a while."""
    path = str(Path(__file__).parents[2])
    options = [
        "-A",
        "support.tracked_worker",
        "worker",
        "-n",
        "tracked@test",
        "-Q",
        QUEUES,
        "--without-gossip",
        "--without-mingle",
    ]
    worker = stack.start("tracked", "-m", "celery", *options, PYTHONPATH=path, **environment)
    stack.until(lambda: "ready." in worker.output(), "the worker is ready", worker, timeout=120)


def submit(producer: Producer, command: Any) -> Any:
    """Push a plain command as a system in another language does; return what Celery keeps of it."""
    identity = str(uuid.uuid4())
    publish(producer.app, SUBMIT, Queue.SEND, identity, {"command": command, "idempotency_key": f"for {EMAIL}"})
    return producer.app.AsyncResult(identity)


def assert_shows_nobody(stack: Stack) -> str:
    """Return the trackers' records, after a check that they contain no planted value."""
    files = [stack.directory / name for name in ("sentry.jsonl", "rich.log")]
    text = "\n".join(file.read_text(encoding="utf-8") for file in files if file.exists()) + stack.output()
    assert found(SECRETS, text) == []
    return text


def work_of_every_kind(stack: Stack, *, ends: bool = True, answers: bool = True) -> None:
    """Sends, logins, submissions and a campaign, which go well or do not; wait for their ends, if they come."""
    with stack.producer() as producer:
        asked = [producer.send_email(EMAIL), producer.send_sms(PHONE), producer.login_with_email(EMAIL, CODE)]
        asked += [producer.send_email(f"{NAME}+{tag}@example.com") for tag in TAGS]
        asked += [producer.login_with_email(f"{NAME}+{tag}@example.com", CODE) for tag in TAGS]
        results = [
            submit(producer, command)
            for command in (
                {"kind": "send_email", "email": EMAIL},
                {"kind": "send_email", "email": f"{NAME} at home"},
                {"kind": "login_with_sms", "phone_number": PHONE, "code": CODE, "extra": {"otp": CODE}},
                {"kind": "send_email", "email": EMAIL, "tenant": "acme"},
                f'{{"email": "{EMAIL}"',
                f"{NAME} is no seal",
                [EMAIL],
            )
        ]
        campaign_id = producer.campaigns.create("spring")
        producer.campaigns.add(campaign_id, [Row(n, Channel.EMAIL, f"{NAME}{n}@example.com") for n in range(5)])
        producer.campaigns.start(campaign_id)
        for result in results if answers else ():
            with contextlib.suppress(e.GatepostError):
                result.get(timeout=120)
        for handle in asked if ends else ():
            handle.wait(120)


@pytest.mark.parametrize("pii", ["", "1"], ids=["with defaults", "with personal data"])
def test_nothing_that_fails_in_a_worker_shows_anybody(stack: Stack, pii: str) -> None:
    """Refusals, lost answers, malformed and refused submissions; also where Sentry is configured to record arguments."""
    tracked(stack, TRACKED_PII=pii)
    work_of_every_kind(stack)

    text = assert_shows_nobody(stack)
    assert "submission.not_opened" in text


@pytest.mark.parametrize("broken", ["clients", "ledger"])
def test_nothing_that_breaks_in_a_worker_shows_anybody(stack: Stack, broken: str) -> None:
    """Unexpected faults whose text quotes the person, in every kind of task."""
    tracked(stack, TRACKED_WORKER_BREAKS=broken, TRACKED_WORKER_HOLDS=f"{EMAIL} {CODE!r}")
    work_of_every_kind(stack, ends=False, answers=broken != "ledger")
    # Without the ledger, a worker returns submissions to their queue.
    sign = "message.not_taken" if broken == "ledger" else "failed_unexpectedly"
    stack.until(lambda: sign in stack.output(), "something has broken")

    text = assert_shows_nobody(stack)
    assert "Error at " in text
    assert "tracked_worker.py" in text
