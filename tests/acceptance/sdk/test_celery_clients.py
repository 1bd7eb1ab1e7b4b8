"""Celery clients of other languages, unmodified: what they send is carried out, or answered."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import uuid
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import pytest
import redis
from celery import Celery

from gatepost.errors import InvalidCommand
from support.checkout import CHECKOUT
from support.node_packages import installed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from gatepost_testing.world import World

EXAMPLES = CHECKOUT / "examples" / "other-languages"
ANSWER_S = 30


@pytest.fixture
def person() -> str:
    return f"{uuid.uuid4().hex}@example.com"


@pytest.fixture
def queue(gatepost_world: World) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(gatepost_world.environment["GATEPOST_REDIS_URL"], protocol=2) as client:
        yield client


def run_node(directory: Path, script: str, world: World, person: str) -> dict[str, Any]:
    copied = directory / script
    copied.write_text((EXAMPLES / script).read_text())
    command = ["node", str(copied), person]
    done = subprocess.run(command, env=world.environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    printed: dict[str, Any] = json.loads(done.stdout)
    return printed


def push(queue: redis.Redis, body: Any, headers: dict[str, Any], *, encoding: str | None = "base64") -> None:
    text = json.dumps(body)
    envelope = {
        "body": base64.b64encode(text.encode()).decode() if encoding == "base64" else text,
        "content-encoding": "utf-8",
        "content-type": "application/json",
        "headers": headers,
        "properties": {
            "delivery_tag": str(uuid.uuid4()),
            "delivery_info": {"exchange": "", "routing_key": "gatepost.send"},
            **({"body_encoding": encoding} if encoding else {}),
        },
    }
    queue.lpush("gatepost.send", json.dumps(envelope))


def answer_to(world: World, task_id: str) -> Any:
    url = world.environment["GATEPOST_REDIS_URL"]
    with Celery(broker=url, backend=url) as app:
        return app.AsyncResult(task_id).get(timeout=ANSWER_S)


@pytest.mark.parametrize(
    "client", [("celery-node", "0.5.9", "celery_node.mjs"), ("celery-ts", "1.2.3", "celery_ts.mjs")], ids=itemgetter(0)
)
def test_a_client_for_node_sends_with_a_positional_command(
    client: tuple[str, str, str], gatepost_world: World, person: str, pytestconfig: pytest.Config
) -> None:
    """The example of docs/how-to/other-languages.md, and the refusal of a wrong address."""
    package, version, script = client
    assert pytestconfig.cache is not None
    directory = installed(pytestconfig.cache.mkdir(package), package, version)
    sent = run_node(directory, script, gatepost_world, person)
    refused = run_node(directory, script, gatepost_world, "absent")

    assert gatepost_world.producer.handle(sent["operation_id"]).result().state == "accepted"
    assert gatepost_world.outbox.count(person) == 1
    assert "error" in refused
    assert "Traceback" not in json.dumps(refused)


def test_stock_celery_sends_in_one_line(gatepost_world: World, person: str) -> None:
    """With a positional command."""
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / "stock_celery.py"), person],
        env=gatepost_world.environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert gatepost_world.producer.handle(done.stdout.strip()).result().state == "accepted"
    assert gatepost_world.outbox.count(person) == 1


@pytest.mark.parametrize("encoding", ["base64", "utf-8", None])
def test_protocol_1_in_every_encoding(
    gatepost_world: World, queue: redis.Redis, person: str, encoding: str | None
) -> None:
    """As older clients write it."""
    task_id = str(uuid.uuid4())
    body = {"task": "gatepost.submit", "id": task_id, "args": [{"kind": "send_email", "email": person}], "kwargs": {}}
    push(queue, body, {}, encoding=encoding)
    operation_id = answer_to(gatepost_world, task_id)["operation_id"]

    assert gatepost_world.producer.handle(operation_id).result().state == "accepted"


@pytest.mark.parametrize(
    "task_id", ["01ARZ3NDEKTSV4RRFFQ69G5FAV", "V1StGXR8_Z5jdHi6B-myT", "7c9e6679f4b74a1c8f3d2b6a5e4d3c2b"]
)
def test_ids_that_are_no_uuid(gatepost_world: World, queue: redis.Redis, person: str, task_id: str) -> None:
    """A ULID, a nanoid and a UUID without dashes; a second delivery is the same operation."""
    headers = {"task": "gatepost.submit", "id": task_id}
    body = [[], {"command": {"kind": "send_email", "email": person}}, {}]
    push(queue, body, headers)
    operation_id = answer_to(gatepost_world, task_id)["operation_id"]
    push(queue, body, headers)
    gatepost_world.drain()

    assert gatepost_world.producer.handle(operation_id).result().state == "accepted"
    assert gatepost_world.outbox.count(person) == 1


COMMAND = {"kind": "send_email", "email": "ana@example.com"}
ID = "0f8fad5b-d9cb-469f-a165-7086772895"


@pytest.mark.parametrize(
    "message",
    [
        ("4711", {"task": "gatepost.submit"}, [[COMMAND], {}, {}], "the header id is neither a UUID nor"),
        (f"{ID}01", {"task": "gatepost.submit"}, [[COMMAND], {"command": COMMAND}, {}], "command is given by position"),
        (f"{ID}02", {"task": "gatepost.submit"}, [[COMMAND, "k", 1, 2], {}, {}], "more arguments than command"),
        (f"{ID}03", {"task": "gatepost.submit"}, [[COMMAND], {"eta": 1}, {}], "the arguments are not command"),
        (f"{ID}04", {"task": "gatepost.unknown"}, [[COMMAND], {}, {}], "no such task"),
        (f"{ID}05", {"task": "gatepost.submit"}, "words", "body is not"),
        (f"{ID}06", {"task": "gatepost.submit", "chain": [{"task": "x"}]}, [[COMMAND], {}, {}], "a chain or a chord"),
        (f"{ID}07", {"task": 7}, [[COMMAND], {}, {}], "not of Celery's protocol 1 or 2"),
        (f"{ID}08", {"task": "gatepost.submit", "compression": "x"}, [[COMMAND], {}, {}], "compressed"),
    ],
)
def test_a_refused_message_is_answered_and_kept(
    gatepost_world: World, queue: redis.Redis, message: tuple[str, dict[str, Any], Any, str]
) -> None:
    """With the reason, under the task's id; no traceback."""
    task_id, headers, body, says = message
    push(queue, body, {**headers, "id": task_id})
    with pytest.raises(InvalidCommand, match=says):
        answer_to(gatepost_world, task_id)
    document = json.loads(queue.get(f"celery-task-meta-{task_id}") or b"")

    assert (document["status"], document.get("traceback")) == ("FAILURE", None)
    assert queue.ttl(f"celery-task-meta-{task_id}") > 0
    assert queue.zcard("gatepost:dead_letters") > 0


def test_an_answer_does_not_replace_a_result(gatepost_world: World, queue: redis.Redis, person: str) -> None:
    """A forged message under the id of an operation."""
    handle = gatepost_world.producer.send_email(person)
    handle.result()
    before = queue.get(f"celery-task-meta-{handle.operation_id}")
    push(queue, "words", {"task": "gatepost.submit", "id": handle.operation_id})
    # The worker takes messages in their order, so the answer to the second shows that it has seen the first.
    second = str(uuid.uuid4())
    push(queue, "words", {"task": "gatepost.submit", "id": second})
    with pytest.raises(InvalidCommand):
        answer_to(gatepost_world, second)

    assert queue.get(f"celery-task-meta-{handle.operation_id}") == before
