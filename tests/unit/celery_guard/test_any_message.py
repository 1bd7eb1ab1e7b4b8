"""Every message on a queue is accepted, or becomes a dead letter with a reason that repeats none of it."""

from __future__ import annotations

import base64
import json
import zlib
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from kombu import Connection, compression
from kombu.utils.json import loads

from gatepost_core.broker.message_validation import TASKS, Malformed, check_message, flaw_of_envelope
from gatepost_core.kinds import Queue
from gatepost_operations.maintenance.dead_letters import envelope_of, message_of
from gatepost_worker.celery_guard.intake import refuse_compression
from support.any_json import MARK, TEXTS, VALUES, given_or_refused, nested
from support.examples import examples
from support.keys import KEYS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kombu.transport.base import StdChannel

OPERATION = "0b3f8f5e-5f0e-4c5e-9d38-0f8f0f3a7c11"
BODY = [[], {"operation_id": OPERATION, "version": 1}, {}]


def envelope(body: Any = BODY, **properties: Any) -> dict[str, Any]:
    """As kombu writes one."""
    return {
        "body": base64.b64encode(json.dumps(body).encode()).decode(),
        "content-type": "application/json",
        "content-encoding": "utf-8",
        "headers": {"id": OPERATION, "task": "gatepost.send_email"},
        "properties": {
            "body_encoding": "base64",
            "delivery_tag": "tag",
            "delivery_info": {"exchange": "", "routing_key": "gatepost.send"},
            **properties,
        },
    }


def changed(place: tuple[str, ...], value: Any) -> dict[str, Any]:
    """One part of an envelope is something else."""
    whole = envelope()
    inner = whole
    for name in place[:-1]:
        inner = inner[name]
    inner[place[-1]] = value
    return whole


PLACES = st.sampled_from(
    [
        *(("body",), ("headers",), ("properties",), ("content-type",), ("content-encoding",)),
        *(("headers", name) for name in ("id", "task", "compression", "eta", "expires", "retries", "timelimit", "x")),
        *(("properties", name) for name in ("body_encoding", "delivery_tag", "delivery_info", "priority", "reply_to")),
        ("properties", "delivery_info", "routing_key"),
    ]
)
ODD = st.sampled_from(
    ["zlib", "bzip2", "gzip", "application/x-python-serialize", "application/json", "base64", "utf-16"]
)
BODIES = st.builds(lambda task, kwargs: (task, [[], kwargs, {}]), st.sampled_from(sorted(TASKS)), VALUES)
ENVELOPES = st.one_of(
    st.builds(changed, PLACES, VALUES | ODD),
    st.builds(
        changed, st.just(("body",)), TEXTS | st.binary(max_size=30).map(lambda raw: base64.b64encode(raw).decode())
    ),
    VALUES.map(envelope),
    BODIES.map(lambda found: {**envelope(found[1]), "headers": {"id": OPERATION, "task": found[0]}}),
    VALUES,
)


@pytest.fixture(scope="module")
def channel() -> Iterator[StdChannel]:
    """A channel of kombu's own kind, which builds messages from envelopes as the one over Redis does."""
    with Connection("memory://") as connection, connection.channel() as opened:
        yield opened


@settings(
    deadline=None,
    max_examples=examples(600),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(ENVELOPES)
@example(changed(("properties", "body_encoding"), []))
@example(changed(("body",), "A"))
@example(changed(("body",), "\ud800"))
@example(changed(("headers", "compression"), "zlib"))
@example(changed(("content-type",), []))
def test_any_envelope_is_read_or_has_a_flaw(channel: Any, foreign: Any) -> None:
    """Kombu builds a message from every valid envelope; no error reaches the consumer's loop, where it would stop the worker."""
    raw = json.dumps(foreign)
    try:
        read = loads(raw)
    except Exception:  # noqa: BLE001 - kombu rebuilds typed values, and a worker dead-letters a value that it cannot rebuild
        return
    flaw = flaw_of_envelope(read)
    if flaw is not None:
        assert MARK not in flaw
        return
    message = channel.Message(read, channel=channel)
    given_or_refused(lambda: check_message(message.headers, lambda: message.payload), Malformed)


@pytest.mark.parametrize("levels", [1, 20, 40, 200, 900, *range(930, 1000, 3)])
def test_no_depth_is_read_and_then_cannot_be_kept(levels: int) -> None:
    """Python's JSON reads a little deeper than it writes; in between there must be nothing."""
    for foreign in (changed(("headers", "x"), nested(levels)), changed(("properties", "x"), nested(levels))):
        try:
            read = loads(json.dumps(foreign))
        except RecursionError:
            continue
        assert flaw_of_envelope(read) is not None or json.dumps({"headers": read}, default=str)
        assert flaw_of_envelope(read) is not None or levels <= 40


def test_a_compressed_body_is_a_flaw() -> None:
    """A megabyte of it unpacks to a gigabyte, and kombu unpacks it before anybody can look."""
    body = base64.b64encode(zlib.compress(b" " * 50_000_000)).decode()
    foreign = changed(("headers", "compression"), "application/x-gzip") | {"body": body}

    assert flaw_of_envelope(foreign) == "the body is compressed, which Gatepost does not accept"


@pytest.fixture
def unpacking_nothing() -> Iterator[None]:
    """Apply the worker's changes to kombu, and undo them afterwards."""
    kombus: Any = compression
    before = {name: (kombus.get_encoder(name)[0], kombus.get_decoder(name)) for name in kombus.encoders()}
    refuse_compression()
    yield
    for name, (encoder, decoder) in before.items():
        kombus.register(encoder, decoder, name)


@pytest.mark.parametrize("method", ["gzip", "zlib", "bzip2", "xz"])
def test_a_worker_unpacks_nothing(channel: Any, unpacking_nothing: None, method: str) -> None:
    """Over other brokers than Redis the envelope is not ours to look at; the message cannot be read, and says why."""
    packed, _ = compression.compress(json.dumps(BODY), method)
    foreign = changed(("headers", "compression"), method) | {"body": base64.b64encode(packed).decode()}
    message = channel.Message(foreign, channel=channel)

    assert message.body == packed
    with pytest.raises(Malformed, match="the body is compressed"):
        check_message(message.headers, lambda: message.payload)


@settings(deadline=None, max_examples=examples(400))
@given(st.one_of(ENVELOPES.map(json.dumps), st.text(max_size=30).map(lambda text: MARK + text)))
@example(json.dumps(changed(("properties", "body_encoding"), [])))
@example("[" * 20_000)
def test_any_dead_letter_can_be_replayed_or_is_refused(raw: str) -> None:
    """A worker can read every replayed message."""
    message = given_or_refused(lambda: message_of(raw), Malformed)

    assert message is None or flaw_of_envelope(json.loads(envelope_of(message, KEYS.queue(Queue.SEND)))) is None
