"""A rotation re-seals all stored values, does not touch values that change meanwhile, and names keys that can be removed."""

from __future__ import annotations

import json
import time
import uuid
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import SecretStr

from gatepost.campaigns.control import Campaigns
from gatepost.errors import ConfigurationError
from gatepost.producer import Producer
from gatepost_core.audit_log import AuditLog
from gatepost_core.campaigns.model import Options
from gatepost_core.dead_letters import DeadLetters
from gatepost_core.outcomes import TokenSet
from gatepost_core.sealing import Key, Keyring, Purpose, kid_of
from gatepost_core.states import State
from gatepost_core.webhooks.endpoints import Endpoints
from gatepost_core.webhooks.events import SUBSCRIBABLE
from gatepost_operations.maintenance.key_rotation import KeyUsage, Rotation, Sealed
from gatepost_worker.process import Process
from support.campaign_parts import email, rows
from support.keys import KEYS
from support.ledger_calls import begin_attempt
from support.redeeming import sealed_for
from support.sealing_keys import ring

if TYPE_CHECKING:
    from collections.abc import Callable

    import redis

    from gatepost_core.settings import Settings

OLD, NEW = Key("k2025", bytes(32)), Key("k2026", bytes(range(32)))
AUTH_PARAMS = {"state": "canary"}
TOKENS = TokenSet(access_token=SecretStr("a"), expires_in=60)


class Filled:
    """One of everything that is stored sealed, under the old key."""

    def __init__(self, client: redis.Redis, settings: Settings) -> None:
        keyring = settings.keyring()
        with Producer(settings) as producer:
            self.open_operation = producer.send_email("ana@example.com").operation_id
            login = producer.login_with_email("ana@example.com", "123456")
            begin_attempt(producer.ledger, login.operation_id, "attempt", 60)
            sealed_result = sealed_for(login, TOKENS)
            producer.ledger.settle(login.operation_id, "attempt", State.ACCEPTED, sealed_result=sealed_result)
        self.login, self.reference = login.operation_id, login.reference
        self.webhook = Endpoints(client, KEYS, keyring).add("https://example.com/", SUBSCRIBABLE, "whsec_AAAA")
        self.letter = DeadLetters(client, KEYS, keyring).add({"raw": "x"}, reason="r", queue="gatepost.send")
        with Campaigns(settings) as campaigns:
            self.campaign = campaigns.create("spring", Options(auth_params=AUTH_PARAMS))
            campaigns.add(self.campaign, rows(300))
            batches = campaigns.status(self.campaign).batches
        self.all = Counter({kind: batches if kind is Sealed.ROWS else 1 for kind in Sealed})


@pytest.fixture
def filled(redis_client: redis.Redis, make_settings: Callable[..., Settings]) -> Filled:
    return Filled(redis_client, make_settings(sealing_keys=ring(OLD)))


def rotation(client: redis.Redis, settings: Settings, *keys: Key) -> Rotation:
    return Rotation(client, KEYS, Keyring(keys), AuditLog(client, KEYS, settings.fingerprints()))


def test_everything_stored_is_re_sealed_and_opens_with_the_new_key_alone(
    filled: Filled, redis_client: redis.Redis, make_settings: Callable[..., Settings]
) -> None:
    """Commands, rows and dead letters. The result of a login is under no key of the ring, so it stays as it is."""
    result = redis_client.get(KEYS.celery_result(filled.login))
    done = rotation(redis_client, make_settings(), NEW, OLD).run()

    assert (done.resealed, done.left.kids, done.forgotten) == (filled.all, set(), ["k2025"])
    assert redis_client.get(KEYS.celery_result(filled.login)) == result
    settings = make_settings(sealing_keys=ring(NEW))
    keyring = settings.keyring()
    command = redis_client.hget(KEYS.operation(filled.open_operation), "command")
    letters = DeadLetters(redis_client, KEYS, keyring)
    assert b"ana@example.com" in keyring.open(str(command, "ascii"), Purpose.command(filled.open_operation))
    assert letters.open(letters.find(filled.letter)) == {"raw": "x"}
    assert Endpoints(redis_client, KEYS, keyring).target(filled.webhook).url == "https://example.com/"
    with Producer(settings) as producer:
        assert producer.handle(filled.reference).redeem(1).access_token.get_secret_value() == "a"
        assert len(list(producer.campaigns.export(filled.campaign))) == 300
        assert producer.campaigns.auth_params(filled.campaign) == AUTH_PARAMS
    Process(settings).prepare()


def test_a_second_rotation_finds_nothing_to_do(
    filled: Filled, redis_client: redis.Redis, make_settings: Callable[..., Settings]
) -> None:
    """So one that was interrupted is simply run again."""
    rotation(redis_client, make_settings(), NEW, OLD).run()
    again = rotation(redis_client, make_settings(), NEW, OLD).run()

    assert (sum(again.resealed.values()), again.forgotten) == (0, [])


def test_an_interrupted_rotation_goes_on_where_it_was(
    filled: Filled, redis_client: redis.Redis, make_settings: Callable[..., Settings]
) -> None:
    """Both keys stay needed until it has ended."""
    turning = rotation(redis_client, make_settings(), NEW, OLD)
    first = turning._reseal
    resealed = []

    def until_the_third(place: Any, kid: str, done: Any) -> None:
        if len(resealed) == 2:
            raise KeyboardInterrupt
        resealed.append(place)
        first(place, kid, done)

    turning._reseal = until_the_third  # type: ignore[method-assign] # an interruption at a chosen place
    with pytest.raises(KeyboardInterrupt):
        turning.run()
    between = set(KeyUsage(redis_client, KEYS).last_used())
    rest = rotation(redis_client, make_settings(), NEW, OLD).run()

    assert between == {"k2025", "k2026"}
    assert sum(rest.resealed.values()) == filled.all.total() - 2
    assert rest.forgotten == ["k2025"]


def test_a_value_that_changes_meanwhile_is_not_put_back(
    filled: Filled, redis_client: redis.Redis, make_settings: Callable[..., Settings]
) -> None:
    """A command whose operation ended between the look and the write does not rise again."""
    turning = rotation(redis_client, make_settings(), NEW, OLD)
    fresh = turning._fresh

    def ended_meanwhile(place: Any, text: str) -> str:
        sealed = fresh(place, text)
        if place.kind is Sealed.COMMAND:
            redis_client.hdel(place.key, "command")
        return sealed

    turning._fresh = ended_meanwhile  # type: ignore[method-assign] # what another process does at that moment
    done = turning.run()

    assert set(done.resealed) == {Sealed.ROWS, Sealed.AUTH_PARAMS, Sealed.DEAD_LETTER, Sealed.WEBHOOK}
    assert done.left.kids == set()
    assert redis_client.hget(KEYS.operation(filled.open_operation), "command") is None


def test_a_key_that_still_seals_is_not_forgotten(
    filled: Filled, redis_client: redis.Redis, make_settings: Callable[..., Settings]
) -> None:
    """A process that was not given the new ring stores a value after the pass has gone by."""
    turning = rotation(redis_client, make_settings(), NEW, OLD)

    with Producer(make_settings(sealing_keys=ring(OLD))) as producer:
        producer.send_email("early@example.com")
        done = turning.run(lambda _seen, _total: producer.send_email("late@example.com") and None)

    assert done.forgotten == []
    assert set(KeyUsage(redis_client, KEYS).last_used()) == {"k2025", "k2026"}
    assert rotation(redis_client, make_settings(), NEW, OLD).run().forgotten == ["k2025"]


def test_what_needs_a_key_that_is_gone_is_counted_and_left(
    filled: Filled, redis_client: redis.Redis, make_settings: Callable[..., Settings]
) -> None:
    """It names the key; nothing is lost, for the key may be found."""
    done = rotation(redis_client, make_settings(), NEW).run()

    assert done.left.of("k2025") == filled.all
    assert (sum(done.resealed.values()), done.forgotten) == (0, [])
    assert rotation(redis_client, make_settings(), NEW, OLD).run().resealed == filled.all


def test_foreign_values_of_the_same_redis_are_left_alone(
    redis_client: redis.Redis, make_settings: Callable[..., Settings]
) -> None:
    """Celery results of other applications, and keys of another type than expected."""
    foreign = {
        KEYS.celery_result(str(uuid.uuid4())): json.dumps({"status": "SUCCESS", "result": {"operation_id": "x"}}),
        KEYS.celery_result("a"): "no json",
        KEYS.celery_result("b"): json.dumps({"result": "a.b"}),
    }
    redis_client.mset(foreign)
    redis_client.lpush(KEYS.celery_result("list"), "x")
    redis_client.set(KEYS.operation("string"), "x")
    turning = rotation(redis_client, make_settings(), NEW, OLD)

    assert turning.look().kids == set()
    assert sum(turning.run().resealed.values()) == 0
    assert redis_client.mget(list(foreign)) == [value.encode() for value in foreign.values()]


def test_a_worker_does_not_start_without_a_key_that_stored_values_need(
    filled: Filled, redis_client: redis.Redis, make_settings: Callable[..., Settings]
) -> None:
    """It names the key. A producer gets the error at its first command, because it could not redeem the result."""
    settings = make_settings(sealing_keys=ring(NEW))
    with pytest.raises(ConfigurationError, match="k2025"):
        Process(settings).prepare()
    with Producer(settings) as producer, pytest.raises(ConfigurationError, match="k2025"):
        producer.send_email("ana@example.com")

    KeyUsage(redis_client, KEYS).forget("k2025")
    Process(settings).prepare()


def test_a_result_opens_without_the_key_that_sealed_its_command(
    filled: Filled, make_settings: Callable[..., Settings]
) -> None:
    """Its redeem token opens it, and no key of the ring."""
    with Producer(make_settings(sealing_keys=ring(NEW))) as producer:
        assert producer.handle(filled.reference).redeem(1).access_token.get_secret_value() == "a"


def test_every_store_notes_its_key_in_the_same_step(redis_client: redis.Redis, filled: Filled) -> None:
    """And when it did by the server's clock."""
    (at,) = KeyUsage(redis_client, KEYS).last_used().values()

    assert abs(at.timestamp() - time.time()) < 60
    assert redis_client.hkeys(KEYS.kids) == [b"k2025"]


def test_a_shell_shows_rotates_and_says_what_can_go(
    filled: Filled, gatepost: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, redis_client: redis.Redis
) -> None:
    """Before: the old key is needed. After: it can be removed."""
    monkeypatch.setenv("GATEPOST_SEALING_KEYS", ring(NEW, OLD))
    before = gatepost("keys", "status", "--json").document["keys"]
    turned = gatepost("keys", "rotate", "--json")
    after = gatepost("keys", "status")
    again = gatepost("keys", "rotate")

    assert [(one["kid"], one["role"], sum(one["values"].values())) for one in before] == [
        ("k2026", "seals", 0),
        ("k2025", "opens", filled.all.total()),
    ]
    assert turned.code == 0
    assert turned.document["resealed"]["rows"] == filled.all[Sealed.ROWS]
    assert turned.document["removable"] == ["k2025"]
    assert "k2025" in after.out
    assert again.out == "0 values sealed with k2026\n"
    assert again.err == "Can be removed from GATEPOST_SEALING_KEYS: k2025\n"
    assert (kid_of(str(redis_client.hget(KEYS.operation(filled.open_operation), "command"), "ascii"))) == "k2026"  # type: ignore[arg-type] # bytes here
    actions = [entry["action"] for entry in gatepost("audit", "list", "--json").document["entries"]]
    assert [action for action in actions if action.startswith("keys.")][:2] == ["keys.rotate", "keys.rotate.done"]


def test_a_shell_says_which_key_is_missing(
    filled: Filled, gatepost: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit code 4; a lost key can be given up."""
    monkeypatch.setenv("GATEPOST_SEALING_KEYS", ring(NEW))
    status = gatepost("keys", "status")
    turned = gatepost("keys", "rotate")
    refused = gatepost("keys", "forget", "k2025")
    checks = gatepost("doctor", "--offline", "--json").document["checks"]
    forgotten = gatepost("keys", "forget", "k2025", "--yes")

    assert (status.code, turned.code, refused.code, forgotten.code) == (4, 4, 5, 0)
    assert "missing" in status.out
    assert f"{filled.all.total()} values need k2025" in turned.err
    assert next(one for one in checks if one["name"] == "keys in use")["status"] == "failed"
    assert gatepost("send-email", email(1), "--no-wait").code == 0
