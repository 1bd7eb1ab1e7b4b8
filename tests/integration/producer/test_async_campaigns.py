"""Campaigns from an event loop."""

from __future__ import annotations

import asyncio
import inspect
from typing import TYPE_CHECKING

import pytest

from gatepost import AsyncCampaigns, AsyncProducer, Campaigns, Channel, Row
from gatepost.errors import CampaignNotFound, InvalidCommand, ProducerClosed
from gatepost_core.commands import SendEmail
from support.error_tracker import frames_of_ours

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from gatepost_core.settings import Settings

# Parts of `Campaigns` that commands use. Applications open `Campaigns` for them.
ONLY_IN_THREADS = {
    "block_of_tenant",
    "recount",
    "close",
    "store",
    "audit",
    "suppressions",
    "repair",
    "reports",
    "settings",
}


async def rows(number: int) -> AsyncIterator[Row]:
    for n in range(number):
        await asyncio.sleep(0)
        yield Row(n + 1, Channel.EMAIL, f"guest-{n}@example.com")


def test_a_campaign_runs_from_an_event_loop(settings: Settings) -> None:
    """Rows come from an asynchronous iterable; each call gives what the call of `Campaigns` gives."""

    async def run() -> tuple[int, int, list[str], str, str]:
        async with AsyncProducer(settings) as producer:
            campaign = await producer.campaigns.create("spring")
            added = await producer.campaigns.add(campaign, rows(300))
            again = await producer.campaigns.add(campaign, [Row(1, Channel.EMAIL, "guest-0@example.com")])
            started = await producer.campaigns.start(campaign)
            listed = [each.campaign_id for each in await producer.campaigns.list()]
            found = [report.row.recipient async for report in producer.campaigns.export(campaign)]
            assert listed == [campaign]
            cancelled = await producer.campaigns.cancel(campaign)
            return added.added, again.duplicates, found, started.status.value, cancelled.status.value

    added, duplicates, found, started, cancelled = asyncio.run(run())

    assert (added, duplicates, started) == (300, 1, "running")
    assert found == [f"guest-{n}@example.com" for n in range(300)]
    assert cancelled in {"cancelling", "cancelled"}


def test_errors_reach_the_event_loop(settings: Settings) -> None:
    """Typed as those of `Campaigns`; also after the producer was closed."""

    async def run() -> None:
        producer = AsyncProducer(settings)
        campaigns = producer.campaigns
        with pytest.raises(CampaignNotFound):
            await campaigns.status("0f8fad5b-d9cb-469f-a165-70867728950e")
        campaign = await campaigns.create("spring")
        with pytest.raises(InvalidCommand):
            await campaigns.add(campaign, [Row(1, Channel.EMAIL, "absent")])
        await producer.close()
        with pytest.raises(ProducerClosed):
            await campaigns.list()

    asyncio.run(run())


def test_every_row_before_an_invalid_one_is_added_from_an_event_loop(settings: Settings) -> None:
    """As with `Campaigns`, from an asynchronous iterable too."""

    async def with_an_invalid_one() -> AsyncIterator[Row]:
        async for row in rows(2):
            yield row
        yield Row(3, Channel.EMAIL, "absent")

    async def run() -> tuple[str, int]:
        async with AsyncProducer(settings) as producer:
            campaign = await producer.campaigns.create("spring")
            with pytest.raises(InvalidCommand) as refused:
                await producer.campaigns.add(campaign, with_an_invalid_one())
            return str(refused.value), (await producer.campaigns.status(campaign)).total

    message, total = asyncio.run(run())

    assert "(row 3 of those given)" in message
    assert "2 added, 0 duplicates" in message
    assert total == 2


def test_every_row_before_an_error_of_the_callers_rows_is_added_from_an_event_loop(settings: Settings) -> None:
    """The error of an asynchronous iterable is raised unchanged, after the rows before it were added."""

    async def broken() -> AsyncIterator[Row]:
        async for row in rows(150):
            yield row
        raise OSError("the disk is gone")

    async def run() -> int:
        async with AsyncProducer(settings) as producer:
            campaign = await producer.campaigns.create("spring")
            with pytest.raises(OSError, match="the disk is gone") as failure:
                await producer.campaigns.add(campaign, broken())
            left.append(failure.value)
            return (await producer.campaigns.status(campaign)).total

    left: list[BaseException] = []
    total = asyncio.run(run())

    assert total == 150
    assert frames_of_ours(left[0]) == []


def test_an_error_of_a_callers_guest_list_reaches_the_event_loop(settings: Settings) -> None:
    """The guest list is an iterable of the caller too. No frame that holds a guest is shown."""

    def guests() -> Iterator[str]:
        yield "guest@example.com"
        raise LookupError("the cursor is closed")

    async def run() -> BaseException:
        async with AsyncProducer(settings) as producer:
            with pytest.raises(LookupError, match="the cursor is closed") as failure:
                await producer.campaigns.create("spring", guest_list=guests())
            return failure.value

    error = asyncio.run(run())

    assert frames_of_ours(error) == []


def test_a_command_is_enqueued_from_an_event_loop(settings: Settings) -> None:
    """The same key gives the same operation."""

    async def run() -> tuple[str, str]:
        async with AsyncProducer(settings) as producer:
            one = await producer.enqueue(SendEmail(email="ana@example.com"), "a key")
            other = await producer.enqueue(SendEmail(email="ana@example.com"), "a key")
            return one.operation_id, other.operation_id

    one, other = asyncio.run(run())

    assert one == other


PUBLIC = sorted(name for name in set(dir(Campaigns)) - ONLY_IN_THREADS if not name.startswith("_"))


@pytest.mark.parametrize("name", PUBLIC)
def test_each_method_has_the_parameters_of_its_twin(name: str) -> None:
    """A new method or option of `Campaigns` reaches `AsyncCampaigns`."""
    expected, found = (inspect.signature(getattr(cls, name)) for cls in (Campaigns, AsyncCampaigns))

    assert [each.name for each in expected.parameters.values()] == [each.name for each in found.parameters.values()]
