"""Values from Redis are shown with control characters escaped; as JSON they are exact."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from gatepost_core.audit_log import AuditLog
from gatepost_operations.maintenance.dead_letters import DeadLetterControl
from support.hostile_texts import HOSTILE, steering
from support.keys import KEYS

if TYPE_CHECKING:
    from collections.abc import Callable

    import redis

    from gatepost.campaigns.control import Campaigns
    from gatepost_core.settings import Settings

    Gatepost = Callable[..., Any]

SHOWN = r"[/x] \x1b]0;spoofed\x07 \x9b2J \u202egnp.exe :smile:\nforged 1 accepted\r[red]"


@pytest.fixture
def letter(settings: Settings) -> str:
    """A dead letter whose queue, reason and headers are a stranger's, by its id."""
    raw = {"headers": {HOSTILE: HOSTILE, "task": HOSTILE, "id": "1"}, "properties": {}, "body": HOSTILE}
    with DeadLetterControl(settings) as control:
        return control.letters.add(raw, reason=f"no such task: {HOSTILE}", queue=HOSTILE)


@pytest.mark.parametrize(
    "command", [["list"], ["show", "ID"], ["replay"], ["replay", "--yes"], ["drop"], ["drop", "--yes"]]
)
def test_a_dead_letter_is_shown_as_it_is(gatepost: Gatepost, letter: str, command: list[str]) -> None:
    """Its reason and its queue are neither markup nor the terminal's business."""
    ran = gatepost("dead-letters", *[letter if word == "ID" else word for word in command])

    assert "UNEXPECTED" not in ran.err
    assert ran.code in {0, 5}
    assert not steering((ran.out + ran.err).replace("\n", ""))


def test_a_dead_letter_as_json_is_exact(gatepost: Gatepost, letter: str) -> None:
    """A program gets the exact values, and a terminal no control characters."""
    ran, revealed = (
        gatepost("dead-letters", "list", "--json"),
        gatepost("dead-letters", "show", letter, "--reveal", "-y"),
    )

    assert ran.document["dead_letters"][0]["queue"] == HOSTILE
    assert revealed.document["message"]["headers"][HOSTILE] == HOSTILE
    assert not steering((ran.out + revealed.out).replace("\n", ""))


def test_an_audit_entry_is_shown_as_it_is(gatepost: Gatepost, settings: Settings, redis_client: redis.Redis) -> None:
    """A writer of Redis cannot write a line on the operator's screen."""
    entry = AuditLog(redis_client, KEYS, settings.fingerprints(), who=HOSTILE).record(
        "campaign.start", campaign=HOSTILE
    )
    ran, as_json = gatepost("audit", "list"), gatepost("audit", "list", "--json")

    assert ran.code == 0
    assert "[/x]" in ran.out
    assert not steering((ran.out + as_json.out).replace("\n", ""))
    assert as_json.document["entries"][0]["who"] == entry.who == HOSTILE
    assert json.loads(str(redis_client.lindex(KEYS.audit, 0).decode()))["who"] == HOSTILE


@pytest.mark.parametrize("command", [["list"], ["status", "ID"], ["pause", "ID"], ["delete", "ID"], ["cancel", "ID"]])
def test_a_campaigns_name_is_shown_as_it_is(
    gatepost: Gatepost, campaigns: Campaigns, redis_client: redis.Redis, command: list[str]
) -> None:
    """Also one that was recorded before such names were refused."""
    campaign_id = campaigns.create("spring")
    redis_client.hset(KEYS.campaign(campaign_id), "name", HOSTILE)
    ran = gatepost("campaign", *[campaign_id if word == "ID" else word for word in command])

    assert not steering((ran.out + ran.err).replace("\n", ""))
    assert command[0] not in {"list", "status"} or SHOWN in ran.out


def test_the_id_of_a_key_is_shown_as_it_is(gatepost: Gatepost, redis_client: redis.Redis) -> None:
    """Redis has the ids of the keys in use."""
    redis_client.hset(KEYS.kids, HOSTILE, 1_700_000_000_000)
    ran = gatepost("keys", "status")

    assert ran.code == 0
    assert "[/x]" in ran.out
    assert not steering(ran.out.replace("\n", ""))


@pytest.mark.parametrize("name", ["spring\x1b]0;spoofed\x07", "spring\nsummer", "exe\u202egnp", "caf\udce9"])
def test_a_campaign_is_not_called_what_cannot_be_shown(gatepost: Gatepost, campaigns: Campaigns, name: str) -> None:
    """The sentence names the field; nothing is recorded."""
    ran = gatepost("campaign", "create", name)

    assert ran.code == 6
    assert ran.err.startswith("gatepost: name: has a control character or an invisible one (")
    assert campaigns.list() == []


def test_the_name_of_a_file_that_cannot_be_shown_is_refused_before_anything_is_asked(
    gatepost: Gatepost, campaigns: Campaigns, tmp_path: Any
) -> None:
    """A campaign that is sent in one step is called like its file."""
    (tmp_path / "spring\x1b]0;x\x07.csv").write_text("email\nana@example.com\n")
    ran = gatepost("campaign", "send", "spring\x1b]0;x\x07.csv", "--dry-run")

    assert (ran.code, ran.out) == (6, "")
    assert ran.err.startswith("gatepost: name: has a control character")
    assert campaigns.list() == []


def test_a_campaigns_id_that_is_none_is_named(campaigns: Campaigns) -> None:
    """The error has the field and the allowed form."""
    with pytest.raises(ValueError, match=r"^campaign_id: must be a UUID$"):
        campaigns.create("spring", campaign_id="\x1b]0;x\x07")
