"""Acts of operators on campaigns: create, list, retry, export, delete, and the acts that a status forbids."""

from __future__ import annotations

import io
import json
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from gatepost.campaigns.control import Campaigns, Retried
from gatepost.campaigns.suppression import SuppressionReason
from gatepost.errors import CampaignConflict, CampaignNotFound, ConfigurationError, InvalidCommand
from gatepost_core.campaigns.model import Options, PauseReason, Status
from gatepost_core.campaigns.row import Row
from gatepost_core.kinds import Channel
from gatepost_core.reasons import Reason
from gatepost_core.states import State
from gatepost_operations.files.rows import read_rows
from support.campaign_parts import Bench, email, rows

if TYPE_CHECKING:
    from collections.abc import Callable

    import redis

    from gatepost_simulator.server import SimulatorServer

MISSING = "00000000-0000-4000-8000-000000000000"


def bad(number: int) -> Row:
    return Row(number, Channel.EMAIL, f"bad{number}+bad-email@example.com")


def test_a_new_campaign_is_a_draft_with_its_options(campaigns: Campaigns) -> None:
    """Nothing is sent, and the record has the options."""
    campaign_id = campaigns.create("spring", Options(rate=5, send="link"))
    campaign = campaigns.status(campaign_id)

    assert (campaign.name, campaign.status, campaign.total) == ("spring", Status.DRAFT, 0)
    assert (campaign.options.rate, campaign.options.send, campaign.options.tenant) == (5, "link", "default")
    assert set(campaign.counts) == set(State)


def test_the_same_id_gives_the_same_campaign(campaigns: Campaigns) -> None:
    """A caller that repeats itself makes one campaign."""
    first = campaigns.create("first", campaign_id="11111111-1111-4111-8111-111111111111")
    again = campaigns.create("again", campaign_id="11111111-1111-4111-8111-111111111111")

    assert first == again
    assert campaigns.status(first).name == "first"


def test_campaigns_are_listed_newest_first(campaigns: Campaigns) -> None:
    """A page at a time."""
    ids = [campaigns.create(f"campaign {number}") for number in range(5)]
    listed = [campaign.campaign_id for campaign in campaigns.list(limit=3)]
    rest = [campaign.campaign_id for campaign in campaigns.list(limit=3, offset=3)]

    assert set(listed + rest) == set(ids)
    assert len(listed) == 3


def test_a_tenant_that_is_not_configured_is_refused(campaigns: Campaigns) -> None:
    """Before anything is recorded."""
    with pytest.raises(ConfigurationError, match="elsewhere"):
        campaigns.create("spring", Options(tenant="elsewhere"))

    assert campaigns.list() == []


@pytest.mark.parametrize(
    ("name", "guests", "campaign_id", "problem"),
    [
        (" ", None, None, "name"),
        ("n" * 201, None, None, "name"),
        ("spring", ["absent"], None, "neither an e-mail address nor"),
        ("spring", [email(number) for number in range(1001)], None, "guest list"),
        ("spring", None, "no uuid", "UUID|hexadecimal"),
    ],
)
def test_what_no_campaign_can_be_made_of_is_refused(
    campaigns: Campaigns, name: str, guests: list[str] | None, campaign_id: str | None, problem: str
) -> None:
    """The message names the problem, and nothing is recorded."""
    with pytest.raises(ValueError, match=problem):
        campaigns.create(name, guest_list=guests, campaign_id=campaign_id)

    assert campaigns.list() == []


def test_what_a_status_forbids_is_refused_with_the_way_out(campaigns: Campaigns) -> None:
    """The error has the status and the next step."""
    draft = campaigns.create("draft")
    running = campaigns.create("running")
    campaigns.add(running, rows(1))
    campaigns.start(running)

    with pytest.raises(CampaignConflict, match="start it first"):
        campaigns.pause(draft)
    with pytest.raises(CampaignConflict, match="pause or cancel it first"):
        campaigns.delete(running)
    for call in (campaigns.start, campaigns.pause, campaigns.resume, campaigns.cancel, campaigns.delete):
        with pytest.raises(CampaignNotFound):
            call(MISSING)


def test_a_finished_campaign_is_not_cancelled(campaigns: Campaigns) -> None:
    """No recipient without a message is left."""
    campaign_id = campaigns.create("absent")
    assert campaigns.start(campaign_id).status is Status.FINISHED

    with pytest.raises(CampaignConflict, match="The campaign is finished"):
        campaigns.cancel(campaign_id)

    assert campaigns.status(campaign_id).status is Status.FINISHED


def test_every_call_may_come_twice(campaigns: Campaigns) -> None:
    """Start, pause, resume and cancel change nothing the second time."""
    campaign_id = campaigns.create("spring")
    campaigns.add(campaign_id, rows(1))

    for call, status in (
        (campaigns.start, Status.RUNNING),
        (campaigns.pause, Status.PAUSED),
        (campaigns.resume, Status.RUNNING),
        (campaigns.cancel, Status.CANCELLED),
    ):
        assert call(campaign_id).status is call(campaign_id).status is status


def test_a_pause_by_hand_says_so(campaigns: Campaigns) -> None:
    """Who reads the status sees why, and a resume forgets it."""
    campaign_id = campaigns.create("spring")
    campaigns.add(campaign_id, rows(1))
    campaigns.start(campaign_id)
    paused = campaigns.pause(campaign_id)

    assert paused.pause is not None
    assert paused.pause.reason is PauseReason.BY_OPERATOR
    assert campaigns.resume(campaign_id).pause is None


def test_retry_sends_again_to_those_it_names(bench: Bench, simulator: SimulatorServer) -> None:
    """A dry run counts; the real one makes a finished campaign run again, for these people only."""
    campaign_id = bench.start([*rows(20), bad(1), bad(2)])
    bench.work()
    looked = bench.campaigns.retry(campaign_id, [State.REJECTED], dry_run=True)
    still = bench.status(campaign_id)
    retried = bench.campaigns.retry(campaign_id, [State.REJECTED])
    again = bench.status(campaign_id)
    bench.work()

    assert looked == Retried(dry_run=True, by_state={State.REJECTED: 2})
    assert still.status is Status.FINISHED
    assert retried.matched == 2
    assert (again.status, again.counts[State.QUEUED], again.reasons) == (Status.RUNNING, 2, {})
    assert bench.status(campaign_id).counts[State.REJECTED] == 2
    assert simulator.control.counts()["total"] == 20


def test_retry_can_be_narrowed_to_reasons(bench: Bench) -> None:
    """Two kinds of refusal, one of them is tried again."""
    suppressed = "someone@example.com"
    bench.campaigns.suppressions.add(suppressed)
    campaign_id = bench.start([bad(1), Row(9, Channel.EMAIL, suppressed)])
    bench.work()
    states = [State.REJECTED, State.SUPPRESSED, State.CANCELLED]
    found = bench.campaigns.retry(campaign_id, states, [Reason.ON_SUPPRESSION_LIST, Reason.CANCELLED_BY_CALLER])

    assert found.by_state == {State.SUPPRESSED: 1}


def test_who_was_cancelled_can_be_retried(bench: Bench, simulator: SimulatorServer) -> None:
    """A cancelled campaign runs again, for those who were not sent to."""
    campaign_id = bench.started(50)
    bench.campaigns.cancel(campaign_id)
    bench.campaigns.retry(campaign_id, [State.CANCELLED])
    bench.work()

    assert bench.status(campaign_id).counts[State.ACCEPTED] == 50
    assert simulator.control.counts()["repeated"] == 0


@pytest.mark.parametrize("state", [State.ACCEPTED, State.QUEUED, State.IN_FLIGHT])
def test_accepted_and_open_recipients_cannot_be_retried(campaigns: Campaigns, state: State) -> None:
    """A second message voids the first code, and who is open needs no retry."""
    campaign_id = campaigns.create("spring")

    with pytest.raises(ValueError, match=state.value):
        campaigns.retry(campaign_id, [State.UNKNOWN, state])


def test_an_export_can_be_read_again(bench: Bench) -> None:
    """JSON lines of those who failed, with every column of theirs, are a recipients' file."""
    given = [
        Row(1, Channel.EMAIL, "ana+bad-email@example.com", "de", "192.0.2.1", '{"scope":"openid"}'),
        Row(2, Channel.EMAIL, email(2)),
        Row(3, Channel.SMS, "+15005550001"),
    ]
    campaign_id = bench.start(given)
    bench.work()
    failed = list(bench.campaigns.export(campaign_id, [State.REJECTED]))
    lines = "".join(json.dumps(report.as_json()) + "\n" for report in failed)
    read = list(read_rows(io.BytesIO(lines.encode())))

    assert [report.reason for report in failed] == [Reason.RECIPIENT_REJECTED, Reason.PROVIDER_REJECTED_RECIPIENT]
    assert [(row.kind, row.recipient, row.language, row.client_ip, row.auth_params) for row in read] == [  # type: ignore[union-attr]
        (row.kind, row.recipient, row.language, row.client_ip, row.auth_params) for row in (given[0], given[2])
    ]


def test_a_later_deadline_and_another_rate_hold(bench: Bench) -> None:
    """Both can be changed while the campaign runs."""
    campaign_id = bench.started(5, deadline=datetime.now(UTC) - timedelta(seconds=1))
    bench.campaigns.change_deadline(campaign_id, None)
    changed = bench.campaigns.change_rate(campaign_id, 1000)
    bench.work()

    assert (changed.options.deadline, changed.options.rate) == (None, 1000)
    bench.sweep.run()
    bench.work()
    assert bench.status(campaign_id).counts[State.ACCEPTED] == 5


def test_another_rate_does_not_wait_for_the_gap_of_the_old_one(
    bench: Bench, simulator: SimulatorServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One in an hour is made as fast as can be: the batch is looked at again soon, and the pace begins anew."""
    monkeypatch.setattr("gatepost_worker.bulk.work.LOOKS_AGAIN_S", 0.5)
    campaign_id = bench.started(5, rate=1 / 3600)
    message = bench.take()
    assert message is not None
    bench.runner.run(campaign_id, message["batch"])
    assert simulator.control.counts()["total"] == 1

    bench.campaigns.change_rate(campaign_id, 1000)
    time.sleep(0.6)
    bench.sweep.run()
    bench.work()

    assert bench.status(campaign_id).counts[State.ACCEPTED] == 5


def test_a_retry_for_no_reason_queues_no_recipient(bench: Bench) -> None:
    """An empty set of reasons does not mean all of them."""
    campaign_id = bench.started(5)
    bench.campaigns.cancel(campaign_id)
    retried = [
        bench.campaigns.retry(campaign_id, {State.CANCELLED}, (), dry_run=dry_run).matched for dry_run in (True, False)
    ]

    assert retried == [0, 0]
    assert bench.status(campaign_id).counts[State.CANCELLED] == 5


def test_delete_leaves_nothing(campaigns: Campaigns, redis_client: redis.Redis) -> None:
    """Every key of the campaign goes, and the others stay."""
    kept = campaigns.create("kept")
    campaign_id = campaigns.create("gone")
    campaigns.add(campaign_id, rows(3000))
    campaigns.delete(campaign_id)

    assert list(redis_client.scan_iter(f"*{campaign_id}*")) == []
    assert [campaign.campaign_id for campaign in campaigns.list()] == [kept]
    with pytest.raises(CampaignNotFound):
        campaigns.status(campaign_id)


def test_a_campaign_goes_on_with_people_who_are_added_late(bench: Bench) -> None:
    """A finished campaign runs again for the new ones."""
    campaign_id = bench.started(10)
    bench.work()
    finished = bench.status(campaign_id)
    bench.campaigns.add(campaign_id, rows(15))
    bench.work()

    assert finished.status is Status.FINISHED
    assert bench.status(campaign_id).counts[State.ACCEPTED] == 15
    assert bench.status(campaign_id).status is Status.FINISHED


def test_the_suppression_list_keeps_reasons_and_forgets_who_is_removed(campaigns: Campaigns) -> None:
    """Add, find, change, remove; thousands of entries; expired ones are not found."""
    suppressions = campaigns.suppressions
    soon = datetime.now(UTC) + timedelta(days=1)
    new = suppressions.add(" Ana@Example.com ", SuppressionReason.BOUNCED, expires_at=soon)
    known = suppressions.add("ana@example.com", SuppressionReason.COMPLAINED)
    found = suppressions.find("ana@example.com")
    imported = suppressions.import_rows(rows(3000), SuppressionReason.UNSUBSCRIBED)
    suppressions.add("gone@example.com", expires_at=datetime.now(UTC) - timedelta(seconds=5))

    assert (new, known, imported, len(suppressions)) == (True, False, 3000, 3002)
    assert found is not None
    assert (found.reason, found.expires_at) == (SuppressionReason.COMPLAINED, None)
    assert suppressions.find("gone@example.com") is None
    assert suppressions.remove(email(5))
    assert not suppressions.remove(email(5))
    assert suppressions.find(email(5)) is None


def test_the_suppression_list_knows_a_programs_rows_in_any_spelling(campaigns: Campaigns) -> None:
    """A person added by rows from a program is found by the normalised address, as campaigns look."""
    campaigns.suppressions.import_rows([Row(1, Channel.EMAIL, " Ana@Example.COM")])

    assert campaigns.suppressions.find("ana@example.com") is not None
    with pytest.raises(InvalidCommand, match="phone_number: "):
        campaigns.suppressions.import_rows([Row(1, Channel.SMS, "1")])


def test_every_row_before_an_invalid_one_is_on_the_suppression_list(campaigns: Campaigns) -> None:
    """The error says how many they are."""
    with pytest.raises(InvalidCommand) as refused:
        campaigns.suppressions.import_rows([*rows(3), Row(4, Channel.SMS, "1"), *rows(1, 3)])

    assert str(refused.value).endswith("(row 4 of those given); the 3 rows before it are on the list, 3 of them new")
    assert len(campaigns.suppressions) == 3


def test_a_later_entry_weakens_none(campaigns: Campaigns) -> None:
    """An entry with an end, or with a weaker reason, does not replace a stronger one."""
    suppressions = campaigns.suppressions
    now = datetime.now(UTC)
    suppressions.add("erased@example.com", SuppressionReason.ERASED)
    suppressions.add("left@example.com", SuppressionReason.UNSUBSCRIBED)
    suppressions.add("later@example.com", SuppressionReason.BOUNCED, expires_at=now + timedelta(days=90))
    everybody = ["erased@example.com", "left@example.com", "later@example.com"]

    for recipient in everybody:
        suppressions.add(recipient, SuppressionReason.BOUNCED, expires_at=now + timedelta(days=1))
    suppressions.add("erased@example.com", SuppressionReason.COMPLAINED)

    found = [suppressions.find(recipient) for recipient in everybody]
    assert [one and one.reason for one in found] == [
        SuppressionReason.ERASED,
        SuppressionReason.UNSUBSCRIBED,
        SuppressionReason.BOUNCED,
    ]
    assert [one and one.expires_at and (one.expires_at - now).days > 80 for one in found] == [None, None, True]


def test_a_campaign_is_json_without_people(make_bench: Callable[..., Bench]) -> None:
    """The status can be printed anywhere."""
    bench = make_bench()
    campaign_id = bench.start([*rows(3), bad(1)], guest_list=[email(1)])
    bench.work()
    text = json.dumps(bench.status(campaign_id).as_json())

    assert "@" not in text
    assert json.loads(text)["options"]["guests"] == 1
