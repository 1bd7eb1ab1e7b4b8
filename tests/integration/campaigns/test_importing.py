"""Adding recipients: each once, however often and by however many a file is read."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from gatepost.campaigns.control import Added, Campaigns
from gatepost.errors import CampaignConflict, CampaignNotFound, InvalidCommand
from gatepost_core.campaigns.row import Row
from gatepost_core.kinds import Channel, Queue
from gatepost_core.states import State
from support.campaign_parts import assert_adds_up, email, rows
from support.keys import KEYS

if TYPE_CHECKING:
    from collections.abc import Iterator

    import redis

    from gatepost_core.settings import Settings


def test_every_recipient_is_added_once(campaigns: Campaigns) -> None:
    """A file with duplicates gives each person once, in order."""
    campaign_id = campaigns.create("spring")
    added = campaigns.add(campaign_id, [*rows(300), *rows(10)])

    assert added == Added(added=300, duplicates=10)
    campaign = campaigns.status(campaign_id)
    assert (campaign.total, campaign.counts[State.QUEUED], campaign.batches) == (300, 300, 2)
    assert [report.row.recipient for report in campaigns.export(campaign_id)] == [email(n) for n in range(300)]


def test_the_same_file_twice_adds_nobody(campaigns: Campaigns) -> None:
    """A second run finds everybody known."""
    campaign_id = campaigns.create("spring")
    campaigns.add(campaign_id, rows(1000))

    assert campaigns.add(campaign_id, rows(1000)) == Added(added=0, duplicates=1000)
    assert campaigns.status(campaign_id).total == 1000


def test_an_interrupted_import_goes_on_where_it_was(campaigns: Campaigns) -> None:
    """Rows added before the interruption stay, and the others follow."""
    campaign_id = campaigns.create("spring")

    def broken() -> Iterator[Row]:
        yield from rows(700)
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="disk"):
        campaigns.add(campaign_id, broken())
    before = campaigns.status(campaign_id).total
    added = campaigns.add(campaign_id, rows(1000))

    assert 0 < before <= 700
    assert added == Added(added=1000 - before, duplicates=before)
    assert sorted(r.row.recipient for r in campaigns.export(campaign_id)) == sorted(email(n) for n in range(1000))


def test_two_imports_at_once_add_nobody_twice(campaigns: Campaigns, settings: Settings) -> None:
    """Two processes read overlapping files at the same moment."""
    campaign_id = campaigns.create("spring")
    results: list[Added] = []

    def run(first: int) -> None:
        with Campaigns(settings) as own:
            results.append(own.add(campaign_id, rows(3000, first)))

    threads = [threading.Thread(target=run, args=(first,)) for first in (0, 1000)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    people = [report.row.recipient for report in campaigns.export(campaign_id)]
    assert len(people) == len(set(people)) == 4000
    assert sum(result.added for result in results) == 4000
    assert sum(result.seen for result in results) == 6000
    assert_adds_up(campaigns.status(campaign_id))


def test_every_column_comes_back(campaigns: Campaigns) -> None:
    """Language, client IP, authParams and the kind of recipient belong to each row."""
    campaign_id = campaigns.create("mixed")
    given = [
        Row(1, Channel.EMAIL, "ana@example.com", "de", "192.0.2.1", '{"scope":"openid"}'),
        Row(2, Channel.SMS, "+4915112345678"),
        Row(3, Channel.EMAIL, "bob@example.com", None, "2001:db8::1", None),
    ]
    campaigns.add(campaign_id, given)

    reports = list(campaigns.export(campaign_id))
    assert [(r.row.kind, r.row.recipient, r.row.language, r.row.client_ip, r.row.auth_params) for r in reports] == [
        (row.kind, row.recipient, row.language, row.client_ip, row.auth_params) for row in given
    ]


def test_one_recipient_is_found_among_many(campaigns: Campaigns) -> None:
    """`show` finds anybody, in whatever spelling, while the index grows by splitting."""
    campaign_id = campaigns.create("spring")
    campaigns.add(campaign_id, rows(20_000))

    for number in (0, 1, 255, 256, 9_999, 19_999):
        report = campaigns.show(campaign_id, f" Person{number}@EXAMPLE.com ")
        assert report is not None
        assert report.row.recipient == email(number)
        assert report.state is State.QUEUED
    assert campaigns.show(campaign_id, "absent@example.com") is None
    with pytest.raises(ValueError, match="neither an e-mail address nor"):
        campaigns.show(campaign_id, "absent")


def test_the_index_stays_in_small_hashes(campaigns: Campaigns, redis_client: redis.Redis) -> None:
    """No bucket exceeds the size that Redis keeps as a packed list, and every recipient is in exactly one."""
    campaign_id = campaigns.create("spring")
    campaigns.add(campaign_id, rows(20_000))
    buckets = list(redis_client.scan_iter(f"{KEYS.campaign(campaign_id)}:i:*", count=1000))

    sizes = [redis_client.hlen(bucket) for bucket in buckets]
    assert sum(sizes) == 20_000
    assert max(sizes) <= 128
    assert {redis_client.object("encoding", bucket) for bucket in buckets} == {b"listpack"}


def test_nothing_of_a_person_is_readable(campaigns: Campaigns, redis_client: redis.Redis) -> None:
    """Redis has neither addresses nor the guest list in clear, and reprs mask."""
    campaign_id = campaigns.create("spring", guest_list=["guest@example.com"])
    campaigns.add(campaign_id, [Row(1, Channel.EMAIL, "secret.person@example.com")])
    report = campaigns.show(campaign_id, "secret.person@example.com")
    stored = b"".join(redis_client.dump(key) or b"" for key in redis_client.scan_iter("*"))

    assert b"secret.person" not in stored
    assert b"guest@" not in stored
    assert "secret.person" not in repr(report)


def test_rows_of_a_program_are_one_recipient_with_those_of_a_file(campaigns: Campaigns) -> None:
    """Another spelling of a known recipient is a duplicate; an invalid one ends the import and is not repeated."""
    campaign_id = campaigns.create("spring")
    campaigns.add(campaign_id, rows(3))
    added = campaigns.add(
        campaign_id, [Row(1, Channel.EMAIL, " Person1@EXAMPLE.com"), Row(2, Channel.EMAIL, "x@y.Example")]
    )
    with pytest.raises(InvalidCommand, match="email: is not an e-mail address") as refused:
        campaigns.add(campaign_id, [Row(1, Channel.EMAIL, "no body")])

    assert (added.added, added.duplicates) == (1, 1)
    assert [report.row.recipient for report in campaigns.export(campaign_id)][3:] == ["x@y.example"]
    assert "no body" not in str(refused.value)


@pytest.mark.parametrize("before", [0, 2, 255, 256, 700])
def test_every_row_before_an_invalid_one_is_in_the_campaign(campaigns: Campaigns, before: int) -> None:
    """The error has the row's position and the numbers, so that the caller can continue with the rest or repeat all rows."""
    campaign_id = campaigns.create("spring")
    campaigns.add(campaign_id, rows(1))
    told: list[Added] = []
    given = [*rows(before), Row(before + 1, Channel.EMAIL, "no body"), *rows(3, before)]
    with pytest.raises(InvalidCommand) as refused:
        campaigns.add(campaign_id, given, on_progress=told.append)
    total = campaigns.status(campaign_id).total
    rest = campaigns.add(campaign_id, given[before + 1 :])

    known = min(before, 1)
    assert str(refused.value).startswith("email: is not an e-mail address")
    assert str(refused.value).endswith(
        f"(row {before + 1} of those given); "
        f"the rows before it are in the campaign: {before - known} added, {known} duplicates"
    )
    assert told[-1] == Added(before - known, known)
    assert total == max(before, 1)
    assert rest.added == 3 - (not before)
    entry = list(campaigns.audit.entries())[-3]
    assert (entry.action, entry.about["added"], entry.about["duplicates"]) == (
        "campaign.add.failed",
        before - known,
        known,
    )


def test_rows_before_an_invalid_one_are_sent_if_the_campaign_runs(
    campaigns: Campaigns, redis_client: redis.Redis
) -> None:
    """Their batch is on the queue, as without the error."""
    campaign_id = campaigns.create("spring")
    campaigns.start(campaign_id)
    with pytest.raises(InvalidCommand):
        campaigns.add(campaign_id, [*rows(2), Row(3, Channel.EMAIL, "no body")])

    assert redis_client.llen(KEYS.queue(Queue.BULK)) == 1


def test_every_row_before_an_error_of_the_callers_rows_is_in_the_campaign(campaigns: Campaigns) -> None:
    """The error of the caller's own code is raised unchanged, after the rows before it were added."""
    campaign_id = campaigns.create("spring")

    def broken() -> Iterator[Row]:
        yield from rows(300)
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        campaigns.add(campaign_id, broken())

    assert campaigns.status(campaign_id).total == 300


def test_a_repeated_append_adds_once(campaigns: Campaigns, settings: Settings) -> None:
    """redis-py repeats a call whose reply was lost: the same batch again is answered alike and adds nothing."""
    campaign_id = campaigns.create("spring")
    marks = [bytes([n]) * 8 for n in range(3)]

    assert campaigns.store.append(campaign_id, 0, "sealed", marks) == "added"
    assert campaigns.store.append(campaign_id, 0, "sealed", marks) == "added"
    assert campaigns.store.append(campaign_id, 0, "other", marks) == "taken"
    assert campaigns.store.append(campaign_id, 1, "other", marks) == "known"
    assert campaigns.status(campaign_id).total == 3


def test_a_cancelled_or_missing_campaign_takes_nobody(campaigns: Campaigns) -> None:
    """The error says why."""
    campaign_id = campaigns.create("spring")
    campaigns.cancel(campaign_id)

    with pytest.raises(CampaignConflict, match="cancelled"):
        campaigns.add(campaign_id, rows(1))
    with pytest.raises(CampaignNotFound):
        campaigns.add("00000000-0000-4000-8000-000000000000", rows(1))
