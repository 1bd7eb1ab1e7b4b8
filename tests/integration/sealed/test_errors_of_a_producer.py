"""Errors of a producer's methods show an error tracker neither a person nor a secret: every method, every kind of failure."""

from __future__ import annotations

import asyncio
import gzip
import json
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import SecretStr, ValidationError

from gatepost import AsyncProducer, CampaignOptions, Campaigns, Producer, Settings, Tenant, load_settings
from gatepost import errors as e
from gatepost_core.campaigns.row import Row
from gatepost_core.commands import LoginWithEmail, SendEmail, parse_command
from gatepost_core.content_key import ContentKey
from gatepost_core.kinds import Channel
from gatepost_core.outcomes import load_redeemable
from gatepost_core.sealing import Key, Purpose
from gatepost_operations.files.check import check_file
from gatepost_operations.files.rows import read_rows
from gatepost_operations.maintenance.dead_letters import DeadLetterControl
from gatepost_operations.maintenance.erasure import Erasure
from support.error_tracker import assert_bare, raised_by
from support.keys import KEYS
from support.redeeming import TOKEN, token_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import redis

NAME = "canary-q7x2v9"
EMAIL = f"{NAME}@example.com"
PHONE = "+447700900847"
CODE = "canary914377"
SECRET = "canary-secret-k3w8"
SECRETS = [NAME, PHONE, CODE, SECRET]


class Breaking:
    """An idempotency key that breaks deep inside."""

    def __init__(self, error: BaseException) -> None:
        self._error = error

    def __bool__(self) -> bool:
        raise self._error


SENDS: list[tuple[str, list[str]]] = [
    ("send_email", [EMAIL]),
    ("send_sms", [PHONE]),
    ("login_with_email", [EMAIL, CODE]),
    ("login_with_sms", [PHONE, CODE]),
]
REFUSED: dict[str, Callable[[str, list[str]], tuple[list[Any], dict[str, Any], type[BaseException]]]] = {
    "a field is not valid": lambda _, given: ([f"{NAME} at home", *given[1:]], {}, e.InvalidCommand),
    "an unknown option": lambda _, given: (given, {"unknown": EMAIL}, e.InvalidCommand),
    "a reserved field": lambda _, given: (given, {"extra": {"email": EMAIL}}, e.InvalidCommand),
    "an unknown tenant": lambda _, given: (given, {"tenant": "acme"}, e.TenantMissing),
    "an argument is missing": lambda _, given: (given[:-1], {}, TypeError),
    "an argument too many": lambda _, given: ([*given, EMAIL, EMAIL], {}, TypeError),
    "given twice": lambda name, given: (given, {"email" if "email" in name else "phone_number": EMAIL}, TypeError),
    "a bug": lambda _, given: (given, {"idempotency_key": Breaking(KeyError(EMAIL))}, e.Unforeseen),
    "a codec": lambda _, given: (
        given,
        {"idempotency_key": Breaking(UnicodeEncodeError("ascii", EMAIL, 0, 1, EMAIL))},
        e.Unforeseen,
    ),
    "an operating system": lambda _, given: (given, {"idempotency_key": Breaking(OSError(EMAIL))}, e.Unforeseen),
    "a group": lambda _, given: (
        given,
        {"idempotency_key": Breaking(ExceptionGroup(EMAIL, [ValueError(EMAIL)]))},
        e.Unforeseen,
    ),
    "interrupted": lambda _, given: (given, {"idempotency_key": Breaking(KeyboardInterrupt())}, KeyboardInterrupt),
    "an exit": lambda _, given: (given, {"idempotency_key": Breaking(SystemExit(1))}, SystemExit),
    "no memory": lambda _, given: (given, {"idempotency_key": Breaking(MemoryError())}, MemoryError),
    "too deep": lambda _, given: (given, {"idempotency_key": Breaking(RecursionError())}, RecursionError),
}


@pytest.fixture
def producer(make_settings: Callable[..., Settings]) -> Iterator[Producer]:
    with Producer(make_settings(auth0_client_secret=SECRET)) as opened:
        yield opened


@pytest.fixture
def away(make_settings: Callable[..., Settings]) -> Settings:
    """Settings of a Redis that does not answer."""
    return make_settings(redis_url=f"redis://user:{SECRET}@127.0.0.1:1/0", auth0_client_secret=SECRET)


@pytest.mark.parametrize("kind", REFUSED)
@pytest.mark.parametrize(("name", "given"), SENDS)
def test_a_command_that_fails_shows_nobody(producer: Producer, name: str, given: list[str], kind: str) -> None:
    """Wrong fields, wrong arguments, faults inside and interruptions, in each of the four commands."""
    args, options, expected = REFUSED[kind](name, given)
    error = raised_by(lambda: getattr(producer, name)(*args, **options))

    assert type(error) is expected
    assert_bare(error, __file__, SECRETS)


@pytest.mark.parametrize("kind", REFUSED)
@pytest.mark.parametrize(("name", "given"), SENDS)
def test_an_awaited_command_that_fails_shows_nobody(
    make_settings: Callable[..., Settings], name: str, given: list[str], kind: str
) -> None:
    """The same through a thread and an event loop."""
    if kind in {"interrupted", "an exit"}:
        pytest.skip("it would end the thread's pool, and the test")
    args, options, expected = REFUSED[kind](name, given)

    async def call() -> BaseException:
        async with AsyncProducer(make_settings()) as producer:
            try:
                await getattr(producer, name)(*args, **options)
            except BaseException as error:  # noqa: BLE001 - it is looked at
                return error
        raise AssertionError("nothing was raised")

    error = asyncio.run(call())

    assert type(error) is expected
    assert_bare(error, __file__, SECRETS)


def test_a_cancelled_command_shows_nobody(make_settings: Callable[..., Settings]) -> None:
    """Its task ends in the middle of a call; so do the others of its group."""

    async def both() -> list[BaseException]:
        async with AsyncProducer(make_settings()) as producer:
            task = asyncio.create_task(producer.login_with_email(EMAIL, CODE))
            await asyncio.sleep(0)
            task.cancel()
            (cancelled,) = await asyncio.gather(task, return_exceptions=True)
            # No worker runs, so the wait ends only by its cancellation.
            queued = await producer.send_email(EMAIL)
            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(producer.login_with_email(NAME, CODE))
                    group.create_task(queued.wait(120))
            except BaseException as group_error:  # noqa: BLE001 - it is looked at
                (failed,) = group_error.exceptions  # type: ignore[attr-defined] # it is a group
                return [cancelled, failed]  # type: ignore[list-item] # the result is an exception
        raise AssertionError("nothing was raised")

    cancelled, failed = asyncio.run(both())

    assert (type(cancelled), type(failed)) == (asyncio.CancelledError, e.InvalidCommand)
    for error in (cancelled, failed):
        assert_bare(error, __file__, SECRETS)


def operation(_: str) -> str:
    return "7a0c1c1e-0000-4000-8000-000000000001"


@pytest.mark.parametrize(
    "call",
    [
        pytest.param(lambda p: p.send_email(EMAIL), id="send_email"),
        pytest.param(lambda p: p.login_with_sms(PHONE, CODE), id="login_with_sms"),
        pytest.param(lambda p: p.handle(operation(EMAIL)).outcome(), id="outcome"),
        pytest.param(lambda p: p.handle(operation(EMAIL)).wait(1), id="wait"),
        pytest.param(lambda p: p.handle(operation(EMAIL)).redeem(1), id="redeem"),
        pytest.param(lambda p: p.handle(operation(EMAIL)).cancel(), id="cancel"),
        pytest.param(lambda p: p.campaigns.create(NAME, guest_list=[EMAIL]), id="create"),
        pytest.param(lambda p: p.campaigns.add(operation(EMAIL), [Row(1, Channel.EMAIL, EMAIL)]), id="add"),
        pytest.param(lambda p: p.campaigns.show(operation(EMAIL), EMAIL), id="show"),
        pytest.param(lambda p: list(p.campaigns.export(operation(EMAIL))), id="export"),
        pytest.param(lambda p: p.campaigns.suppressions.add(EMAIL), id="suppress"),
        pytest.param(lambda p: p.campaigns.suppressions.find(PHONE), id="find"),
        pytest.param(lambda p: p.campaigns.suppressions.import_rows([Row(1, Channel.EMAIL, EMAIL)]), id="import"),
        pytest.param(lambda p: p.campaigns.suppressions.count_among([EMAIL]), id="count_among"),
        pytest.param(lambda p: Erasure(p.settings).erase(EMAIL), id="erase"),
    ],
)
def test_while_redis_is_away_nobody_is_shown(away: Settings, call: Callable[[Producer], Any]) -> None:
    """redis-py's frames hold the password and the written data."""
    with Producer(away) as producer:
        error = raised_by(lambda: call(producer))

    assert isinstance(error, e.Unavailable)
    assert_bare(error, __file__, SECRETS)


class Own(Exception):
    """The caller's."""


def failing(error: BaseException) -> Iterator[Row]:
    yield Row(1, Channel.EMAIL, EMAIL)
    raise error


ROWS: dict[str, tuple[Callable[[], Any], type[BaseException]]] = {
    "a row is not valid": (lambda: [Row(1, Channel.EMAIL, f"{NAME} at home")], e.InvalidCommand),
    "no row": (lambda: [EMAIL], e.InvalidCommand),
    "no iterable": (lambda: 1, TypeError),
    "the caller's rows fail": (lambda: failing(Own("mine")), Own),
    "the caller is interrupted": (lambda: failing(KeyboardInterrupt()), KeyboardInterrupt),
    "an object that is no text": (lambda: [Row(1, Channel.EMAIL, Odd())], e.Unforeseen),  # type: ignore[arg-type] # wrong on purpose
}


class Odd(str):
    """A text that breaks where it is read."""

    __slots__ = ()

    def strip(self, *_: Any) -> str:
        raise LookupError(EMAIL)


@pytest.mark.parametrize("kind", ROWS)
@pytest.mark.parametrize("method", ["add", "import_rows"])
def test_rows_that_fail_show_nobody(producer: Producer, method: str, kind: str) -> None:
    """An error of the caller's code is raised unchanged, with only the caller's frames."""
    make, expected = ROWS[kind]
    rows = make()
    campaign_id = producer.campaigns.create("spring")
    error = raised_by(
        lambda: (
            producer.campaigns.add(campaign_id, rows)
            if method == "add"
            else producer.campaigns.suppressions.import_rows(rows)
        )
    )

    assert type(error) is expected
    assert_bare(error, __file__, SECRETS)


def test_a_callers_callback_that_fails_shows_nobody(producer: Producer) -> None:
    """It comes back unchanged too, without the import's frames."""

    def stop(_: object) -> None:
        raise Own("mine")

    campaign_id = producer.campaigns.create("spring")
    error = raised_by(lambda: producer.campaigns.add(campaign_id, [Row(1, Channel.EMAIL, EMAIL)], on_progress=stop))

    assert type(error) is Own
    assert_bare(error, __file__, SECRETS)


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (lambda c: c.create("spring", guest_list=[f"{NAME} at home"]), e.InvalidValue),
        (lambda c: c.create("spring", guest_list=failing(Own("mine"))), e.Unforeseen),
        (lambda c: c.create("spring", guest_list=(str(row) for row in failing(Own("mine")))), e.InvalidValue),
        (lambda c: c.create("spring", CampaignOptions(tenant="acme"), guest_list=[EMAIL]), e.TenantMissing),
        (lambda c: c.create(f"{NAME}\x1b"), e.InvalidCommand),
        (lambda c: c.create("spring", campaign_id=EMAIL), e.InvalidCommand),
        (lambda c: c.show(c.create("spring"), NAME), e.InvalidValue),
        (lambda c: c.suppressions.add(NAME), e.InvalidValue),
        (lambda c: c.suppressions.add(EMAIL, expires_at=EMAIL), e.Unforeseen),
        (lambda c: c.suppressions.remove(NAME), e.InvalidValue),
        (lambda c: c.suppressions.add(EMAIL, EMAIL, EMAIL), TypeError),
        (lambda _: CampaignOptions(auth_params=EMAIL), ValidationError),
        (lambda _: CampaignOptions(auth_params={"login_hint": EMAIL}, rate=-1), ValidationError),
    ],
)
def test_a_campaign_that_is_refused_shows_nobody(
    producer: Producer, call: Callable[[Campaigns], Any], expected: type[BaseException]
) -> None:
    """Guests, recipients and options that cannot be used."""
    error = raised_by(lambda: call(producer.campaigns))

    assert type(error) is expected
    assert_bare(error, __file__, SECRETS)


def test_a_result_that_does_not_open_shows_nobody(
    make_settings: Callable[..., Settings], redis_client: redis.Redis
) -> None:
    """Under another redeem token, moved from another place, and in a form that this version does not know."""
    with Producer(make_settings()) as producer:
        handle = producer.login_with_email(EMAIL, CODE)
        token, key = token_of(handle), KEYS.operation(handle.operation_id)
        tokens = json.dumps({"type": "token_set", "access_token": SECRET}).encode()
        sealed = {
            "another token": ContentKey(TOKEN, handle.operation_id).seal(tokens),
            "another place": ContentKey(token, "another").seal(tokens),
            "the ring": producer.settings.keyring().seal(tokens, Purpose.result(handle.operation_id)),
            "another form": ContentKey(token, handle.operation_id).seal(
                json.dumps({"type": "token_set", "token": SECRET}).encode()
            ),
            "no seal": SECRET,
        }
        redis_client.hset(key, "state", "accepted")
        for text in sealed.values():
            document = json.dumps({"status": "SUCCESS", "result": text})
            redis_client.set(KEYS.celery_result(handle.operation_id), document)
            redis_client.hdel(key, "redeemed")
            error = raised_by(lambda: handle.redeem(1))

            assert isinstance(error, e.SealError), error
            assert_bare(error, __file__, [*SECRETS, token.get_secret_value()])


def test_a_wrong_redeem_token_shows_nobody(make_settings: Callable[..., Settings], redis_client: redis.Redis) -> None:
    """Of another login, cut off, or missing; and a second redemption."""
    with Producer(make_settings()) as producer:
        handle, other = (producer.login_with_email(EMAIL, CODE) for _ in range(2))
        secrets = [*SECRETS, *(token_of(one).get_secret_value() for one in (handle, other))]
        redis_client.hset(KEYS.operation(handle.operation_id), mapping={"state": "accepted", "redeemed": 1})
        wrong = f"{handle.operation_id}.{token_of(other).get_secret_value()}"
        for reference in (handle.reference, wrong, handle.reference[:-1], handle.operation_id):
            error = raised_by(lambda given=reference: producer.handle(given).redeem(1))

            assert isinstance(error, e.NothingToRedeem | e.WrongRedeemToken), error
            assert_bare(error, __file__, secrets)


def test_an_export_under_another_key_shows_nobody(make_settings: Callable[..., Settings]) -> None:
    """It fails at the first recipient, in the middle of the caller's loop."""
    with Campaigns(make_settings()) as campaigns:
        campaign_id = campaigns.create("spring")
        campaigns.add(campaign_id, [Row(1, Channel.EMAIL, EMAIL)])
    with Campaigns(make_settings(sealing_keys=f"other:{'A' * 43}")) as campaigns:
        error = raised_by(lambda: list(campaigns.export(campaign_id)))

    assert isinstance(error, e.UnknownKey)
    assert_bare(error, __file__, SECRETS)


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (lambda: SendEmail(email=NAME), ValidationError),  # type: ignore[arg-type] # as a caller writes it
        (lambda: LoginWithEmail(email=EMAIL, code=f"{CODE} {NAME}"), ValidationError),  # type: ignore[arg-type] # as above
        (lambda: parse_command({"kind": EMAIL}), e.InvalidCommand),
        (lambda: parse_command({"kind": "send_email", EMAIL: 1}), e.InvalidCommand),
        (lambda: parse_command(EMAIL), e.Unforeseen),  # type: ignore[arg-type] # wrong on purpose
        (lambda: load_redeemable(json.dumps({"type": "token_set", "token": SECRET}).encode()), e.SealError),
        (lambda: Tenant(domain=EMAIL, client_id="x", client_secret=SecretStr(SECRET)), ValidationError),
        (lambda: Settings(auth0_client_secret=SECRET, concurrency=0), ValidationError),  # type: ignore[call-arg, arg-type] # as above
        (lambda: Settings(tenants=SECRET), ValidationError),  # type: ignore[arg-type] # wrong on purpose
        (lambda: Settings(_env_file=[SECRET], unknown=1), type(None)),  # type: ignore[call-arg] # nothing is wrong
        (lambda: load_settings(auth0_client_secret=SECRET, concurrency=0), e.ConfigurationError),
        (lambda: load_settings(sealing_keys=SECRET).keyring(), e.ConfigurationError),
        (lambda: load_settings(redis_url=f"redis://:{SECRET}@[/0"), e.ConfigurationError),
        (lambda: Producer(load_settings(sealing_keys=f"k:{SECRET}", fingerprint_key=SECRET)), e.ConfigurationError),
        (lambda: Producer(SECRET), e.Unforeseen),  # type: ignore[arg-type] # wrong on purpose
        (lambda: Producer(SECRET, SECRET), TypeError),  # type: ignore[call-arg, arg-type] # wrong on purpose
        (lambda: Campaigns(SECRET), e.Unforeseen),  # type: ignore[arg-type] # wrong on purpose
        (lambda: DeadLetterControl(SECRET), e.Unforeseen),  # type: ignore[arg-type] # wrong on purpose
        (lambda: Key.parse(SECRET), e.ConfigurationError),
        (lambda: Key.parse(f"k:{SECRET}!"), e.ConfigurationError),
    ],
)
def test_values_that_are_refused_show_nobody(call: Callable[[], Any], expected: type[BaseException]) -> None:
    """Commands, results, settings and keys that an application makes itself."""
    if expected is type(None):
        call()
        return
    error = raised_by(call)

    assert type(error) is expected
    assert_bare(error, __file__, SECRETS)


FILES = {
    "two columns of one name": f"email,email\n{EMAIL},{EMAIL}".encode(),
    "cut short": gzip.compress(f"email\n{EMAIL}\n".encode() * 1000)[:-20],
}


@pytest.mark.parametrize("kind", FILES)
@pytest.mark.parametrize("read", [lambda path: list(read_rows(path)), check_file], ids=["read_rows", "check_file"])
def test_a_file_that_fails_shows_nobody(tmp_path: Path, read: Callable[[Any], Any], kind: str) -> None:
    """While it is read, the frames hold lines of it."""
    path = tmp_path / "people.csv"
    path.write_bytes(FILES[kind])
    error = raised_by(lambda: read(path))

    assert isinstance(error, e.GatepostError)
    assert_bare(error, __file__, SECRETS)
