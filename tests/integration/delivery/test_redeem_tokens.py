"""An operation's id redeems nothing: the result of a login opens with its redeem token alone."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import uuid
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from gatepost import AsyncProducer, Enqueued, Producer, State
from gatepost.errors import (
    CodeRejected,
    IdempotencyConflict,
    InvalidCommand,
    NothingToRedeem,
    SealError,
    UnknownKey,
    WrongRedeemToken,
)
from gatepost_core.commands import load_command
from gatepost_core.redeem_tokens import RedeemToken
from gatepost_core.sealing import Purpose
from gatepost_worker.delivery.runner import Later
from gatepost_worker.process import Process
from gatepost_worker.submission import Submissions
from support.keys import KEYS
from support.planted_secrets import found
from support.redeeming import TOKEN, token_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import redis

    from gatepost import Handle
    from gatepost_core.settings import Settings
    from gatepost_simulator.server import SimulatorServer

PERSON = "guest@example.com"


class Journey:
    """A producer, and a worker's parts without Celery's loop."""

    def __init__(self, settings: Settings, simulator: SimulatorServer) -> None:
        self.settings = settings
        self.simulator = simulator
        self.producer = Producer(settings)
        self.process = Process(settings)

    def code(self, person: str = PERSON) -> str:
        """Send a code, and return it."""
        self.process.runner.run(self.producer.send_email(person).operation_id)
        return self.simulator.control.latest_code(person)

    def login(self, person: str = PERSON, **options: Any) -> Handle:
        """Log a person in; the token set waits."""
        handle = self.producer.login_with_email(person, self.code(person), scope="openid", **options)
        self.run(handle)
        return handle

    def run(self, handle: Handle) -> None:
        self.process.runner.run(handle.operation_id)

    def close(self) -> None:
        self.producer.close()
        self.process.close()


@pytest.fixture
def journey(make_bench: Callable[..., Any], simulator: SimulatorServer) -> Iterator[Journey]:
    with closing(Journey(make_bench().settings, simulator)) as opened:
        yield opened


def raw_of(handle: Handle) -> bytes:
    """The bytes of a handle's redeem token, read as other languages read it."""
    token = handle.reference.partition(".")[2]
    return base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))


def test_each_login_has_a_token_of_32_random_bytes(journey: Journey) -> None:
    """In base64url, after the operation's id."""
    handles = [journey.producer.login_with_email(PERSON, "123456") for _ in range(2)]

    assert [handle.reference.partition(".")[0] for handle in handles] == [one.operation_id for one in handles]
    assert [len(raw_of(handle)) for handle in handles] == [32, 32]
    assert raw_of(handles[0]) != raw_of(handles[1])
    assert all("=" not in handle.reference for handle in handles)


def test_a_send_has_no_token(journey: Journey) -> None:
    """There is nothing to redeem."""
    handle = journey.producer.send_email(PERSON)

    assert handle.reference == handle.operation_id


def test_redis_holds_the_tokens_digest_and_never_the_token(journey: Journey, redis_client: redis.Redis) -> None:
    """While the login waits, after it has ended, and after the redemption."""
    handle = journey.producer.login_with_email(PERSON, journey.code())
    digest = base64.urlsafe_b64encode(hashlib.sha256(raw_of(handle)).digest()).rstrip(b"=")

    for step in (lambda: None, lambda: journey.run(handle), lambda: handle.redeem(1)):
        step()
        kept = "".join(f"{key!r}{redis_client.dump(key)!r}" for key in redis_client.scan_iter())
        assert redis_client.hget(KEYS.operation(handle.operation_id), "redeem") == digest
        assert found([token_of(handle).get_secret_value()], kept) == []


def test_the_sealing_keys_open_the_command_of_an_open_login_but_not_the_result(
    journey: Journey, redis_client: redis.Redis
) -> None:
    """After the end, only the holder of the token can read the tokens."""
    handle = journey.producer.login_with_email(PERSON, journey.code())
    ring = journey.settings.keyring()
    command = redis_client.hget(KEYS.operation(handle.operation_id), "command") or b""
    opened = load_command(ring.open(command.decode(), Purpose.command(handle.operation_id)))
    journey.run(handle)

    sealed = journey.producer.ledger.sealed_result(handle.operation_id)
    assert getattr(opened, "redeem_token").get_secret_value() == token_of(handle).get_secret_value()  # noqa: B009 - a login has it
    assert redis_client.hget(KEYS.operation(handle.operation_id), "command") is None
    assert sealed is not None
    with pytest.raises(UnknownKey):
        ring.open(sealed, Purpose.result(handle.operation_id))
    assert handle.redeem(1).id_token


def test_a_wrong_token_is_an_error_and_burns_nothing(journey: Journey) -> None:
    """The tokens stay for the holder of the right one."""
    handle, other = journey.login(), journey.login("other@example.com")
    swapped = journey.producer.handle(f"{handle.operation_id}.{token_of(other).get_secret_value()}")
    for _ in range(3):
        with pytest.raises(WrongRedeemToken, match="not that of this login"):
            swapped.redeem(1)

    assert handle.redeem(1).id_token
    with pytest.raises(WrongRedeemToken):
        swapped.redeem(1)


def test_an_id_alone_redeems_nothing(journey: Journey) -> None:
    """It shows the state; the error names the way out."""
    handle = journey.login()
    by_id = journey.producer.handle(handle.operation_id)

    assert by_id.wait(1).state is State.ACCEPTED
    with pytest.raises(WrongRedeemToken, match="reference"):
        by_id.redeem(1)
    assert handle.redeem(1).id_token


@pytest.mark.parametrize(
    "cut", [lambda text: text[:-1], lambda text: text[:-43], lambda text: f"{text}A", lambda text: f"{text}é"]
)
def test_a_reference_that_is_cut_off_is_refused(journey: Journey, cut: Callable[[str], str]) -> None:
    """The error repeats no part of it."""
    reference = journey.producer.login_with_email(PERSON, "123456").reference

    with pytest.raises(WrongRedeemToken, match="cut off or changed") as refused:
        journey.producer.handle(cut(reference))
    assert reference.partition(".")[2][:40] not in str(refused.value)


def test_a_reference_carries_a_login_to_another_process(journey: Journey) -> None:
    """Through a session, for a `Producer` and for an `AsyncProducer`."""
    first, second = (journey.login(f"{name}@example.com").reference for name in ("ana", "eva"))

    async def redeemed() -> Any:
        async with AsyncProducer(journey.settings) as producer:
            handle = producer.handle(second)
            assert handle.reference == second
            return await handle.redeem(1)

    with Producer(journey.settings) as producer:
        assert producer.handle(first).redeem(1).id_token
    assert asyncio.run(redeemed()).id_token


def test_a_repeated_call_with_an_idempotency_key_can_redeem(journey: Journey) -> None:
    """The web request that got the first handle may be lost; only the same key with the same command has the token."""
    code = journey.code()
    first = journey.producer.login_with_email(PERSON, code, idempotency_key="a key")
    journey.run(first)
    with Producer(journey.settings) as producer:
        again = producer.login_with_email(PERSON, code, idempotency_key="a key")
        with pytest.raises(IdempotencyConflict):
            producer.login_with_email(PERSON, "123456", idempotency_key="a key")
        other = producer.login_with_email(PERSON, code, idempotency_key="another key")

        assert again.reference == first.reference
        assert raw_of(other) != raw_of(first)
        assert again.redeem(1).access_token


def test_another_fingerprint_key_gives_another_token(journey: Journey, make_settings: Callable[..., Settings]) -> None:
    """To make it, the idempotency key and the command are not enough: it needs the key of the HMAC."""
    first, second = (
        Producer(make_settings(fingerprint_key=key)).login_with_email(PERSON, "123456", idempotency_key="a key")
        for key in ("1" * 32, "2" * 32)
    )

    assert raw_of(first) != raw_of(second)


def test_a_caller_can_bring_a_token(journey: Journey) -> None:
    """A token that is not 32 bytes as base64url is refused, and not repeated."""
    handle = journey.login(redeem_token=TOKEN.get_secret_value())

    assert handle.reference == f"{handle.operation_id}.{TOKEN.get_secret_value()}"
    assert journey.producer.handle(handle.reference).redeem(1).id_token
    for wrong in ("", "hush-41", TOKEN.get_secret_value()[:-1] + "=", TOKEN.get_secret_value() + "AA"):
        with pytest.raises(InvalidCommand, match="redeem_token: must be 32 random bytes as base64url") as refused:
            journey.producer.login_with_email(PERSON, "123456", redeem_token=wrong)
        assert not wrong or wrong not in str(refused.value)


def test_a_result_that_was_moved_to_another_login_does_not_open(journey: Journey, redis_client: redis.Redis) -> None:
    """Even if both logins have the same token."""
    one, two = (journey.login(f"{name}@example.com", redeem_token=TOKEN.get_secret_value()) for name in ("ana", "eva"))
    stored = redis_client.get(KEYS.celery_result(one.operation_id)) or b""
    redis_client.set(KEYS.celery_result(two.operation_id), stored)

    with pytest.raises(SealError):
        two.redeem(1)


def test_many_logins_have_a_reference_each(journey: Journey) -> None:
    """`send_many` gives it, and shows no token."""
    items = [
        {"kind": "login_with_email", "email": PERSON, "code": journey.code()},
        {"kind": "send_email", "email": PERSON},
    ]
    login, send = journey.producer.send_many(items)
    journey.process.runner.run(login.operation_id or "")

    assert send.reference == send.operation_id
    assert journey.producer.handle(login.reference or "").redeem(1).access_token
    assert (login.reference or "").partition(".")[2] not in repr(login)
    assert Enqueued(error=InvalidCommand([("email", "is wrong")])).reference is None


def test_no_representation_shows_the_token(journey: Journey) -> None:
    """Of a handle, its fields, its command and the token itself."""
    handle = journey.producer.login_with_email(PERSON, "123456", redeem_token=TOKEN.get_secret_value())
    shown = f"{handle!r} {handle} {vars(handle)} {TOKEN!r} {TOKEN} {RedeemToken.of(bytes(32))!r}"

    assert TOKEN.get_secret_value() not in shown
    assert repr(handle) == f"Handle('{handle.operation_id}')"


def test_a_second_redemption_says_when_the_first_was(journey: Journey) -> None:
    """By Redis's clock, in the attribute and in the text."""
    handle = journey.login()
    handle.redeem(1)

    with pytest.raises(NothingToRedeem, match=r"redeemed before at 20\d\d-.* UTC") as again:
        handle.redeem(1)
    assert again.value.why == "redeemed"
    assert again.value.redeemed_at is not None
    assert abs(again.value.redeemed_at - datetime.now(UTC)) < timedelta(minutes=5)


def test_a_result_that_is_gone_is_expired(journey: Journey, redis_client: redis.Redis) -> None:
    """A record that outlives its result, as after an erasure."""
    handle = journey.login()
    redis_client.delete(KEYS.celery_result(handle.operation_id))

    with pytest.raises(NothingToRedeem, match="has expired, or an erasure deleted it") as nothing:
        handle.redeem(1)
    assert (nothing.value.why, nothing.value.redeemed_at) == ("expired", None)


def test_a_send_is_not_a_login(journey: Journey) -> None:
    """Whatever token comes with it."""
    handle = journey.producer.send_email(PERSON)
    journey.run(handle)

    for each in (handle, journey.producer.handle(f"{handle.operation_id}.{TOKEN.get_secret_value()}")):
        with pytest.raises(NothingToRedeem, match="not a login") as nothing:
            each.redeem(1)
        assert nothing.value.why == "not_a_login"


def test_a_failed_login_raises_its_error(journey: Journey) -> None:
    """To the holder of the token, who asked for tokens."""
    journey.code()
    handle = journey.producer.login_with_email(PERSON, "000000x")
    journey.run(handle)

    with pytest.raises(CodeRejected):
        handle.redeem(1)
    with pytest.raises(WrongRedeemToken):
        journey.producer.handle(handle.operation_id).redeem(1)


def test_a_login_of_another_language_brings_its_token(journey: Journey) -> None:
    """Plain or sealed; without a token, the result could not be opened, so the code is not spent."""
    submissions = Submissions(journey.producer.app, journey.process)
    command = {"kind": "login_with_email", "email": PERSON, "code": "123456"}
    with pytest.raises(InvalidCommand, match="redeem_token: is missing"):
        submissions.accept(str(uuid.uuid4()), command, None)
    command |= {"code": journey.code(), "redeem_token": TOKEN.get_secret_value()}
    sealed = journey.settings.keyring().seal(json.dumps(command).encode(), Purpose.submission())
    operation_id = submissions.accept(str(uuid.uuid4()), sealed, "a key")
    journey.process.runner.run(operation_id)

    assert journey.producer.handle(f"{operation_id}.{TOKEN.get_secret_value()}").redeem(1).access_token


def test_a_recorded_login_without_a_token_spends_no_code(journey: Journey, redis_client: redis.Redis) -> None:
    """As another version may have recorded it: the worker puts it back, and says why."""
    handle = journey.producer.login_with_email(PERSON, journey.code())
    purpose = Purpose.command(handle.operation_id)
    ring = journey.settings.keyring()
    key = KEYS.operation(handle.operation_id)
    command = json.loads(ring.open((redis_client.hget(key, "command") or b"").decode(), purpose))
    del command["redeem_token"]
    redis_client.hset(key, "command", ring.seal(json.dumps(command).encode(), purpose))

    assert isinstance(journey.process.runner.run(handle.operation_id), Later)
    assert handle.outcome().attempts == 0
    assert handle.outcome().blocked is not None
