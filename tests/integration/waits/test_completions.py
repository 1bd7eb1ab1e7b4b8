"""The outcomes of many operations as they end."""

from __future__ import annotations

import asyncio
import uuid
from typing import TYPE_CHECKING

import pytest

from gatepost import AsyncProducer, Producer, State, as_completed
from gatepost.errors import NotFinished, OperationNotFound

if TYPE_CHECKING:
    from gatepost_core.settings import Settings

SOON_S = 30.0


def test_outcomes_come_in_the_order_in_which_operations_end(producer: Producer) -> None:
    """Each with its handle, while the others are awaited."""
    handles = [producer.send_email(f"guest-{n}@example.com") for n in range(3)]
    ends = iter(as_completed(handles, SOON_S))
    found = []
    for chosen in (handles[2], handles[0], handles[1]):
        chosen.cancel()
        found.append(next(ends))

    assert [each.handle.operation_id for each in found] == [handles[n].operation_id for n in (2, 0, 1)]
    assert {each.outcome and each.outcome.state for each in found} == {State.CANCELLED}
    assert next(ends, None) is None


def test_an_operation_without_a_record_gives_its_error(producer: Producer) -> None:
    """The others go on."""
    sent = producer.send_email("ana@example.com")
    sent.cancel()
    found = list(as_completed([producer.handle(str(uuid.uuid4())), sent], SOON_S))

    assert {type(each.error) for each in found} == {OperationNotFound, type(None)}
    assert [each.outcome.state for each in found if each.outcome] == [State.CANCELLED]


def test_operations_that_do_not_end_in_time(producer: Producer) -> None:
    """The time is for all of them, and those that ended came before."""
    ended, open_ = producer.send_email("ana@example.com"), producer.send_email("bob@example.com")
    ended.cancel()
    ends = iter(as_completed([ended, open_], 1.0))

    assert next(ends).handle is ended
    with pytest.raises(NotFinished):
        next(ends)


def test_no_operations_end_at_once(producer: Producer) -> None:
    """Without a question to Redis."""
    assert list(as_completed([])) == []


def test_an_event_loop_gets_them_too(settings: Settings) -> None:
    """With `async for`."""

    async def run() -> tuple[list[str], list[str]]:
        async with AsyncProducer(settings) as producer:
            handles = [await producer.send_email(f"guest-{n}@example.com") for n in range(3)]
            ends = aiter(as_completed(handles, SOON_S))
            found = []
            for chosen in (handles[1], handles[2], handles[0]):
                await chosen.cancel()
                found.append((await anext(ends)).handle.operation_id)
            with pytest.raises(NotFinished):
                _ = [each async for each in as_completed([await producer.send_email("ana@example.com")], 0.5)]
            return found, [handles[n].operation_id for n in (1, 2, 0)]

    found, expected = asyncio.run(run())

    assert found == expected
