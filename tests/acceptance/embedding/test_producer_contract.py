"""The producer in memory behaves like a producer with Redis, a worker and a tenant."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import pytest

from gatepost import Producer, Reason, State, errors
from gatepost.testing import MemoryProducer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from gatepost_core.settings import Settings


class CodeFor(Protocol):
    """Returns the newest code that arrived."""

    def __call__(self, recipient: str, /) -> str: ...


@dataclass
class Served:
    """A producer whose operations are carried out."""

    producer: Producer
    code_for: CodeFor


@pytest.fixture(params=["memory", "redis"])
def served(request: pytest.FixtureRequest) -> Iterator[Served]:
    if request.param == "redis":
        world = request.getfixturevalue("gatepost_world")
        yield Served(world.producer, world.outbox.code_for)
    else:
        with MemoryProducer() as memory:
            yield Served(memory, memory.code_for)


@pytest.fixture(params=["memory", "redis"])
def idle(request: pytest.FixtureRequest) -> Iterator[Producer]:
    """A producer whose operations stay queued."""
    if request.param == "redis":
        make_settings: Callable[[], Settings] = request.getfixturevalue("make_settings")
        with Producer(make_settings()) as producer:
            yield producer
    else:
        with MemoryProducer(hold=True) as memory:
            yield memory


@pytest.fixture
def person() -> str:
    return f"{uuid.uuid4().hex}@example.com"


def test_a_code_logs_in_once(served: Served, person: str) -> None:
    """The token set is redeemed once, too."""
    sent = served.producer.send_email(person).result()
    code = served.code_for(person)
    login = served.producer.login_with_email(person, code)
    tokens = login.redeem()

    assert (sent.state, sent.reason, sent.attempts) == (State.ACCEPTED, None, 1)
    assert tokens.access_token.get_secret_value()
    assert tokens.id_token is not None
    assert login.wait().state is State.ACCEPTED
    with pytest.raises(errors.NothingToRedeem, match="redeemed before") as nothing:
        login.redeem()
    assert nothing.value.redeemed_at is not None
    with pytest.raises(errors.CodeRejected):
        served.producer.login_with_email(person, code).redeem()


def test_a_send_has_nothing_to_redeem(served: Served, person: str) -> None:
    """Only logins have tokens."""
    with pytest.raises(errors.NothingToRedeem, match="not a login"):
        served.producer.send_email(person).redeem()


def test_only_the_reference_redeems(served: Served, person: str) -> None:
    """The id alone and the token of another login redeem nothing, and burn nothing."""
    served.producer.send_email(person).result()
    login = served.producer.login_with_email(person, served.code_for(person))
    other = served.producer.login_with_email(person, "000000")
    login.wait()
    wrong = f"{login.operation_id}.{other.reference.partition('.')[2]}"
    for reference in (login.operation_id, wrong):
        with pytest.raises(errors.WrongRedeemToken):
            served.producer.handle(reference).redeem()

    assert served.producer.handle(login.reference).redeem().access_token


def test_a_wrong_code_is_rejected_and_three_void_it(served: Served, person: str) -> None:
    """With the reason and the typed error."""
    served.producer.send_email(person).result()
    code = served.code_for(person)
    wrong = f"{(int(code) + 1) % 10 ** len(code):0{len(code)}}"
    reasons = [served.producer.login_with_email(person, wrong).wait().reason for _ in range(3)]
    last = served.producer.login_with_email(person, code).wait()

    assert reasons[:2] == [Reason.CODE_REJECTED] * 2
    assert set(reasons) <= {Reason.CODE_REJECTED, Reason.CODE_ATTEMPTS_EXHAUSTED}
    assert last.state is State.REJECTED


def test_the_same_key_names_the_same_operation(served: Served, person: str) -> None:
    """Also after its end; another command under the key is refused."""
    first = served.producer.send_email(person, idempotency_key=person)
    first.result()
    again = served.producer.send_email(person, idempotency_key=person)

    assert again.operation_id == first.operation_id
    with pytest.raises(errors.IdempotencyConflict):
        served.producer.send_email(person, language="de", idempotency_key=person)


def test_many_commands_have_a_result_each(served: Served, person: str) -> None:
    """Wrong ones too, and those whose key is known."""
    item = {"kind": "send_email", "email": person, "idempotency_key": f"many {person}"}
    results = list(served.producer.send_many([item, {"kind": "send_email", "email": "absent"}, item]))

    assert [type(result.error) for result in results] == [type(None), errors.InvalidCommand, type(None)]
    assert [result.existed for result in results] == [False, False, True]
    assert results[0].operation_id == results[2].operation_id
    assert results[0].operation_id is not None
    assert served.producer.handle(results[0].operation_id).result().state is State.ACCEPTED


def test_a_queued_operation_waits_and_is_cancelled_once(idle: Producer, person: str) -> None:
    """A cancelled operation stays so."""
    handle = idle.send_email(person)

    assert handle.state() is State.QUEUED
    with pytest.raises(errors.NotFinished):
        handle.wait(timeout=0.05)
    assert handle.cancel()
    assert handle.cancel()
    assert (handle.outcome().state, handle.outcome().reason) == (State.CANCELLED, Reason.CANCELLED_BY_CALLER)
    with pytest.raises(errors.Cancelled):
        handle.result()


@pytest.mark.parametrize(
    "options", [{"language": "x\n"}, {"deadline": 30}, {"send": "cdoe"}, {"langauge": "de"}, {"tenant": "Not A Name"}]
)
def test_wrong_options_are_refused_alike(idle: Producer, person: str, options: dict[str, object]) -> None:
    """Nothing is recorded."""
    with pytest.raises(errors.InvalidCommand) as refused:
        idle.send_email(person, **options)  # type: ignore[arg-type] # wrong on purpose

    assert person not in str(refused.value)


def test_an_unknown_operation_is_not_found(idle: Producer) -> None:
    """By its state, by waiting and by redeeming."""
    handle = idle.handle(str(uuid.uuid4()))

    for ask in (handle.state, handle.wait, handle.redeem):
        with pytest.raises(errors.OperationNotFound):
            ask()


def test_a_closed_producer_refuses_every_call(idle: Producer, person: str) -> None:
    """Of its handles too."""
    handle = idle.send_email(person)
    idle.close()

    for ask in (handle.state, handle.wait, lambda: idle.send_email(person)):
        with pytest.raises(errors.ProducerClosed):
            ask()
