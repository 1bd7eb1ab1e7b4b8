"""One journey of planted secrets through the whole of Gatepost, and everything that was written on the way, by the place it was written to."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import traceback
import urllib.error
import urllib.parse
import urllib.request
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gatepost import errors as e
from gatepost_core.audit_log import AuditLog
from gatepost_core.broker.messages import SUBMIT
from gatepost_core.broker.publishing import publish
from gatepost_core.kinds import Queue
from gatepost_core.sealing import Keyring, Purpose
from gatepost_operations.maintenance.webhooks import WebhookControl
from gatepost_simulator.settings import DEV_CLIENT_SECRET
from support.canary_values import FINGERPRINT_KEY, NAME, PHONE, REDIS_PASSWORD
from support.canary_ways_in import travel_ways_in
from support.free_ports import free_port
from support.keys import KEYS
from support.planted_secrets import ProcessList, Recording
from support.sealing_keys import SEALING_KEY
from support.webhook_receiver import WebhookReceiver

if TYPE_CHECKING:
    from pathlib import Path

    from gatepost import Producer
    from support.stack import Program, Stack

_CREDENTIALS = (REDIS_PASSWORD, FINGERPRINT_KEY, DEV_CLIENT_SECRET, SEALING_KEY.reveal().partition(":")[2])
_QUEUES = "gatepost.login,gatepost.send,gatepost.bulk,gatepost.webhooks"
_TAGS = ("429-once", "drop-after", "503-after", "bad-email", "invalid-client", "mfa", "idtoken-bad-aud")
_PEOPLE = [
    {"email": f"{NAME}@example.com", "language": "de"},
    {"email": f"{NAME}+bad-email@example.com", "authParams": {"state": f"{NAME}-state"}},
    {"email": f"{NAME}+drop-after@example.com"},
    {"phone_number": PHONE},
    {"email": f"{NAME} at example.com"},
    {"phone_number": PHONE[:-3]},
]


@dataclass
class Journey:
    """The planted values, and the texts in which they are looked for.

    Attributes:
        secrets: addresses, numbers, codes, tokens, keys and passwords.
        surfaces: all text of a place, by the place's name.
        meant: the secrets that a place shows on purpose, by its name.
        files: those that hold people's data on purpose.
    """

    secrets: list[str] = field(default_factory=lambda: [NAME, PHONE, *_CREDENTIALS])
    surfaces: dict[str, str] = field(default_factory=dict)
    meant: dict[str, set[str]] = field(default_factory=dict)
    files: list[Path] = field(default_factory=list)


def log_in_with_a_password(stack: Stack) -> None:
    """Give every process of the stack a Valkey user with a password, and new keys."""
    with stack.redis() as client:
        client.acl_setuser(
            "gatepost", enabled=True, passwords=[f"+{REDIS_PASSWORD}"], keys=["*"], channels=["*"], commands=["+@all"]
        )
        # Values are compared in clear: compression would hide their content.
        client.config_set("rdbcompression", "no")
    stack.environment |= {
        "GATEPOST_REDIS_URL": f"redis://gatepost:{REDIS_PASSWORD}@127.0.0.1:{stack.valkey.port}/0",
        "GATEPOST_FINGERPRINT_KEY": FINGERPRINT_KEY,
        "GATEPOST_LOG_LEVEL": "DEBUG",
        "GATEPOST_WEBHOOK_ALLOW_PRIVATE": "1",
    }


def travel(stack: Stack) -> Journey:
    """Send, log in, fail in every way, submit, run campaigns, crash, and look at all of it with the command line, Flower and the console."""
    journey = Journey()
    log_in_with_a_password(stack)
    with (
        Recording(stack.valkey.port) as recording,
        ProcessList() as processes,
        stack.producer() as producer,
        WebhookReceiver() as receiver,
    ):
        journey.secrets += _add_webhook(stack, receiver)
        worker = stack.worker(_QUEUES, "--task-events")
        stack.beat()
        flower = Flower(stack)
        journey.secrets += _send_and_log_in(stack, producer)
        told = [*_fail_in_every_way(stack, producer), *_submit(producer)]
        shell = Shell(stack)
        shell.operate(journey)
        ways = travel_ways_in(stack)
        told.append(_crash(stack, producer, worker))
        journey.surfaces["flower"] = flower.pages()
        journey.surfaces["webhooks"] = receiver.text()
        with stack.redis() as client:
            kept = "\n".join(f"{key!r} {client.dump(key)!r}" for key in client.scan_iter())
    journey.secrets += ways.secrets
    journey.meant |= ways.meant
    journey.surfaces |= ways.surfaces | {
        "broker, events and results": recording.text(),
        "ledger and campaigns": kept,
        "logs": stack.output(),
        "errors": "\n".join(told),
        "command line": "\n".join(shell.shown),
        "process list": processes.text(),
        "files": _files(stack, journey.files),
    }
    return journey


def _add_webhook(stack: Stack, receiver: WebhookReceiver) -> list[str]:
    """Tell a receiver of every event; return the secret parts of its URL and its key."""
    with stack.redis() as client:
        bench = WebhookControl(client, stack.settings, AuditLog(client, KEYS, stack.settings.fingerprints()))
        _, secret = bench.add(f"{receiver.url}/{NAME}-path")
    return [secret.removeprefix("whsec_")]


def _send_and_log_in(stack: Stack, producer: Producer) -> list[str]:
    """Go the good way, and once give the wrong code; return the codes and tokens."""
    secrets = []
    email = f"{NAME}@example.com"
    producer.send_email(email, language="de", auth_params={"state": f"{NAME}-state"}).result(120)
    producer.send_sms(PHONE).result(120)
    for recipient, login in ((email, producer.login_with_email), (PHONE, producer.login_with_sms)):
        code = stack.simulator.control.latest_code(recipient)
        wrong = code[::-1] + "7"
        with contextlib.suppress(e.CodeRejected):
            login(recipient, wrong).result(120)
        handle = login(recipient, code, scope="openid offline_access")
        with contextlib.suppress(e.WrongRedeemToken):
            producer.handle(f"{handle.operation_id}.{'A' * 43}").redeem(120)
        tokens = handle.redeem(120).revealed()
        secrets += [
            handle.reference.partition(".")[2],
            code,
            wrong,
            tokens["access_token"],
            tokens["id_token"],
            tokens["refresh_token"],
        ]
    return secrets


def _fail_in_every_way(stack: Stack, producer: Producer) -> list[str]:
    """Retry, deferral, refusal, loss, a second factor, bad input; return the caller's answers."""
    told = []
    for tag in _TAGS:
        tagged = f"{NAME}+{tag}@example.com"
        try:
            producer.send_email(tagged).result(120)
            producer.login_with_email(tagged, stack.simulator.control.latest_code(tagged), scope="openid").redeem(120)
        except e.GatepostError as failure:
            told.append("".join(traceback.format_exception(failure)))
    try:
        producer.login_with_email(
            NAME, f"{NAME}!", extra={"otp": NAME}, client_ip=f"fe80::1%{NAME}", language=f"\r\n{NAME}"
        )
    except e.InvalidCommand as failure:
        told.append("".join(traceback.format_exception(failure)))
    return told


def _submit(producer: Producer) -> list[str]:
    """Commands that another system sealed, one of them wrong; return its answers."""
    told = []
    good = {"kind": "send_email", "email": f"{NAME}@example.com"}
    bad = {"kind": "send_email", "email": NAME, "extra": {"client_secret": NAME}, f"{NAME}@example.com": 1}
    for document in (good, bad):
        identity = str(uuid.uuid4())
        sealed = Keyring([SEALING_KEY]).seal(json.dumps(document).encode(), Purpose.submission())
        publish(producer.app, SUBMIT, Queue.SEND, identity, {"command": sealed})
        try:
            told.append(repr(producer.app.AsyncResult(identity).get(timeout=120)))
        except e.InvalidCommand as failure:
            told.append("".join(traceback.format_exception(failure)))
    return told


def _crash(stack: Stack, producer: Producer, worker: Program) -> str:
    """Kill the worker in the middle of an attempt; return the caller's answer."""
    control, recipient = stack.simulator.control, f"{NAME}@example.com"
    before = control.count(recipient)
    control.script_fault(endpoint="/passwordless/start", recipient=recipient, when="after", delay_s=20, count=1)
    handle = producer.send_email(recipient)
    stack.until(lambda: control.count(recipient) > before, "the message is out", worker)
    worker.kill()
    stack.worker(_QUEUES, "--task-events")
    return repr(handle.wait(120))


def _files(stack: Stack, meant: list[Path]) -> str:
    """Return what every other file holds that a process of the stack wrote, Valkey's append-only file among them."""
    paths = {path for directory in (stack.directory, stack.valkey.directory) for path in directory.rglob("*")}
    return "\n".join(
        f"--- {path.name}\n{path.read_bytes().decode('utf-8', 'replace')}"
        for path in sorted(paths - set(meant))
        if path.is_file()
    )


class Shell:
    """An operator's terminal: secrets are given by standard input or a file, and all output is kept."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self.shown: list[str] = []

    def run(self, *arguments: str, given: str = "") -> None:
        """Run a command."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("AUTH0_", "GATEPOST_"))}
        done = subprocess.run(
            [sys.executable, "-m", "gatepost_operations.cli", *arguments],
            cwd=self._stack.directory,
            env={**inherited, **self._stack.environment},
            input=given,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=120,
        )
        self.shown.append(f"--- {' '.join(arguments)} gave {done.returncode}\n{done.stdout}")

    def operate(self, journey: Journey) -> None:
        """Do what an operator does in a day."""
        directory = self._stack.directory
        people, rejects, exported, broken, params = (
            directory / name for name in ("people.jsonl", "rejects.jsonl", "out.csv", "bad.json", "params.json")
        )
        people.write_text("\n".join(map(json.dumps, _PEOPLE)), encoding="utf-8")
        broken.write_text(f'{{"state": "{NAME}"', encoding="utf-8")
        params.write_text(json.dumps({"state": NAME}), encoding="utf-8")
        journey.files += [people, rejects, exported, broken, params]
        email = f"{NAME}@example.com"

        self.run("send-email", "-", "--json", given=f"{email}\n")
        code = self._stack.simulator.control.latest_code(email)
        journey.secrets.append(code)
        self.run("login", "-", given=f"{email}\n{code}\n")
        self.run("send-email", "-", "--auth-params", f"@{broken}", given=f"{email}\n")
        self.run("--debug", "send-email", "-", given=f"{NAME}\n")
        self.run("campaign", "check", str(people), "--rejects", str(rejects))
        shared = f"--auth-params=@{params}"
        self.run("campaign", "send", str(people), "--name", "spring", "--skip-invalid", "--yes", shared)
        self.run("campaign", "export", "spring", "--output", str(exported))
        self.run("campaign", "status", "spring", "--json")
        self.run("audit", "list")


class Flower:
    """The real Flower beside the workers, open to anybody on loopback."""

    def __init__(self, stack: Stack) -> None:
        port = free_port()
        options = ["-m", "celery", "-A", "gatepost_worker", "flower", "--address=127.0.0.1", f"--port={port}"]
        self._stack = stack
        self._base = f"http://127.0.0.1:{port}"
        self._program = stack.start("flower", *options, FLOWER_UNAUTHENTICATED_API="true")
        # It answers before it listens to events, and those of earlier tasks never come again.
        stack.until(self._hears_a_worker, "Flower hears the events of a worker", self._program, timeout=120)

    def pages(self, known: str = "InvalidCommand") -> str:
        """Return every page that says something of tasks, workers or the broker, and every answer of the API.

        Args:
            known: a text in its list of tasks, once it has heard of them.
        """
        # It asks the workers, which answer after a while, and reads events as they arrive.
        self._stack.until(
            lambda: '"broker_url"' in self._get("/api/workers?refresh=1"), "Flower knows a worker", timeout=60
        )
        self._stack.until(lambda: known in self._get("/api/tasks"), "Flower knows the tasks", timeout=120)
        workers = json.loads(self._get("/api/workers"))
        tasks = json.loads(self._get("/api/tasks"))
        table = "/tasks/datatable?draw=1&start=0&length=500&search[value]=&order[0][column]=0&columns[0][data]=name&order[0][dir]=asc"
        paths = ["/", "/workers", "/tasks", table, "/broker", "/metrics", "/api/task/types", "/api/queues/length"]
        paths += [f"/worker/{urllib.parse.quote(name)}" for name in workers]
        for task in tasks:
            paths += [f"/task/{task}", f"/api/task/info/{task}", f"/api/task/result/{task}"]
        return "\n".join([json.dumps(workers), json.dumps(tasks), *map(self._get, paths)])

    def _get(self, path: str) -> str:
        try:
            with urllib.request.urlopen(f"{self._base}{path}", timeout=30) as answer:  # noqa: S310 - http on loopback
                content: bytes = answer.read()
        except urllib.error.HTTPError as refused:
            # A killed worker has no page; the page in its place is searched too.
            content = refused.read()
        return content.decode()

    def _hears_a_worker(self) -> bool:
        with contextlib.suppress(OSError):
            return "true" in self._get("/api/workers?status=1")
        return False
