"""Planted addresses, numbers, codes and tokens are searched for in everything the system wrote, wherever it wrote it."""

from __future__ import annotations

import base64
import contextlib
import json
import socket
import threading
import traceback
from typing import TYPE_CHECKING, Self

import pytest

from gatepost import errors as e
from gatepost.messages import SUBMIT, Queue
from gatepost.queueing import publish
from gatepost.sealing import Keyring, Purpose
from gatepost_simulator.server import SimulatorServer
from stack import SEALING_KEY, Stack

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from gatepost import Producer
    from gatepost.embedded import EmbeddedValkey
    from stack import Program

NAME = "canary-q7x2v9"
PHONE = "+447700900847"


QUEUES = "gatepost.login,gatepost.send"


@pytest.fixture
def long_codes(valkey: EmbeddedValkey, tmp_path: Path) -> Iterator[Stack]:
    """A stack whose codes are too long to stand by chance in a time stamp."""
    connections = [
        {"name": "email", "strategy": "email", "digits": 12},
        {"name": "sms", "strategy": "sms", "digits": 12},
    ]
    with (
        SimulatorServer(tls=True, quota={"plan": "unlimited"}, connections=connections) as simulator,
        Stack(valkey, simulator, tmp_path) as stack,
    ):
        yield stack


class Recording:
    """Every command that any client sends to Valkey, as its MONITOR shows them: broker, headers, events, ledger, results."""

    def __init__(self, stack: Stack) -> None:
        self._connection = socket.create_connection(("127.0.0.1", stack.valkey.port))
        self._seen = bytearray()
        self._thread = threading.Thread(target=self._listen, daemon=True)

    def _listen(self) -> None:
        while more := self._connection.recv(1 << 16):
            self._seen += more

    def __enter__(self) -> Self:
        self._connection.sendall(b"MONITOR\r\n")
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.shutdown(socket.SHUT_RDWR)
        self._thread.join(10)
        self._connection.close()

    def text(self) -> str:
        return self._seen.decode("utf-8", "replace")


def forms(secret: str) -> list[str]:
    """Return how a text could stand in a log or in a base64 body: as it is, percent-encoded, and in base64 at any offset."""
    shifted = [base64.b64encode(b"\0" * pad + secret.encode())[4 if pad else 0 : -4].decode() for pad in range(3)]
    return [secret, secret.replace("+", "%2B").replace("@", "%40"), *shifted]


def found(secrets: list[str], text: str) -> list[str]:
    return [secret for secret in secrets if any(form in text for form in forms(secret))]


def test_the_search_finds_what_is_there() -> None:
    """A search that cannot find anything would pass whatever the code did."""
    body = base64.b64encode(json.dumps({"email": f"{NAME}@example.com"}).encode()).decode()

    assert found([NAME], body) == [NAME]
    assert found([PHONE], "username=%2B447700900847") == [PHONE]


def fail_in_every_way(stack: Stack, producer: Producer) -> list[str]:
    """Retry, deferral, refusal, loss, a second factor; return what the caller was told."""
    told = []
    for tag in ("429-once", "drop-after", "503-after", "bad-email", "invalid-client", "mfa", "idtoken-bad-aud"):
        tagged = f"{NAME}+{tag}@example.com"
        try:
            producer.send_email(tagged).result(30)
            producer.login_with_email(tagged, stack.simulator.control.latest_code(tagged), scope="openid").redeem(30)
        except e.GatepostError as failure:
            told.append("".join(traceback.format_exception(failure)))
    return told


def submit_sealed(producer: Producer) -> list[str]:
    """A command that another system sealed, and one that is wrong; return what the caller was told."""
    told = []
    good = {"kind": "send_email", "email": f"{NAME}@example.com"}
    bad = {"kind": "send_email", "email": NAME, "extra": {"client_secret": NAME}}
    for identity, document in (("submission-1", good), ("submission-2", bad)):
        sealed = Keyring([SEALING_KEY]).seal(json.dumps(document).encode(), Purpose.submission())
        publish(producer.app, SUBMIT, Queue.SEND, identity, {"command": sealed})
        try:
            told.append(repr(producer.app.AsyncResult(identity).get(timeout=30)))
        except e.InvalidCommand as failure:
            told.append("".join(traceback.format_exception(failure)))
    return told


def crash(stack: Stack, producer: Producer, worker: Program, recipient: str) -> str:
    """Kill the worker in the middle of an attempt; return what the caller was told."""
    control = stack.simulator.control
    before = control.count(recipient)
    control.script_fault(endpoint="/passwordless/start", recipient=recipient, when="after", delay_s=20, count=1)
    handle = producer.send_email(recipient)
    stack.until(lambda: control.count(recipient) > before, "the message is out", worker)
    worker.kill()
    stack.worker(QUEUES, "--task-events")
    return repr(handle.wait(30))


def test_nothing_of_a_person_is_readable_anywhere(long_codes: Stack) -> None:
    """Over success, retry, failure and crash: broker, headers, events, results, ledger, logs at DEBUG and tracebacks."""
    stack = long_codes
    stack.environment["GATEPOST_LOG_LEVEL"] = "DEBUG"
    control = stack.simulator.control
    email = f"{NAME}@example.com"
    secrets = [NAME, PHONE]
    with Recording(stack) as recording, stack.producer() as producer:
        first = stack.worker(QUEUES, "--task-events")
        stack.beat()

        producer.send_email(email, language="de", auth_params={"state": f"{NAME}-state"}).result(30)
        producer.send_sms(PHONE).result(30)
        for recipient, login in ((email, producer.login_with_email), (PHONE, producer.login_with_sms)):
            code = control.latest_code(recipient)
            wrong = code[::-1] + "7"
            with contextlib.suppress(e.CodeRejected):
                login(recipient, wrong).result(30)
            tokens = login(recipient, code, scope="openid offline_access").redeem(30).revealed()
            secrets += [code, wrong, tokens["access_token"], tokens["id_token"]]
        told = [*fail_in_every_way(stack, producer), *submit_sealed(producer), crash(stack, producer, first, email)]

        with stack.redis() as client:
            kept = "\n".join(f"{key!r} {client.dump(key)!r}" for key in client.scan_iter())
        written = recording.text()

    logs = stack.output()
    for surface in ("task-received", "gatepost.login", "celery-task-meta", "celeryev"):
        assert found([surface], written), f"{surface} was recorded"
    assert "attempt.finished" in logs, "the logs were recorded"
    assert len(secrets) == 10
    assert found(secrets, written) == []
    assert found(secrets, logs) == []
    assert found(secrets, kept) == []
    assert found(secrets, "\n".join(told)) == []
