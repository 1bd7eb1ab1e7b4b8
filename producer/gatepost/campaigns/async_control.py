"""Campaigns for asyncio."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, TypeVar

from gatepost.chunks import async_in_chunks
from gatepost_core.error_boundary import boundary, of_caller

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Collection, Coroutine, Iterable, Iterator
    from datetime import datetime

    from gatepost.campaigns.control import Added, Campaigns, Retried
    from gatepost.campaigns.report import RecipientReport
    from gatepost_core.campaigns.model import Campaign, Options
    from gatepost_core.campaigns.row import Row
    from gatepost_core.reasons import Reason
    from gatepost_core.states import State

T = TypeVar("T")
_PAGE: Final = 256
_CHUNK: Final = 100


@boundary
class AsyncCampaigns:
    """The methods of `Campaigns`, awaited. Errors are those of `Campaigns`.

    Each call runs in a thread. To add rows is mostly to check and seal them, which takes processor time and would block an event loop;
    the other calls are a few round trips.
    """

    def __init__(self, campaigns: Callable[[], Campaigns]) -> None:
        """Wrap the campaigns of a producer.

        Args:
            campaigns: opens them, when they are first used.
        """
        self._open = campaigns

    async def create(
        self,
        name: str,
        options: Options | None = None,
        *,
        guest_list: Iterable[str] | None = None,
        campaign_id: str | None = None,
        owner: str = "",
    ) -> str:
        """Record a campaign as a draft, and return its id."""
        return await _run(
            lambda: self._open().create(name, options, guest_list=guest_list, campaign_id=campaign_id, owner=owner)
        )

    async def add(
        self,
        campaign_id: str,
        rows: Iterable[Row] | AsyncIterable[Row],
        *,
        numbers: str = "plan",
        allow_landlines: bool = False,
        on_progress: Callable[[Added], None] | None = None,
    ) -> Added:
        """Add recipients, each once.

        Args:
            campaign_id: the campaign.
            rows: the rows. An asynchronous iterable is read in this event loop, a few rows ahead.
            numbers: as for `Campaigns.add`.
            allow_landlines: as for `Campaigns.add`.
            on_progress: called after every batch, in a thread.

        Raises:
            InvalidCommand: as for `Campaigns.add`: all rows before the invalid one are in the campaign.
        """
        if isinstance(rows, AsyncIterable):
            rows = _read_in(asyncio.get_running_loop(), rows)
        return await _run(
            lambda: self._open().add(
                campaign_id, rows, numbers=numbers, allow_landlines=allow_landlines, on_progress=on_progress
            )
        )

    async def start(self, campaign_id: str) -> Campaign:
        """Start a draft."""
        return await asyncio.to_thread(lambda: self._open().start(campaign_id))

    async def pause(self, campaign_id: str) -> Campaign:
        """Pause a campaign. Every worker stops before its next recipient."""
        return await asyncio.to_thread(lambda: self._open().pause(campaign_id))

    async def resume(self, campaign_id: str, *, accept_tenant: bool = False) -> Campaign:
        """Resume a paused campaign. For `accept_tenant`, see `Campaigns.resume`."""
        return await asyncio.to_thread(lambda: self._open().resume(campaign_id, accept_tenant=accept_tenant))

    async def cancel(self, campaign_id: str) -> Campaign:
        """Cancel a campaign. Recipients without an attempt become `cancelled`."""
        return await asyncio.to_thread(lambda: self._open().cancel(campaign_id))

    async def change_deadline(self, campaign_id: str, deadline: datetime | None) -> Campaign:
        """Set another deadline, or none."""
        return await asyncio.to_thread(lambda: self._open().change_deadline(campaign_id, deadline))

    async def change_rate(self, campaign_id: str, rate: float | None) -> Campaign:
        """Set another maximum of recipients a second, or none."""
        return await asyncio.to_thread(lambda: self._open().change_rate(campaign_id, rate))

    async def retry(
        self,
        campaign_id: str,
        states: Collection[State],
        reasons: Collection[Reason] | None = None,
        *,
        dry_run: bool = False,
    ) -> Retried:
        """Queue recipients again that ended in these states, for these reasons."""
        return await asyncio.to_thread(lambda: self._open().retry(campaign_id, states, reasons, dry_run=dry_run))

    async def delete(self, campaign_id: str) -> None:
        """Delete a campaign and everything stored about its recipients."""
        await asyncio.to_thread(lambda: self._open().delete(campaign_id))

    async def status(self, campaign_id: str) -> Campaign:
        """Return a campaign with its counts and its blocks."""
        return await asyncio.to_thread(lambda: self._open().status(campaign_id))

    async def list(self, limit: int = 100, offset: int = 0) -> list[Campaign]:
        """Return campaigns, the newest first."""
        return await asyncio.to_thread(lambda: self._open().list(limit, offset))

    async def names(self) -> dict[str, str]:
        """Return the names of all campaigns by id, the newest first."""
        return await asyncio.to_thread(lambda: self._open().names())

    async def active(self) -> tuple[Campaign, ...]:
        """Return the campaigns that were started and have not ended."""
        return await asyncio.to_thread(lambda: self._open().active())

    async def auth_params(self, campaign_id: str) -> dict[str, Any] | None:
        """Return a campaign's `authParams` in clear."""
        return await asyncio.to_thread(lambda: self._open().auth_params(campaign_id))

    async def export(self, campaign_id: str, states: Collection[State] | None = None) -> AsyncIterator[RecipientReport]:
        """Yield the recipients in these states, or all, in the order in which they were added."""
        reports = await asyncio.to_thread(lambda: self._open().export(campaign_id, states))
        while page := await asyncio.to_thread(lambda: list(islice(reports, _PAGE))):
            for report in page:
                yield report

    async def show(self, campaign_id: str, recipient: str) -> RecipientReport | None:
        """Return the state of one recipient, or None if the campaign does not have it."""
        return await asyncio.to_thread(lambda: self._open().show(campaign_id, recipient))


async def _run(call: Callable[[], T]) -> T:
    """Run a call of `Campaigns` in a thread. Errors of the caller's code, which left its boundary unchanged, leave this one unchanged too."""
    try:
        return await asyncio.to_thread(call)
    except Exception as error:  # noqa: BLE001 - the caller's code may raise anything
        failure = of_caller(error)
    raise failure


def _read_in(loop: asyncio.AbstractEventLoop, rows: AsyncIterable[Row]) -> Iterator[Row]:
    """Yield in a thread the rows that the event loop reads."""
    chunks = async_in_chunks(rows, _CHUNK)

    async def next_chunk() -> list[Row]:
        return await anext(chunks, [])

    def in_loop(reading: Coroutine[Any, Any, list[Row]]) -> list[Row]:
        return asyncio.run_coroutine_threadsafe(reading, loop).result()

    while chunk := in_loop(next_chunk()):
        yield from chunk
