"""Two who change one campaign's options at the same moment: neither change is lost."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from gatepost.campaigns.control import Campaigns
from gatepost_core.campaigns.model import Options
from gatepost_operations.maintenance.erasure import Erasure
from support.campaign_parts import email

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from gatepost_core.campaigns.store import CampaignStore
    from gatepost_core.settings import Settings

ROUNDS = 60
LATER = datetime(2031, 5, 4, 9, 0, tzinfo=UTC)


@pytest.fixture
def other(settings: Settings) -> Iterator[Campaigns]:
    """Another operator, with other connections."""
    with Campaigns(settings) as opened:
        yield opened


def at_once(*acts: Callable[[], object]) -> None:
    """Let all of them begin at the same moment, and wait for all."""
    ready = threading.Barrier(len(acts))
    failures: list[BaseException] = []

    def run(act: Callable[[], object]) -> None:
        ready.wait()
        try:
            act()
        except Exception as failure:  # noqa: BLE001 - it is raised below, in the test's own thread
            failures.append(failure)

    threads = [threading.Thread(target=run, args=(act,)) for act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for failure in failures:
        raise failure


class Interrupted:
    """A campaign's store in which something else happens between a read of the options and the write, once."""

    def __init__(self, store: CampaignStore, meanwhile: Callable[[], object]) -> None:
        self._store = store
        self._meanwhile: Callable[[], object] | None = meanwhile

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def change(self, *arguments: Any) -> bool:
        meanwhile, self._meanwhile = self._meanwhile, None
        if meanwhile is not None:
            meanwhile()
        return self._store.change(*arguments)


def test_a_change_between_another_ones_read_and_write_is_not_lost(campaigns: Campaigns, other: Campaigns) -> None:
    """One operator sets the rate; before it is written, another sets the deadline, which workers also see."""
    campaign_id = campaigns.create("spring")
    store: Any = Interrupted(campaigns.store, lambda: other.change_deadline(campaign_id, LATER))
    campaigns.store = store
    options = campaigns.change_rate(campaign_id, 5).options

    assert (options.rate, options.deadline) == (5, LATER)
    assert store.record(campaign_id)["deadline"] == str(int(LATER.timestamp() * 1000))


def test_a_change_that_is_repeated_by_the_connection_changes_nothing(campaigns: Campaigns) -> None:
    """redis-py repeats a call whose reply was lost: the second finds its own options, and is answered alike."""
    campaign_id = campaigns.create("spring")
    store = campaigns.store
    before = store.record(campaign_id)["options"]
    after = Options.model_validate_json(before).model_copy(update={"rate": 5.0}).model_dump_json()
    answers = [store.change(campaign_id, before, after, {}) for _ in range(2)]

    assert answers == [True, True]
    assert not store.change(campaign_id, before, before.replace("256", "255"), {})
    assert campaigns.status(campaign_id).options.rate == 5


def test_an_erasure_and_a_change_lose_neither(campaigns: Campaigns, settings: Settings) -> None:
    """A guest's fingerprint that returned with a change of the rate would undo an erasure."""
    guests = [email(number) for number in range(ROUNDS)]
    campaign_id = campaigns.create("rehearsal", guest_list=guests)
    wrong = []
    with Erasure(settings) as erasure:
        for number, guest in enumerate(guests, 1):
            at_once(
                lambda rate=number: campaigns.change_rate(campaign_id, rate),  # type: ignore[misc] # mypy does not infer a lambda with a default
                lambda person=guest: erasure.erase(person),  # type: ignore[misc] # as above
            )
            options = campaigns.status(campaign_id).options
            if (options.rate, len(options.guests or ())) != (number, ROUNDS - number):
                wrong.append(number)

    assert wrong == []
