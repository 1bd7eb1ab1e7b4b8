"""One module spells every key and queue, and a namespace begins each of them."""

from __future__ import annotations

import re
from functools import cached_property
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gatepost.errors import ConfigurationError
from gatepost_core.broker.publishing import build_app
from gatepost_core.campaigns.scripts import lua_constants
from gatepost_core.kinds import Queue
from gatepost_core.redis import keys as redis_keys
from gatepost_core.redis.keys import RedisKeys
from gatepost_core.settings import load_settings
from support.checkout import CHECKOUT
from support.sources import sources

if TYPE_CHECKING:
    from collections.abc import Callable

    from gatepost_core.settings import Settings

PAGE = CHECKOUT / "docs" / "reference" / "stored-data.md"
NOT_NAMES = {"lua", "of_libraries", "control_exchange", "event_exchange", "campaign_pattern", "batch_pattern"}
NOT_KEYS = {"operation_id_of", "campaign_id_of", "queue", "queue_key"}
# Placeholders in the tables of the page.
PLACES = {"operation_id": "ID", "campaign_id": "ID", "letter_id": "ID", "batch": "N", "bucket": "N", "tenant": "WORD"}


def keys_of(keys: RedisKeys) -> set[str]:
    """Every key, with placeholders for ids."""
    found = {
        getattr(keys, name)
        for name, member in vars(RedisKeys).items()
        if isinstance(member, cached_property) and name not in NOT_NAMES
    }
    for name, method in vars(RedisKeys).items():
        if callable(method) and not name.startswith("_") and name not in NOT_KEYS:
            places = [PLACES.get(place, "ANY") for place in list(signature(method).parameters)[1:]]
            found.add(getattr(keys, name)(*places))
    return found | {keys.queue_key(keys.queue(queue)) for queue in Queue}


def test_the_default_namespace_leaves_the_names_as_they_were() -> None:
    """A stored key of an installation that sets no namespace is found again."""
    keys = RedisKeys()

    assert keys.operation("1") == "gatepost:operation:1"
    assert keys.celery_result("1") == "celery-task-meta-1"
    assert keys.batch("c", 2) == "gatepost:campaign:c:batch:2"
    assert keys.queue_key(keys.queue(Queue.LOGIN)) == "gatepost.login"
    assert (keys.control_exchange, keys.event_exchange) == ("celery", "celeryev")


def test_another_namespace_begins_every_key() -> None:
    """Kombu's, Celery's and the queues' too, so one ACL pattern covers an installation."""
    found = keys_of(RedisKeys("staging"))

    assert len(found) > 25
    assert [key for key in found if not key.startswith("staging:")] == []


def test_ids_are_read_from_their_keys() -> None:
    """Under any namespace, and the patterns of a rotation fit no other installation's campaign."""
    keys = RedisKeys("eu-1")

    assert keys.operation_id_of(keys.operation("o")) == "o"
    assert keys.campaign_id_of(keys.campaign("c")) == "c"
    match = keys.batch_pattern.fullmatch(keys.batch("c", 7))
    assert match
    assert (match["campaign"], match["number"]) == ("c", "7")
    assert keys.campaign_pattern.fullmatch(RedisKeys("eu").campaign("c")) is None


@pytest.mark.parametrize("text", ["Staging", "-a", "a:b", "a.b", "a*", "é", "a" * 33, "staging\n", "amq"])
def test_a_namespace_that_could_not_begin_a_name_is_refused(text: str) -> None:
    """The error has the setting's name and the allowed form."""
    with pytest.raises(ConfigurationError, match=r"^GATEPOST_NAMESPACE: must"):
        load_settings(namespace=text)


@pytest.mark.parametrize("text", ["gatepost", "staging", "eu-west_1", "2", "a" * 32])
def test_a_plain_word_is_a_namespace(text: str) -> None:
    """Letters, digits, `-` and `_`."""
    assert load_settings(namespace=text).namespace == text


@pytest.mark.parametrize("namespace", ["gatepost", "staging"])
def test_celery_uses_the_same_names(make_settings: Callable[..., Settings], namespace: str) -> None:
    """Its result keys, queues and exchanges are those that the ledger, the doctor and the documentation name."""
    settings = make_settings(namespace=namespace)
    keys = RedisKeys(settings.namespace)
    app = build_app(settings)
    try:
        assert app.backend.get_key_for_task("1").decode() == keys.celery_result("1")
        assert [queue.name for queue in app.amqp.queues.values()] == [keys.queue(queue) for queue in Queue]
        assert all(app.amqp.queues[queue.value].exchange.name == keys.queue(queue) for queue in Queue)
        assert app.control.mailbox.exchange.name == f"{keys.control_exchange}.pidbox"
        with app.connection_for_write() as connection:
            assert connection.default_channel.global_keyprefix == keys.of_libraries
    finally:
        app.close()


def test_no_other_source_spells_a_key() -> None:
    """Python and Lua alike: a key that changes touches one file."""
    spelled = re.compile(
        r"""["'](gatepost:\w|celery-task-meta|_kombu|unacked['"]|:(?:batch|out|waiting|blocked|i):?["']|gatepost\.(?:login|send|bulk|webhooks)\b)"""
    )
    home = Path(redis_keys.__file__).resolve()
    files = sources().values()

    found = [path.name for path in files if path.resolve() != home and spelled.search(path.read_text("utf-8"))]

    assert files
    assert found == []


@pytest.mark.skipif(not PAGE.exists(), reason="the wheel's tests run without the documentation")
def test_the_documented_keys_are_those_that_exist() -> None:
    """The page of stored data has every key of the module, and no other key of Gatepost's."""
    rows = re.findall(r"^\| ((?:`[^`|]+` ?)+)\|", PAGE.read_text("utf-8"), re.MULTILINE)
    documented = {_plain(name) for row in rows for name in re.findall(r"`([^`]+)`", row)}
    # The page's own test stores everything else; a recovery needs a backup.
    existing = {_plain(key) for key in keys_of(RedisKeys())} - {RedisKeys().recovered}

    assert existing <= documented
    assert {name for name in documented - existing if name.startswith("gatepost")} <= _parts(RedisKeys())


def _plain(key: str) -> str:
    return re.sub(r"(?<=:)(ID|N|DIGEST|FINGERPRINT|PREFIX|ANY|WORD)\b(:(ID|N|ANY|WORD))?", "…", key)


def _parts(keys: RedisKeys) -> set[str]:
    """The parts that only scripts name: sets of a campaign, and the two indexes."""
    of_campaign = {f"{keys.campaign('ID')}{part}" for part in (":out", ":waiting", ":i:N")}
    return {_plain(name) for name in (*of_campaign, f"{keys.suppression}:i:N")}


def test_a_scripts_names_of_keys_hide_no_other_constant() -> None:
    """The constants of states and reasons follow them in the same script."""
    names = [re.findall(r"^local ([\w, ]+) =", text, re.MULTILINE) for text in (RedisKeys().lua, lua_constants())]
    of_keys, others = ({name for line in lines for name in line.split(", ")} for lines in names)

    assert of_keys
    assert others
    assert of_keys.isdisjoint(others)
