"""Campaigns and the Auth0 application that they are for: other workers put their batches back, and operators see why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from gatepost.campaigns.control import Campaigns
from gatepost.errors import CampaignConflict, TenantMissing
from gatepost_core.blocks import BlockKind
from gatepost_core.campaigns.batch import BATCH_ROWS
from gatepost_core.campaigns.model import Status
from gatepost_core.sealing import Key
from gatepost_core.states import State
from gatepost_operations.planning.watch import Activity, snapshot_of
from support.campaign_parts import Bench, rows
from support.keys import KEYS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import redis

    from gatepost_core.settings import Settings
    from gatepost_simulator.server import SimulatorServer

ACME = {"name": "acme", "domain": "acme.example", "client_id": "a", "client_secret": "s"}
PEOPLE = 200
BATCHES_OUT = 4


def hand_out_again(bench: Bench) -> list[int]:
    """Take the messages that are on the queue, without their delay; give the batches."""
    found = []
    while (message := bench.take()) is not None:
        bench.runner.run(message["campaign_id"], message["batch"])
        found.append(message["batch"])
        if len(found) >= BATCHES_OUT:
            break
    return found


def test_a_worker_for_another_client_puts_batches_back(
    make_bench: Callable[..., Bench], simulator: SimulatorServer
) -> None:
    """Nothing is begun, each batch comes again in half a minute, and only a few are taken out in their place."""
    people = 6 * BATCH_ROWS
    production = make_bench()
    staging = make_bench(auth0_client_id="staging-client")
    campaign_id = production.started(people)

    for batch in range(BATCHES_OUT):
        staging.runner.run(campaign_id, batch)
    messages = production.messages()
    campaign = production.status(campaign_id)

    assert {message["batch"] for message in messages} == set(range(BATCHES_OUT))
    assert [message["batch"] for message in messages if message["eta"] is not None] == list(range(BATCHES_OUT))
    assert campaign.counts[State.QUEUED] == people
    assert simulator.control.request_log() == []
    (block,) = campaign.blocks
    assert (block.kind, block.batches) == (BlockKind.WRONG_APPLICATION, (0, 1, 2, 3))
    assert snapshot_of(campaign, campaign.updated_at).activity is Activity.BLOCKED


def test_the_right_worker_sends_what_another_put_back(
    make_bench: Callable[..., Bench], simulator: SimulatorServer
) -> None:
    """Each recipient gets one message, and the block is removed."""
    production = make_bench()
    staging = make_bench(auth0_client_id="staging-client")
    campaign_id = production.started(PEOPLE)
    hand_out_again(staging)

    for batch in range(production.status(campaign_id).batches):
        production.runner.run(campaign_id, batch)
    production.work_now()
    campaign = production.status(campaign_id)

    assert campaign.status is Status.FINISHED
    assert campaign.counts[State.ACCEPTED] == PEOPLE
    assert campaign.blocks == ()
    assert len(simulator.control.request_log()) == PEOPLE


def test_a_finish_time_is_not_invented(make_bench: Callable[..., Bench]) -> None:
    """Not from the rate of better times, while something keeps workers away."""
    production = make_bench()
    staging = make_bench(auth0_client_id="staging-client")
    campaign_id = production.started(PEOPLE)
    production.redis.hset(KEYS.campaign(campaign_id), "rate", 100)
    before = production.status(campaign_id)

    hand_out_again(staging)
    after = production.status(campaign_id)

    assert before.eta_s == pytest.approx(PEOPLE / 100)
    assert after.eta_s is None
    assert snapshot_of(after, after.updated_at).finish_at is None


def test_a_campaign_goes_on_through_a_client_id_that_was_changed_on_purpose(
    make_bench: Callable[..., Bench], simulator: SimulatorServer
) -> None:
    """After `accept_tenant`, running or paused; it is in the audit log with the application."""
    before = make_bench(auth0_client_id="earlier-client")
    campaign_id = before.started(PEOPLE)
    after = make_bench()
    hand_out_again(after)
    blocked = after.status(campaign_id)

    after.campaigns.resume(campaign_id, accept_tenant=True)
    accepted = after.status(campaign_id)
    for batch in range(accepted.batches):
        after.runner.run(campaign_id, batch)
    after.work_now()

    assert blocked.blocks
    assert accepted.blocks == ()
    assert accepted.application == after.settings.applications()["default"]
    assert after.status(campaign_id).counts[State.ACCEPTED] == PEOPLE
    entry = list(after.campaigns.audit.entries())[-1]
    assert (entry.action, entry.about["application"]) == ("campaign.resume", accepted.application.stored)


def test_another_environment_cannot_make_its_messages_leave(make_bench: Callable[..., Bench]) -> None:
    """`send` gives one name the same id in both; recipients added there would be sent to through the other tenant."""
    production = make_bench()
    staging = make_bench(auth0_client_id="staging-client")
    campaign_id = production.campaigns.create("spring")
    production.campaigns.add(campaign_id, rows(3))
    calls: list[Callable[[], Any]] = [
        lambda: staging.campaigns.add(campaign_id, rows(3, first=10)),
        lambda: staging.campaigns.start(campaign_id),
        lambda: staging.campaigns.resume(campaign_id),
        lambda: staging.campaigns.retry(campaign_id, {State.CANCELLED}),
    ]

    for call in calls:
        with pytest.raises(CampaignConflict, match="--accept-tenant"):
            call()

    assert (production.status(campaign_id).total, production.status(campaign_id).status) == (3, Status.DRAFT)
    assert staging.campaigns.cancel(campaign_id).status is Status.CANCELLED


def test_a_draft_and_an_ended_campaign_can_be_accepted(make_bench: Callable[..., Bench]) -> None:
    """The draft can be started then, and recipients of the ended one retried; their status stays as it was."""
    before = make_bench(auth0_client_id="earlier-client")
    draft, ended = (before.campaigns.create("spring") for _ in range(2))
    for one in (draft, ended):
        before.campaigns.add(one, rows(3))
    before.campaigns.cancel(ended)
    after = make_bench()

    accepted = [after.campaigns.resume(one, accept_tenant=True).status for one in (draft, ended)]
    started = after.campaigns.start(draft).status
    retried = after.campaigns.retry(ended, {State.CANCELLED})

    assert accepted == [Status.DRAFT, Status.CANCELLED]
    assert started is Status.RUNNING
    assert retried.matched == 3


def test_an_unnamed_campaign_is_for_the_registered_application(
    make_bench: Callable[..., Bench], make_settings: Callable[..., Settings]
) -> None:
    """A producer without AUTH0_* knows no client id; the first worker to take a batch decides nothing."""
    production = make_bench()
    production.runner.ownership.register()
    staging = make_bench(auth0_client_id="staging-client")
    with Campaigns(make_settings(auth0_domain=None, auth0_client_id=None, auth0_client_secret=None)) as unnamed:
        campaign_id = unnamed.create("spring")
        unnamed.add(campaign_id, rows(20))
        unnamed.start(campaign_id)

    staging.runner.run(campaign_id, 0)
    put_back = production.status(campaign_id)
    production.runner.run(campaign_id, 0)

    assert put_back.application is None
    assert [block.kind for block in put_back.blocks] == [BlockKind.WRONG_APPLICATION]
    assert production.status(campaign_id).counts[State.ACCEPTED] == 20


def test_a_tenant_that_was_removed_is_named(make_bench: Callable[..., Bench]) -> None:
    """By the worker that took a batch, and by every command whose configuration lacks it, before any worker has tried."""
    with_acme = make_bench(tenants=[ACME])
    campaign_id = with_acme.started(20, tenant="acme")
    without = make_bench()
    told_before = without.status(campaign_id).blocks

    without.runner.run(campaign_id, 0)
    told = with_acme.status(campaign_id).blocks

    assert [(block.kind, block.detail) for block in told_before] == [(BlockKind.TENANT_MISSING, "acme")]
    assert [(block.kind, block.detail, block.batches) for block in told] == [(BlockKind.TENANT_MISSING, "acme", (0,))]
    with pytest.raises(TenantMissing):
        without.campaigns.resume(campaign_id, accept_tenant=True)


def test_a_tenants_settings_that_make_no_client_are_named(make_bench: Callable[..., Bench], tmp_path: Path) -> None:
    """A CA bundle that is no certificate: the worker reports it and puts the batch back."""
    bundle = tmp_path / "ca.pem"
    bundle.write_text("no certificate")
    broken = make_bench(auth0_ca_bundle=str(bundle))
    campaign_id = broken.started(20)

    broken.runner.run(campaign_id, 0)
    (block,) = broken.status(campaign_id).blocks

    assert block.kind is BlockKind.UNUSABLE
    assert "CA bundle" in block.detail
    assert broken.status(campaign_id).counts[State.QUEUED] == 20


def test_a_key_that_workers_lack_is_named(make_bench: Callable[..., Bench]) -> None:
    """By its id, and where it belongs."""
    newer = make_bench(sealing_keys=f"{Key.new('k2026').reveal()}")
    campaign_id = newer.started(20)
    older = make_bench()

    older.runner.run(campaign_id, 0)
    (block,) = newer.status(campaign_id).blocks

    assert (block.kind, block.detail) == (BlockKind.KEY_MISSING, "k2026")
    assert "GATEPOST_SEALING_KEYS" in block.sentence("")


def _swap(bench: Bench, campaign_id: str, client: redis.Redis) -> None:
    first, second = (client.hget(KEYS.batch(campaign_id, number), "rows") for number in (0, 2))
    client.hset(KEYS.batch(campaign_id, 0), "rows", second)
    client.hset(KEYS.batch(campaign_id, 2), "rows", first)


def _change(field: str, value: bytes) -> Callable[[Bench, str, Any], None]:
    def change(_bench: Bench, campaign_id: str, client: redis.Redis) -> None:
        client.hset(KEYS.batch(campaign_id, 0), field, value)

    return change


def _remove_rows(_bench: Bench, campaign_id: str, client: redis.Redis) -> None:
    client.hdel(KEYS.batch(campaign_id, 0), "rows")


def _remove(_bench: Bench, campaign_id: str, client: redis.Redis) -> None:
    client.delete(KEYS.batch(campaign_id, 0))


@pytest.mark.parametrize(
    "damage",
    [
        _swap,
        _change("rows", b"no jwe"),
        _change("states", b"q"),
        _change("states", b"z" * 256),
        _change("details", b"short"),
        _remove_rows,
        _remove,
    ],
    ids=["swapped", "no jwe", "fewer states", "unknown states", "half a record", "no rows", "gone"],
)
def test_a_batch_that_does_not_open_is_seen_in_the_status(
    bench: Bench, redis_client: redis.Redis, damage: Callable[[Bench, str, Any], None]
) -> None:
    """With its number; the worker goes on with the others."""
    campaign_id = bench.started(600)
    damage(bench, campaign_id, redis_client)
    ended = [bench.runner.run(campaign_id, 0)]
    bench.sweep.run()
    ended.append(bench.runner.run(campaign_id, 1))

    campaign = bench.campaigns.status(campaign_id)

    assert ended[0] is None
    assert ended[1] == {State.ACCEPTED: 256}
    (block,) = campaign.blocks
    assert (block.kind, block.batches) == (BlockKind.DAMAGED, (0,))
    assert campaign.eta_s is None


def test_the_sweep_finds_a_batch_that_is_gone(bench: Bench, redis_client: redis.Redis) -> None:
    """It goes on with the others, and no worker has to take the message first."""
    campaign_id = bench.started(300)
    redis_client.delete(KEYS.batch(campaign_id, 1))
    redis_client.hset(KEYS.campaign(campaign_id), "next", 2)
    redis_client.zadd(f"{KEYS.campaign(campaign_id)}:out", {"0": 1, "1": 1})

    bench.sweep.run()

    (block,) = bench.campaigns.status(campaign_id).blocks
    assert block.batches == (1,)
    assert redis_client.zscore(f"{KEYS.campaign(campaign_id)}:out", "1") is None
