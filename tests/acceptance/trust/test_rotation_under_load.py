"""Keys rotate while operations are enqueued, carried out and redeemed: no caller notices."""

from __future__ import annotations

import threading
import traceback
import uuid
from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr

from gatepost import Producer
from gatepost_core.campaigns.model import Options
from gatepost_core.sealing import Key
from gatepost_core.states import State
from support.campaign_parts import rows
from support.sealing_keys import SEALING_KEY

if TYPE_CHECKING:
    from gatepost_core.settings import Settings
    from support.stack import Stack

pytestmark = pytest.mark.slow

NEW = Key("k2026", bytes(reversed(range(32))))
OLD_SEALS = f"{SEALING_KEY.reveal()},{NEW.reveal()}"
NEW_SEALS = f"{NEW.reveal()},{SEALING_KEY.reveal()}"
EVERYTHING = "gatepost.login,gatepost.send,gatepost.bulk"
PEOPLE = 200
_PAUSE_S = 0.1


def with_ring(stack: Stack, keys: str) -> Settings:
    ring = tuple(SecretStr(key) for key in keys.split(","))
    return stack.settings.model_copy(update={"sealing_keys": ring})


class Load:
    """People who log in, one after the other, until the test stops them."""

    def __init__(self, stack: Stack, keys: str) -> None:
        self.logins = 0
        self.failures: list[str] = []
        self._stack = stack
        self._keys = keys
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        try:
            with Producer(with_ring(self._stack, self._keys)) as producer:
                while not self._ended.wait(_PAUSE_S):
                    address = f"guest-{uuid.uuid4().hex}@example.com"
                    producer.send_email(address).result(120)
                    code = self._stack.simulator.control.latest_code(address, wait_s=10)
                    producer.login_with_email(address, code, scope="openid").redeem(120)
                    self.logins += 1
        except Exception:  # noqa: BLE001 - whatever it is, the test reports it
            self.failures.append(traceback.format_exc())

    def stop(self) -> None:
        self._ended.set()
        self._thread.join(120)


def rotate(stack: Stack) -> int:
    return stack.start(
        "rotate", "-m", "gatepost_operations.cli", "keys", "rotate", GATEPOST_SEALING_KEYS=NEW_SEALS
    ).wait()


def reached(load: Load, stack: Stack, more: int) -> None:
    wanted = load.logins + more
    stack.until(lambda: load.logins >= wanted or bool(load.failures), f"{wanted} logins", timeout=120)


def test_a_rotation_under_load_fails_nothing_and_the_old_key_can_go(stack: Stack) -> None:
    """Every process knows both keys first, then the new one seals, then the old one is nowhere needed."""
    first = stack.worker(EVERYTHING, GATEPOST_SEALING_KEYS=OLD_SEALS)
    with Producer(with_ring(stack, OLD_SEALS)) as producer:
        campaign = producer.campaigns.create("spring", Options(rate=1000))
        producer.campaigns.add(campaign, rows(PEOPLE))
    by_old, by_new = Load(stack, OLD_SEALS), Load(stack, NEW_SEALS)
    try:
        reached(by_old, stack, 5)
        second = stack.worker(EVERYTHING, GATEPOST_SEALING_KEYS=NEW_SEALS)
        for _ in range(3):
            assert rotate(stack) in {0, 3}  # 3: a process still seals with the old one
        first.terminate()
        assert first.wait() == 0
        by_old.stop()
        reached(by_new, stack, 5)
        turned = rotate(stack)
        reached(by_new, stack, 5)
    finally:
        by_old.stop()
        by_new.stop()
    second.terminate()
    second.wait()

    assert by_old.failures + by_new.failures == []
    assert turned == 0, stack.output()
    stack.worker(EVERYTHING, GATEPOST_SEALING_KEYS=NEW.reveal())
    stack.beat()
    with Producer(with_ring(stack, NEW.reveal())) as producer:
        producer.campaigns.start(campaign)
        status = producer.campaigns.status
        stack.until(lambda: status(campaign).status == "finished", "the campaign of before has been sent")

        assert status(campaign).counts[State.ACCEPTED] == PEOPLE


def test_a_worker_without_a_needed_key_ends_and_names_it(stack: Stack) -> None:
    """Better than to put off every operation it meets."""
    with stack.producer() as producer:
        producer.send_email("ana@example.com")
    arguments = ["-A", "gatepost_worker", "worker", "-Q", "gatepost.login", "--without-gossip", "--without-mingle"]
    program = stack.start("worker", "-m", "celery", *arguments, GATEPOST_SEALING_KEYS=NEW.reveal())

    assert program.wait() != 0
    assert f"GATEPOST_SEALING_KEYS lacks {SEALING_KEY.kid}" in program.output()
