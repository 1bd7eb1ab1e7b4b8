"""Dead letters: read in pages, replayed once or not at all, dropped, and never shown by chance."""

from __future__ import annotations

import base64
import json
import threading
import uuid
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
import redis
from pydantic import SecretStr

from gatepost_core.broker.publishing import build_app
from gatepost_core.dead_letters import DeadLetterNotFound, DeadLetters, Selection
from gatepost_core.kinds import Queue
from gatepost_core.sealing import Key, Keyring, Purpose
from gatepost_operations.local.embedded_valkey import EmbeddedValkey
from gatepost_operations.maintenance.dead_letters import DeadLetterControl
from support.keys import KEYS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from gatepost_core.settings import Settings

CANARY = "canary-q7x2v9@example.com"


def message(task: str = "gatepost.submit", **changes: Any) -> dict[str, Any]:
    """A message as a worker keeps it."""
    body = json.dumps([[], {"command": {"kind": "send_email", "email": CANARY}}, {}])
    properties = {"body_encoding": "base64", "delivery_tag": "old", "reply_to": "somewhere", "correlation_id": "c"}
    headers = {"id": str(uuid.uuid4()), "task": task, "lang": "py", CANARY: CANARY}
    kept = {"headers": headers, "properties": properties, "body": body, "content_type": "application/json"}
    return {**kept, "content_encoding": "utf-8", **changes}


@pytest.fixture
def control(settings: Settings) -> Iterator[DeadLetterControl]:
    with DeadLetterControl(settings) as opened:
        yield opened


@pytest.fixture
def letters(control: DeadLetterControl) -> DeadLetters:
    return control.letters


def acts(control: DeadLetterControl) -> list[tuple[str, dict[str, Any]]]:
    return [(entry.action, entry.about) for entry in control.audit.entries()]


def on_queue(client: redis.Redis, queue: str = KEYS.queue(Queue.SEND)) -> list[dict[str, Any]]:
    raw: Any = client.lrange(queue, 0, -1)
    return [json.loads(one) for one in raw]


def test_more_letters_than_a_page_are_read_once_each(letters: DeadLetters, redis_client: redis.Redis) -> None:
    """Also those of one and the same millisecond, and though others go meanwhile."""
    ids = {letters.add(message(), reason="r", queue="gatepost.send") for _ in range(450)}
    redis_client.zadd(KEYS.dead_letters, dict.fromkeys(list(ids)[:260], 1_700_000_000_000))
    found = letters.select(Selection())
    first = next(found)
    letters.drop(first.id)
    rest = [letter.id for letter in found]

    assert len(rest) == 449
    assert {first.id, *rest} == ids


@pytest.mark.parametrize("kept", [{"raw": "\x01" * (7 << 20)}, {"headers": {(1,): 2}}])
def test_whatever_it_is_a_letter_is_kept(
    letters: DeadLetters, control: DeadLetterControl, kept: dict[str, Any]
) -> None:
    """Longer than can be sealed, or nothing that JSON has: a worker has to be rid of it, and a replay refuses it."""
    letters.add(kept, reason="r", queue="gatepost.send")

    (letter,) = letters.list()
    assert letters.open(letter)["note"]
    assert control.rehearse(Selection()).refused.total() == 1


def test_letters_are_chosen_by_reason_time_and_id(letters: DeadLetters) -> None:
    """Everything that is given must fit."""
    one = letters.add(message(), reason="there is no such task here", queue="gatepost.send")
    two = letters.add(message(), reason="the body cannot be read (ValueError)", queue="gatepost.send")
    now = datetime.now(UTC)
    day = timedelta(days=1)

    def chosen(**given: Any) -> set[str]:
        return {letter.id for letter in letters.select(Selection(**given))}

    assert chosen() == {one, two}
    assert chosen(reason="No Such Task") == {one}
    assert chosen(since=now - day, until=now + day) == {one, two}
    assert chosen(since=now + day) == chosen(until=now - day) == set()
    assert chosen(ids=frozenset({two, "another"})) == {two}
    assert chosen(ids=frozenset({two}), reason="task") == set()
    assert letters.find(two).reason.startswith("the body")


def test_a_letter_is_forgotten_after_its_lifetime(redis_client: redis.Redis, settings: Settings) -> None:
    """It may contain personal data; nothing of it stays in the index either."""
    brief = DeadLetters(redis_client, KEYS, settings.keyring(), lifetime_s=1)
    brief.add(message(), reason="r", queue="gatepost.send")
    ttl = redis_client.pttl(next(redis_client.scan_iter("gatepost:dead_letter:*")))
    redis_client.zadd(KEYS.dead_letters, {letter.id: 1000 for letter in brief.list()})
    brief.add(message(), reason="r", queue="gatepost.send")

    assert 0 < ttl <= 1000
    assert len(brief) == redis_client.zcard(KEYS.dead_letters) == 1


def test_a_replay_puts_the_message_back_as_it_was(control: DeadLetterControl, redis_client: redis.Redis) -> None:
    """Headers, properties and body; the letter is gone by that."""
    kept = message(body=json.dumps([[], {"command": {"email": "\udcff"}}, {}]))
    control.letters.add(kept, reason="there is no such task here", queue="gatepost.send")
    done = control.replay(Selection())
    (pushed,) = on_queue(redis_client)

    assert done.as_json() == {"replayed": 1, "refused": 0, "interrupted": 0, "gone": 0, "flaws": {}}
    assert pushed["headers"] == kept["headers"]
    assert pushed["properties"]["reply_to"] == "somewhere"
    assert base64.b64decode(pushed["body"]) == kept["body"].encode("utf-8", "surrogateescape")
    assert len(control.letters) == 0
    assert acts(control) == [
        ("dead_letters.replay", {"letters": 1}),
        ("dead_letters.replay.done", {"entry": 0, "replayed": 1, "refused": 0, "interrupted": 0, "gone": 0}),
    ]


def test_a_rehearsal_changes_nothing(control: DeadLetterControl, redis_client: redis.Redis) -> None:
    """It says the same numbers as the replay does."""
    control.letters.add(message(), reason="r", queue="gatepost.send")
    control.letters.add(message("gatepost.nothing"), reason="r", queue="gatepost.send")
    would = control.rehearse(Selection())

    assert on_queue(redis_client) == []
    assert acts(control) == []
    assert control.replay(Selection()).as_json() == would.as_json()


LOST = Keyring([Key.parse(f"lost:{'A' * 43}")])
COMMAND = json.dumps({"kind": "send_email", "email": CANARY})
HEADERS = {"id": str(uuid.uuid4()), "task": "gatepost.submit"}


@pytest.mark.parametrize(
    "arguments",
    [
        {"command": LOST.seal(COMMAND.encode(), Purpose.submission())},
        {"sealed": LOST.seal(json.dumps({"command": COMMAND}).encode(), Purpose.arguments(HEADERS["id"]))},
    ],
    ids=["by its sender", "by a worker"],
)
def test_a_replay_keeps_a_command_until_its_key_is_there(
    settings: Settings, redis_client: redis.Redis, arguments: dict[str, Any]
) -> None:
    """A worker would make a new letter of it; with the key, it returns to its queue."""
    ring = (*settings.sealing_keys, SecretStr(f"lost:{'A' * 43}"))
    with DeadLetterControl(settings) as control:
        control.letters.add(
            message(headers=HEADERS, body=json.dumps([[], arguments, {}])), reason="r", queue="gatepost.send"
        )
        would, done = control.rehearse(Selection()), control.replay(Selection())
        left = len(control.letters)
    before = on_queue(redis_client)
    with DeadLetterControl(settings.model_copy(update={"sealing_keys": ring})) as control:
        later = control.replay(Selection())

    assert (done.replayed, done.refused.total(), left, before) == (0, 1, 1, [])
    assert "lost" in next(iter(done.refused))
    assert would == done
    assert (later.replayed, later.refused.total(), len(on_queue(redis_client))) == (1, 0, 1)


@pytest.mark.parametrize("command", [COMMAND, json.loads(COMMAND)], ids=["text", "object"])
def test_a_replay_keeps_a_plain_command_where_only_sealed_ones_are_accepted(
    settings: Settings, redis_client: redis.Redis, command: Any
) -> None:
    """As a worker refuses it; without that setting, it returns to its queue."""
    with DeadLetterControl(settings.model_copy(update={"submissions": "sealed"})) as control:
        control.letters.add(message(body=json.dumps([[], {"command": command}, {}])), reason="r", queue="gatepost.send")
        done = control.replay(Selection())
    before = on_queue(redis_client)
    with DeadLetterControl(settings) as control:
        later = control.replay(Selection())

    assert before == []
    assert dict(done.refused) == {"The command is not sealed, which GATEPOST_SUBMISSIONS demands.": 1}
    assert (done.replayed, later.replayed, later.refused.total()) == (0, 1, 0)


@pytest.mark.parametrize(
    ("kept", "queue", "says"),
    [
        (message("gatepost.nothing"), "gatepost.send", "no such task"),
        (message(headers={"task": "gatepost.submit"}), "gatepost.send", "id is missing"),
        (message(body="nothing"), "gatepost.send", "its body was not stored"),
        (message(), "gatepost:audit", "its queue is not one of Gatepost's"),
        ({"raw": "{"}, "gatepost.send", "the envelope is not JSON"),
        ({"raw": "[" * 100_000}, "gatepost.send", "the envelope is not JSON"),
        ({"raw": "{}"}, "gatepost.send", "the envelope has no properties"),
    ],
    ids=["task", "id", "body", "queue", "raw-no-json", "raw-deep", "raw-empty"],
)
def test_what_no_worker_could_take_now_either_stays(
    control: DeadLetterControl, redis_client: redis.Redis, kept: dict[str, Any], queue: str, says: str
) -> None:
    """It would come back at once; a queue's name from a stranger's message is no key to write to."""
    control.letters.add(kept, reason="r", queue=queue)
    before = redis_client.dbsize()
    done = control.replay(Selection())

    assert (done.replayed, sum(done.refused.values()), len(control.letters)) == (0, 1, 1)
    assert says in next(iter(done.refused))
    assert redis_client.dbsize() == before + 1  # the audit log


def test_a_raw_envelope_that_is_readable_is_replayed(control: DeadLetterControl, redis_client: redis.Redis) -> None:
    """As after an upgrade to a version that knows the message."""
    control.letters.add(message(), reason="r", queue="gatepost.send")
    control.replay(Selection())
    raw = redis_client.rpop("gatepost.send")
    assert isinstance(raw, bytes)
    control.letters.add({"raw": raw.decode()}, reason="r", queue="gatepost.bulk")

    assert control.replay(Selection()).replayed == 1
    assert on_queue(redis_client, "gatepost.bulk")[0]["headers"] == json.loads(raw)["headers"]


def test_of_many_replays_at_once_each_letter_is_pushed_once(
    control: DeadLetterControl, redis_client: redis.Redis
) -> None:
    """It leaves the dead letters in the same step."""
    for _ in range(40):
        control.letters.add(message(), reason="r", queue="gatepost.send")
    threads = [threading.Thread(target=control.replay, args=[Selection()]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len({one["headers"]["id"] for one in on_queue(redis_client)}) == len(on_queue(redis_client)) == 40
    assert len(control.letters) == 0


@pytest.fixture
def elsewhere(make_settings: Callable[..., Settings], tmp_path: Path) -> Iterator[tuple[Settings, redis.Redis]]:
    """Settings with a broker apart from the ledger's Redis."""
    with EmbeddedValkey(tmp_path / "broker") as broker, redis.Redis.from_url(broker.url) as client:
        yield make_settings(broker_url=broker.url), client


def test_with_another_broker_a_letter_is_published_there(elsewhere: tuple[Settings, redis.Redis]) -> None:
    """A worker reads the same message as the first time."""
    settings, broker = elsewhere
    with DeadLetterControl(settings) as control:
        kept = message()
        control.letters.add(kept, reason="r", queue="gatepost.send")
        done = control.replay(Selection())
        app = build_app(settings)
        with app.connection_for_read() as connection:
            got = connection.default_channel.basic_get("gatepost.send")
        app.close()

    assert (done.replayed, len(control.letters)) == (1, 0)
    assert got.headers == kept["headers"]
    assert got.payload == json.loads(kept["body"])
    assert got.properties["correlation_id"] == "c"
    del broker


def test_a_replay_that_was_interrupted_is_repeated_only_by_id(elsewhere: tuple[Settings, redis.Redis]) -> None:
    """It may have arrived, and a submitted command that arrives twice can be two messages to a person."""
    settings, broker = elsewhere
    with DeadLetterControl(settings) as control:
        letter_id = control.letters.add(message(), reason="r", queue="gatepost.send")
        assert control.letters.mark(letter_id, again=False) == "marked"
        rehearsed, left = control.rehearse(Selection()), control.replay(Selection())
        assert broker.llen("gatepost.send") == 0
        repeated = control.replay(Selection(ids=frozenset({letter_id})))

    assert (rehearsed.interrupted, left.interrupted, left.replayed) == (1, 1, 0)
    assert repeated.replayed == 1
    assert broker.llen("gatepost.send") == 1


def test_nothing_of_a_letter_is_readable_in_redis_or_in_an_outline(
    control: DeadLetterControl, redis_client: redis.Redis
) -> None:
    """A header's name too may be a stranger's idea."""
    control.letters.add(message(), reason="r", queue="gatepost.send")
    (letter,) = control.letters.list()
    stored = b"".join(redis_client.dump(key) for key in redis_client.scan_iter("*"))  # type: ignore[misc] # redis-py's hint allows None
    outline = control.outline(letter)

    assert b"canary" not in stored
    assert "canary" not in repr((letter, outline))
    assert outline.headers.keys() == {"id", "task", "lang"}
    assert outline.other_headers == 1


def test_a_shell_lists_and_shows_without_revealing(control: DeadLetterControl, gatepost: Callable[..., Any]) -> None:
    """A message is shown on request, and the audit log records that."""
    letter_id = control.letters.add(message(), reason="there is no such task here", queue="gatepost.send")
    listed = gatepost("dead-letters", "list", "--since", "1h", "--json").document
    shown = gatepost("dead-letters", "show", letter_id)
    refused = gatepost("dead-letters", "show", letter_id, "--reveal")
    revealed = gatepost("dead-letters", "show", letter_id, "--reveal", "--yes")

    assert [one["id"] for one in listed["dead_letters"]] == [letter_id]
    assert "header task: 17 B" in shown.out
    assert "canary" not in shown.out + shown.err + refused.out + refused.err
    assert refused.code == 5
    assert CANARY in revealed.document["message"]["body"]
    assert acts(control) == [("dead_letters.reveal", {"letter": letter_id})]
    assert gatepost("dead-letters", "show", str(uuid.uuid4())).code == 1


def test_a_shell_replays_and_drops_only_with_yes(
    control: DeadLetterControl, gatepost: Callable[..., Any], redis_client: redis.Redis
) -> None:
    """Without --yes, the output shows the effect."""
    control.letters.add(message(), reason="there is no such task here", queue="gatepost.send")
    bad = control.letters.add(message("gatepost.nothing"), reason="the header id is missing", queue="gatepost.send")
    dry = gatepost("dead-letters", "replay")
    assert (dry.code, len(control.letters), on_queue(redis_client)) == (5, 2, [])
    one = gatepost("dead-letters", "replay", "--reason", "no such task", "--yes", "--json")
    dropping = gatepost("dead-letters", "drop", "--id", bad)
    assert len(control.letters) == 1
    dropped = gatepost("dead-letters", "drop", "--id", bad, "--yes")

    assert "1 dead letter would be replayed" in dry.out
    assert "1 refused: there is no such task here" in dry.err
    assert (one.code, one.document["replayed"], one.document["dry_run"]) == (0, 1, False)
    assert dropping.out == "1 dead letter would be dropped\n"
    assert dropped.out == "1 dead letter dropped\n"
    assert len(on_queue(redis_client)) == 1
    with pytest.raises(DeadLetterNotFound):
        control.letters.find(bad)
