"""The audit log has each act that starts, stops, changes, reveals or deletes, from Python and from a shell."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from gatepost.campaigns.suppression import SuppressionReason
from gatepost.errors import CampaignConflict, Unavailable
from gatepost_core.campaigns.model import Options
from gatepost_core.states import RETRYABLE
from support.campaign_parts import email, rows
from support.keys import KEYS

if TYPE_CHECKING:
    from collections.abc import Callable

    import redis

    from gatepost.campaigns.control import Campaigns


def recorded(campaigns: Campaigns) -> list[tuple[str, dict[str, Any]]]:
    assert campaigns.audit.verify().intact
    return [(entry.action, entry.about) for entry in campaigns.audit.entries()]


def test_everything_that_is_done_to_a_campaign(campaigns: Campaigns) -> None:
    """In the order it was done, by the campaign's id, with the values that are not personal."""
    options = Options(rate=2.0, send="link", auth_params={"state": "canary"})
    campaign_id = campaigns.create("spring", options, guest_list=[email(1)])
    campaigns.add(campaign_id, rows(3))
    campaigns.start(campaign_id)
    campaigns.pause(campaign_id)
    campaigns.change_rate(campaign_id, 5.0)
    campaigns.resume(campaign_id)
    campaigns.cancel(campaign_id)
    campaigns.retry(campaign_id, RETRYABLE)
    list(campaigns.export(campaign_id))
    campaigns.cancel(campaign_id)
    campaigns.delete(campaign_id)

    assert [action for action, _ in recorded(campaigns)] == [
        "campaign.create",
        "campaign.add",
        "campaign.add.done",
        "campaign.start",
        "campaign.pause",
        "campaign.change",
        "campaign.resume",
        "campaign.cancel",
        "campaign.retry",
        "campaign.retry.done",
        "campaign.export",
        "campaign.cancel",
        "campaign.delete",
    ]
    about = dict(recorded(campaigns))
    assert about["campaign.create"] == {
        "campaign": campaign_id,
        "options": {"rate": 2.0, "send": "link"},
        "rehearsal": True,
    }
    assert about["campaign.add.done"] == {"entry": 1, "added": 3, "duplicates": 0}
    assert about["campaign.change"] == {"campaign": campaign_id, "changes": {"rate": [2.0, 5.0]}}
    assert "canary" not in str(about)
    assert about["campaign.start"] == {"campaign": campaign_id}
    assert about["campaign.retry.done"]["recipients"] == 3


def test_an_export_is_recorded_though_nobody_reads_it_to_its_end(campaigns: Campaigns) -> None:
    """The request itself is recorded, because only the reader knows how much was read."""
    campaign_id = campaigns.create("spring")
    campaigns.add(campaign_id, rows(3))
    campaigns.export(campaign_id)

    assert [action for action, _ in recorded(campaigns)] == [
        "campaign.create",
        "campaign.add",
        "campaign.add.done",
        "campaign.export",
    ]


def test_what_was_refused_is_recorded_as_failed(campaigns: Campaigns) -> None:
    """A failed try is recorded too."""
    campaign_id = campaigns.create("spring")
    with pytest.raises(CampaignConflict):
        campaigns.pause(campaign_id)

    failed = recorded(campaigns)[-1]
    assert failed == ("campaign.pause.failed", {"entry": 1, "error": "CampaignConflict"})


def test_nothing_starts_that_cannot_be_recorded(campaigns: Campaigns, redis_client: redis.Redis) -> None:
    """An audit log that is out of order stops the act, not the other way round."""
    campaign_id = campaigns.create("spring")
    redis_client.set(KEYS.audit, "no list")
    with pytest.raises(Unavailable):
        campaigns.start(campaign_id)

    assert campaigns.status(campaign_id).status == "draft"


def test_changes_of_the_suppression_list_are_counts(campaigns: Campaigns, redis_client: redis.Redis) -> None:
    """The log contains no address, number or fingerprint."""
    campaigns.suppressions.add(email(1), SuppressionReason.BOUNCED)
    campaigns.suppressions.remove(email(1))
    campaigns.suppressions.import_rows(rows(5), SuppressionReason.COMPLAINED)

    assert recorded(campaigns) == [
        ("suppression.add", {"reason": "bounced", "expires_at": None}),
        ("suppression.remove", {}),
        ("suppression.remove.done", {"entry": 1, "removed": 1}),
        ("suppression.import", {"reason": "complained"}),
        ("suppression.import.done", {"entry": 3, "rows": 5, "new": 5}),
    ]
    assert b"person" not in b"".join(redis_client.lrange(KEYS.audit, 0, -1))


def test_a_shell_shows_and_verifies_the_log(campaigns: Campaigns, gatepost: Callable[..., Any]) -> None:
    """The operator is who GATEPOST_OPERATOR says; the head is what --expect-head takes."""
    campaign_id = campaigns.create("spring")
    campaigns.add(campaign_id, rows(1))
    gatepost("campaign", "start", campaign_id)
    gatepost("campaign", "pause", campaign_id)
    gatepost("campaign", "change", campaign_id, "--rate", "30", "--deadline", "2099-05-04T18:00+02:00")

    listed = gatepost("audit", "list", "--json").document["entries"]
    shown = gatepost("audit", "list").out
    verified, said = gatepost("audit", "verify", "--json").document, gatepost("audit", "verify").out
    assert [one["action"] for one in listed if one["who"] == "ines"] == [
        "campaign.start",
        "campaign.pause",
        "campaign.change",
        "campaign.change",
    ]
    assert "campaign.create    campaign spring" in shown
    assert "campaign.add.done  entry 1, added 1, duplicates 0" in shown
    assert "campaign.change    campaign spring, rate none → 30.0" in shown
    assert "campaign.change    campaign spring, deadline none → 2099-05-04T" in shown
    assert verified["intact"]
    assert said == f"intact, 7 entries\nhead {verified['head']}\n"
    assert gatepost("audit", "verify", "--expect-head", verified["head"]).code == 0
    assert "campaign.pause" in gatepost("audit", "list", "--action", "campaign.p", "--since", "1h").out
    assert gatepost("audit", "list", "--until", "1h", "--json").document["entries"] == []


def test_an_empty_log_is_reported_and_fails_against_a_noted_head(
    campaigns: Campaigns, gatepost: Callable[..., Any], redis_client: redis.Redis
) -> None:
    """An empty log is intact by itself; with a noted head, the log is gone."""
    empty = gatepost("audit", "verify")
    campaigns.suppressions.add(email(1))
    head = gatepost("audit", "verify", "--json").document["head"]
    redis_client.delete(KEYS.audit)
    gone = [gatepost("audit", "verify", "--expect-head", noted) for noted in (head, "0" * 64)]

    assert (empty.code, empty.out) == (0, "no entries\n")
    assert [(one.code, one.out) for one in gone] == [(5, "no entries\n")] * 2
    assert all("the log was deleted, or this is another log" in " ".join(one.err.split()) for one in gone)


def test_a_broken_log_ends_the_command_with_5(
    campaigns: Campaigns, gatepost: Callable[..., Any], redis_client: redis.Redis
) -> None:
    """A script that verifies every night notices."""
    campaigns.suppressions.add(email(1))
    campaigns.suppressions.add(email(2))
    head = gatepost("audit", "verify", "--json").document["head"]
    redis_client.rpop(KEYS.audit)
    cut = gatepost("audit", "verify", "--expect-head", head)
    redis_client.lset(KEYS.audit, 0, "{}")
    changed = gatepost("audit", "verify")

    assert (cut.code, changed.code) == (5, 5)
    assert "cut off" in cut.err
    assert "entry 0" in changed.err
