"""A producer with other keys than the workers' gets an error at its first command."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from gatepost import Producer
from gatepost.campaigns.control import Campaigns
from gatepost.errors import ConfigurationError, KeyMismatch
from gatepost_core.redis.connections import connect
from gatepost_core.sealing import Key
from gatepost_operations.cli.entry import main
from gatepost_worker.process import Process
from support import faulty_redis
from support.free_ports import free_port
from support.keys import KEYS
from support.sealing_keys import ring

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import redis

    from gatepost_core.settings import Settings

RIGHT = Key("k1", bytes(range(32)))
WRONG = Key("k1", bytes(32))
OTHER = Key("k2", bytes(range(1, 33)))
ANOTHER = "another fingerprint key of the tests"


@pytest.fixture
def started(make_settings: Callable[..., Settings]) -> None:
    """A worker with the right keys has started."""
    with closing(Process(make_settings(sealing_keys=ring(RIGHT)))) as worker:
        worker.prepare()


@pytest.mark.usefixtures("started")
@pytest.mark.parametrize(
    ("given", "kids", "names"),
    [
        ({"sealing_keys": ring(WRONG)}, ("k1",), "GATEPOST_SEALING_KEYS has a key k1 that differs from the workers'"),
        ({"sealing_keys": ring(OTHER)}, ("k2",), "begins with k2, which no worker has; they have k1"),
        ({"sealing_keys": ring(OTHER, RIGHT)}, ("k2",), "begins with k2, which no worker has"),
        (
            {"sealing_keys": ring(RIGHT), "fingerprint_key": ANOTHER},
            (),
            "GATEPOST_FINGERPRINT_KEY differs from the workers'",
        ),
    ],
)
def test_another_key_is_noticed_at_the_first_command(
    make_settings: Callable[..., Settings],
    redis_client: redis.Redis,
    given: dict[str, str],
    kids: tuple[str, ...],
    names: str,
) -> None:
    """Nothing is recorded: no worker could open it, and its caller would wait in vain."""
    settings = make_settings(**given)

    with Producer(settings) as producer, pytest.raises(KeyMismatch, match=names) as caught:
        producer.send_email("ana@example.com")
    with Campaigns(settings) as campaigns, pytest.raises(KeyMismatch):
        campaigns.create("spring")

    assert caught.value.kids == kids
    assert redis_client.zcard(KEYS.due) == 0


@pytest.mark.usefixtures("started")
def test_the_same_keys_are_accepted_also_with_one_more_behind(make_settings: Callable[..., Settings]) -> None:
    """As in the first step of a rotation."""
    with Producer(make_settings(sealing_keys=ring(RIGHT, OTHER))) as producer:
        assert producer.send_email("ana@example.com").operation_id


def test_before_any_worker_has_started_any_key_is_accepted(
    make_settings: Callable[..., Settings], redis_client: redis.Redis
) -> None:
    """There is nothing to compare it with, and a producer writes no check values."""
    with Producer(make_settings(sealing_keys=ring(OTHER))) as producer:
        producer.send_email("ana@example.com")

    assert redis_client.exists(KEYS.key_checks) == 0


@pytest.mark.usefixtures("started")
def test_a_worker_with_another_key_does_not_start_once_something_is_stored(
    make_settings: Callable[..., Settings],
) -> None:
    """Stored values would not open."""
    with Producer(make_settings(sealing_keys=ring(RIGHT))) as producer:
        producer.send_email("ana@example.com")

    with closing(Process(make_settings(sealing_keys=ring(WRONG)))) as worker, pytest.raises(KeyMismatch, match="k1"):
        worker.prepare()


@pytest.mark.usefixtures("started")
def test_a_key_that_sealed_nothing_may_be_replaced(make_settings: Callable[..., Settings]) -> None:
    """As on the day of installation, after `gatepost keys new` was run twice."""
    with closing(Process(make_settings(sealing_keys=ring(WRONG), fingerprint_key=ANOTHER))) as worker:
        worker.prepare()

    with Producer(make_settings(sealing_keys=ring(RIGHT))) as producer, pytest.raises(KeyMismatch):
        producer.send_email("ana@example.com")


@pytest.mark.usefixtures("started")
def test_a_fingerprint_key_that_was_replaced_on_purpose_can_be_forgotten(
    make_settings: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """`gatepost keys forget fingerprint-key`; the next worker writes the new one's check value."""
    right = make_settings(sealing_keys=ring(RIGHT))
    replaced = make_settings(sealing_keys=ring(RIGHT), fingerprint_key=ANOTHER)
    with Producer(right) as producer:
        producer.send_email("ana@example.com")
    with closing(Process(replaced)) as worker, pytest.raises(ConfigurationError, match="keys forget fingerprint-key"):
        worker.prepare()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GATEPOST_REDIS_URL", right.redis_url.get_secret_value())
    monkeypatch.setenv("GATEPOST_SEALING_KEYS", ring(RIGHT))
    monkeypatch.setenv("GATEPOST_FINGERPRINT_KEY", ANOTHER)

    assert main(["keys", "forget", "fingerprint-key", "--yes"]) == 0
    with closing(Process(replaced)) as worker:
        worker.prepare()


@pytest.mark.usefixtures("started")
def test_a_check_value_says_nothing_of_its_key(redis_client: redis.Redis) -> None:
    """Sixteen digits each, which differ for every key."""
    stored = redis_client.hgetall(KEYS.key_checks)

    assert {name.decode() for name in stored} == {"k1", ":fingerprint"}
    assert {len(check) for check in stored.values()} == {16}
    assert RIGHT.check != WRONG.check
    assert RIGHT.secret[:8].hex() != RIGHT.check


def test_a_worker_that_started_before_its_redis_writes_its_check_values_later(
    make_settings: Callable[..., Settings], tmp_path: Path
) -> None:
    """When it is ready to take messages, which is when its broker is there."""
    port = free_port()
    settings = make_settings(redis_url=f"redis://127.0.0.1:{port}/0", sealing_keys=ring(RIGHT))

    with closing(Process(settings)) as worker:
        worker.prepare()
        with faulty_redis.server(tmp_path, port=port), connect(settings) as client:
            worker.check()

            assert client.hget(KEYS.key_checks, "k1") == RIGHT.check.encode()
