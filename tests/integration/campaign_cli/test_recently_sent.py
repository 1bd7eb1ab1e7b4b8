"""`plan`, `send` and `add` know to whom other campaigns have sent, and which files."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from gatepost_core.states import State
from gatepost_operations.cli.entry import main

if TYPE_CHECKING:
    from collections.abc import Callable

    import redis

    from gatepost.campaigns.control import Campaigns

    Run = Callable[..., tuple[int, Any]]
    People = Callable[..., str]
    Sent = Callable[..., None]


@pytest.fixture
def sent(run: Run, people: People, redis_client: redis.Redis, campaigns: Campaigns) -> Sent:
    """Send to some people, and let the states be as workers would have left them."""

    def send(name: str, states: str, *options: str, first: int = 0) -> None:
        run("campaign", "send", people(len(states), first=first, name=f"{name}.csv"), "--no-watch", *options)
        [campaign_id] = [one.campaign_id for one in campaigns.list() if one.name == name]
        redis_client.hset(f"gatepost:campaign:{campaign_id}:batch:0", "states", states)
        letters = {state.char: state.value for state in State}
        counts = {letters[letter]: states.count(letter) for letter in set(states)}
        redis_client.hset(f"gatepost:campaign:{campaign_id}", mapping={"queued": 0, **counts})

    return send


def plan_text(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The plan as an operator sees it."""
    capsys.readouterr()
    assert main(["campaign", "plan", *arguments, "--offline"]) == 0
    return capsys.readouterr().out


def test_a_plan_says_who_was_sent_to_by_which_campaign(
    run: Run, people: People, sent: Sent, capsys: pytest.CaptureFixture[str]
) -> None:
    """Recipients whom two campaigns accepted count once; open and unknown ones are told apart."""
    sent("spring", "aaaqu")
    sent("summer", "aa", first=2)
    shown = plan_text(capsys, people(10))
    _, document = run("campaign", "plan", people(10), "--offline")

    assert (
        re.sub(r" +\n", "\n", shown)
        .partition("recently")[2]
        .startswith(
            "    4 recipients were accepted by other campaigns of the last 7 d:\n"
            "            2 by summer\n"
            "            3 by spring (1 still open, 1 unknown there)\n"
            "            To leave them out: --skip-recent 7d\n"
        )
    )
    assert document["recipients"] == 10
    assert (document["recent"]["recipients"], document["recent"]["left_out"]) == (4, False)
    assert [(one["name"], one["accepted"]) for one in document["recent"]["campaigns"]] == [("summer", 2), ("spring", 3)]


def test_recipients_of_other_campaigns_are_left_out_when_asked(
    run: Run, people: People, sent: Sent, campaigns: Campaigns
) -> None:
    """Those that were accepted, and no others: an unknown one may have no message."""
    sent("spring", "aaquu")
    _, planned = run("campaign", "plan", people(10), "--offline", "--skip-recent", "7d")
    _, events = run("campaign", "send", people(10), "--no-watch", "--skip-recent", "7d")
    recipients = [one.row.recipient for one in campaigns.export(events[-1]["campaign_id"])]

    assert (planned["recipients"], planned["skipped"]["recent"]) == (8, 2)
    assert (events[-2]["added"], events[-2]["left_out"]) == (8, 2)
    assert recipients == [f"person{number}@example.com" for number in range(2, 10)]


def test_adding_leaves_them_out_too(run: Run, people: People, sent: Sent, capsys: pytest.CaptureFixture[str]) -> None:
    """The text has the number; a duration in another form is refused."""
    sent("spring", "aa")
    run("campaign", "create", "next")
    refused, error = run("campaign", "add", "next", people(5), "--skip-recent", "a week")
    main(["campaign", "add", "next", people(5), "--skip-recent", "7d"])

    assert (refused, error["error"]["problems"][0]["field"]) == (2, "skip-recent")
    assert "3 added, 0 duplicates, 2 sent to recently and left out" in capsys.readouterr().out


def test_a_second_run_of_the_same_campaign_leaves_nobody_out(run: Run, people: People, sent: Sent) -> None:
    """After a crash, the rows that it has already are duplicates."""
    sent("people", "aa")
    _, events = run("campaign", "send", people(4), "--no-watch", "--skip-recent", "7d")

    assert (events[-2]["added"], events[-2]["duplicates"], events[-2]["left_out"]) == (2, 2, 0)


def test_without_matches_the_plan_says_what_was_searched(
    people: People, sent: Sent, capsys: pytest.CaptureFixture[str]
) -> None:
    """An operator must not take silence for a search."""
    sent("spring", "aa", first=100)

    assert "no recipient was accepted by 1 other campaign of the last 7 d" in plan_text(capsys, people(10))


def test_a_file_that_was_sent_is_refused_under_another_name(
    run: Run, people: People, campaigns: Campaigns, capsys: pytest.CaptureFixture[str]
) -> None:
    """By its content, not its name; `add` refuses it too, and --again sends it."""
    run("campaign", "send", people(3), "--no-watch")
    copy = people(3, name="copy.csv")
    refused = main(["campaign", "send", copy, "--no-watch"])
    said = capsys.readouterr().err
    run("campaign", "create", "next")
    added, _ = run("campaign", "add", "next", copy)
    again, _ = run("campaign", "send", copy, "--no-watch", "--again")

    assert (refused, added, again) == (5, 5, 0)
    assert re.search(r"The campaign people has sent this file already \(started today .*, 3 recipients\)", said)
    assert "add --again" in said
    assert sorted(one.name for one in campaigns.list()) == ["copy", "next", "people"]


def test_a_file_is_not_refused_to_the_campaign_that_has_it(run: Run, people: People) -> None:
    """A second run continues, also when it was sent again on purpose."""
    run("campaign", "send", people(3), "--no-watch")
    run("campaign", "send", people(3), "--no-watch", "--name", "again", "--again")

    assert run("campaign", "send", people(3), "--no-watch", "--name", "again")[0] == 0


def test_a_rehearsal_has_not_sent_the_file(run: Run, people: People) -> None:
    """The real campaign follows it, and a rehearsal may follow the real one."""
    guests = people(1, name="guests.csv")
    codes = [
        run("campaign", "send", people(3), "--no-watch", *options)[0]
        for options in (["--guest-list", guests], [], ["--guest-list", guests, "--name", "later"])
    ]

    assert codes == [0, 0, 0]


def test_a_dry_run_and_a_plan_say_that_the_file_was_sent(
    run: Run, people: People, capsys: pytest.CaptureFixture[str]
) -> None:
    """They send nothing, so they refuse nothing."""
    run("campaign", "send", people(3), "--no-watch")
    code, events = run("campaign", "send", people(3), "--dry-run", "--name", "again")

    assert (code, events[1]["file_sent_by"]) == (0, ["people"])
    assert "sent before this file, by people" in plan_text(capsys, people(3))


def test_a_deleted_campaign_is_forgotten(run: Run, people: People, sent: Sent, campaigns: Campaigns) -> None:
    """Its recipients and its file count as new."""
    sent("spring", "aa")
    campaign_id = campaigns.list()[0].campaign_id
    run("campaign", "cancel", "spring", "--yes")
    run("campaign", "delete", "spring", "--confirm", campaign_id)
    _, planned = run("campaign", "plan", str(Path("spring.csv")), "--offline")

    assert (planned["recent"], planned["file_sent_by"]) == (None, [])
