"""Campaign commands one by one: records, output and refusals."""

from __future__ import annotations

import io
import re
import shlex
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from gatepost_core.campaigns.model import LOWEST_RATE, Options, Status
from gatepost_core.states import State
from gatepost_operations.cli.entry import main

if TYPE_CHECKING:
    from collections.abc import Callable

    import redis

    from gatepost.campaigns.control import Campaigns

    Run = Callable[..., tuple[int, Any]]
    People = Callable[..., str]


@pytest.fixture
def draft(run: Run, people: People) -> str:
    """A draft of three people, by its id."""
    campaign_id = str(run("campaign", "create", "spring")[1]["campaign_id"])
    run("campaign", "add", campaign_id, people(3))
    return campaign_id


def test_a_campaign_is_created_filled_and_started(run: Run, people: People, campaigns: Campaigns) -> None:
    """Each of the three steps shows its result."""
    code, created = run("campaign", "create", "spring", "--rate", "5", "--send", "link", "--deadline", "2d")
    campaign_id = created["campaign_id"]
    _, added = run("campaign", "add", "spring", people(3))
    started, shown = run("campaign", "start", "spring")

    assert (code, started) == (0, 0)
    assert (created["status"], shown["status"]) == ("draft", "running")
    assert (added["added"], added["duplicates"], added["invalid"]) == (3, 0, 0)
    options = campaigns.status(campaign_id).options
    assert (options.rate, options.send, options.tenant) == (5.0, "link", "default")
    assert options.deadline is not None


def test_starting_without_a_worker_says_how_to_start_one(draft: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing hangs silently."""
    assert main(["campaign", "start", draft]) == 0
    assert "gatepost worker --queues bulk" in capsys.readouterr().err


def test_adding_again_adds_nobody(run: Run, draft: str, people: People) -> None:
    """After an interruption the same file is added again; a longer one adds who is new."""
    _, again = run("campaign", "add", draft, people(3))
    _, longer = run("campaign", "add", draft, people(5))

    assert (again["added"], again["duplicates"]) == (0, 3)
    assert (longer["added"], longer["duplicates"]) == (2, 3)


def test_a_file_with_bad_rows_adds_nobody(
    run: Run, draft: str, people: People, campaigns: Campaigns, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 6 and the rows; with --skip-invalid the others are added."""
    file = people(2, first=10, bad=1)
    refused = main(["campaign", "add", draft, file])
    said = capsys.readouterr().err
    before = campaigns.status(draft).total
    code, added = run("campaign", "add", draft, file, "--skip-invalid")

    assert (refused, before) == (6, 3)
    assert "           line 4\n" in said
    assert "--skip-invalid" in said
    assert (code, added["added"], added["invalid"]) == (0, 2, 1)


def test_recipients_may_come_from_standard_input(run: Run, draft: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Checked as a whole first, like a file."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"email\nnew@example.com\n")))
    code, added = run("campaign", "add", draft, "-")

    assert (code, added["added"]) == (0, 1)


def test_a_campaign_is_found_by_id_beginning_and_name(run: Run, draft: str) -> None:
    """Whatever an operator has at hand."""
    found = {run("campaign", "status", given)[1]["campaign_id"] for given in (draft, draft[:6], "spring")}

    assert found == {draft}


def test_a_name_of_several_is_not_guessed(run: Run, draft: str) -> None:
    """The ids are shown."""
    run("campaign", "create", "spring")
    code, error = run("campaign", "status", "spring")

    assert code == 6
    assert draft in error["error"]["message"]


def test_an_unknown_campaign_is_an_error(run: Run) -> None:
    """It may have been deleted."""
    code, error = run("campaign", "status", "no-such-campaign")

    assert (code, error["error"]["type"]) == (1, "CampaignNotFound")
    assert "Did you mean" not in error["error"]["message"]


@pytest.mark.parametrize("verb", ["status", "watch", "pause", "resume", "cancel", "retry", "export", "delete"])
def test_a_mistyped_name_gets_the_nearest_one(draft: str, verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The message does not repeat the typed text, which may be an address."""
    del draft
    code = main(["campaign", verb, "Sprign"])

    assert code == 1
    assert "gatepost: There is no such campaign. Did you mean spring?" in (said := capsys.readouterr().err)
    assert "Sprign" not in said


def test_the_next_step_names_the_campaign(draft: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The command that is printed after each step can be typed, and works."""
    printed = []
    for verb in ("start", "pause", "resume", "status"):
        assert main(["campaign", verb, draft]) == 0
        printed.append(capsys.readouterr().err)
    steps = [step for text in printed for step in re.findall(r"gatepost (campaign \w+ .*)", text)]

    assert steps
    assert draft not in "".join(steps)
    assert [main([*shlex.split(step), "--json"]) for step in steps if "watch" not in step] == [0]


def test_the_next_step_of_a_shared_name_has_a_short_id(
    run: Run, draft: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The name would not say which of the two is meant."""
    run("campaign", "create", "spring")
    main(["campaign", "start", draft[:6]])
    main(["campaign", "pause", draft])
    said = capsys.readouterr().err

    assert f"gatepost campaign resume {draft[:8]}\n" in said
    assert main(["campaign", "resume", draft[:8]]) == 0


def test_status_shows_the_rates_that_are_set(
    run: Run, draft: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lowest first, and who set it; without any, a draft has no such line, and a running campaign has its present rate."""
    without = main(["campaign", "status", draft]), capsys.readouterr().out
    monkeypatch.setenv("AUTH0_MAX_RATE", "50")
    run("campaign", "change", draft, "--rate", "7")
    shown = run("campaign", "status", draft)[1]
    main(["campaign", "status", draft])
    lines = capsys.readouterr().out.splitlines()

    assert without[0] == 0
    assert "at most" not in without[1]
    assert (shown["options"]["rate"], shown["max_rate"]) == (7, 50)
    assert "rate        at most 7/s, set for this campaign; 50/s set for the tenant (AUTH0_MAX_RATE)" in lines
    monkeypatch.delenv("AUTH0_MAX_RATE")
    run("campaign", "change", draft, "--rate", "none")
    run("campaign", "start", draft)
    main(["campaign", "status", draft])
    assert "rate        0.0/s now, at most what the quota allows" in capsys.readouterr().out.splitlines()


def test_pause_resume_and_cancel(run: Run, draft: str) -> None:
    """A campaign can be cancelled at any moment, and cancelled is final."""
    run("campaign", "start", draft)
    statuses = [
        run("campaign", verb, draft, *options)[1]["status"]
        for verb, options in (("pause", []), ("resume", []), ("cancel", ["--yes"]))
    ]
    code, shown = run("campaign", "status", draft)

    assert statuses == ["paused", "running", "cancelled"]
    assert code == 3
    assert (shown["counts"]["cancelled"], shown["total"]) == (3, 3)


def test_a_status_that_forbids_it_is_a_refusal(run: Run, draft: str) -> None:
    """Exit code 5, with what to do first."""
    code, error = run("campaign", "resume", draft)

    assert (code, error["error"]["type"]) == (5, "CampaignConflict")
    assert "start it first" in error["error"]["message"]


@pytest.mark.parametrize("verb", ["cancel", "delete"])
def test_what_destroys_is_not_done_unasked(run: Run, draft: str, verb: str, campaigns: Campaigns) -> None:
    """Without a terminal and without --yes, the command refuses."""
    code, error = run("campaign", verb, draft)

    assert (code, error["error"]["type"]) == (5, "Refused")
    assert campaigns.status(draft).status is Status.DRAFT


def test_deleting_wants_the_very_id(run: Run, draft: str) -> None:
    """Another id is a mistake; the right one deletes everything."""
    other = "00000000-0000-0000-0000-000000000000"

    assert run("campaign", "delete", draft, "--confirm", other)[0] == 5
    assert run("campaign", "delete", "spring", "--confirm", draft) == (0, {"campaign_id": draft, "deleted": True})
    assert run("campaign", "status", draft)[0] == 1


@pytest.mark.parametrize(("answer", "code", "left"), [("n\n", 5, 1), ("y\n", 0, 0)])
def test_on_a_terminal_it_asks(draft: str, monkeypatch: pytest.MonkeyPatch, answer: str, code: int, left: int) -> None:
    """On a terminal, the command follows the answer."""
    terminal = io.StringIO(answer)
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stdin", terminal)
    given = main(["campaign", "delete", draft])

    assert given == code
    assert len(_listed(monkeypatch)) == left


def _listed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    output = io.StringIO()
    monkeypatch.setattr(sys, "stdout", output)
    main(["campaign", "list"])
    return output.getvalue().splitlines()[1:]


def test_rate_and_deadline_can_be_changed(run: Run, draft: str) -> None:
    """Set, and taken away again."""
    _, changed = run("campaign", "change", draft, "--rate", "2.5", "--deadline", "2096-05-04T09:00+02:00")
    _, without = run("campaign", "change", draft, "--rate", "none", "--deadline", "none")

    assert changed["options"]["rate"] == 2.5
    assert changed["options"]["deadline"].startswith("2096-05-04T07:00:00")
    assert "rate" not in without["options"]
    assert "deadline" not in without["options"]


def test_the_list_shows_the_newest_first(run: Run, draft: str) -> None:
    """As many as asked for."""
    run("campaign", "create", "summer")
    _, found = run("campaign", "list")
    _, one = run("campaign", "list", "--limit", "1")

    assert [campaign["name"] for campaign in found["campaigns"]] == ["summer", "spring"]
    assert len(one["campaigns"]) == 1


def test_one_recipient_is_shown(run: Run, draft: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """By an argument, or from standard input, which no history keeps."""
    code, shown = run("campaign", "show", draft, "Person1@Example.com")
    monkeypatch.setattr(sys, "stdin", io.StringIO("person2@example.com\n"))
    _, piped = run("campaign", "show", draft, "-")
    absent = run("campaign", "show", draft, "absent@example.com")
    malformed, error = run("campaign", "show", draft, "canary@@")

    assert (code, shown["state"], piped["state"]) == (0, "queued", "queued")
    assert (absent[0], absent[1]["state"]) == (1, None)
    assert malformed == 6
    assert "canary" not in str(error)


def test_those_who_ended_are_retried_and_nobody_else(run: Run, draft: str, campaigns: Campaigns) -> None:
    """Counted first, then queued again."""
    run("campaign", "start", draft)
    run("campaign", "cancel", draft, "--yes")
    _, counted = run("campaign", "retry", draft, "--state", "cancelled", "--dry-run")
    unmatched = run("campaign", "retry", draft, "--dry-run")[1]["matched"]
    by_reason = run("campaign", "retry", draft, "--reason", "cancelled_by_caller", "--dry-run")[1]["matched"]
    _, retried = run("campaign", "retry", draft, "--state", "cancelled")

    assert (counted["matched"], counted["by_state"], counted["dry_run"]) == (3, {"cancelled": 3}, True)
    assert (unmatched, by_reason, retried["matched"]) == (0, 3, 3)
    assert campaigns.status(draft).counts[State.QUEUED] == 3


@pytest.mark.parametrize(
    "options", [["--state", "accepted"], ["--state", "queued"], ["--state", "nonsense"], ["--reason", "nonsense"]]
)
def test_what_cannot_be_retried_is_refused(run: Run, draft: str, options: list[str]) -> None:
    """A second message would void the first code."""
    assert run("campaign", "retry", draft, *options)[0] == 2


def test_a_retry_after_the_deadline_needs_a_new_one(run: Run, draft: str, campaigns: Campaigns) -> None:
    """Otherwise they would only expire again."""
    run("campaign", "start", draft)
    run("campaign", "cancel", draft, "--yes")
    campaigns.change_deadline(draft, datetime.now(UTC) - timedelta(seconds=1))
    code, error = run("campaign", "retry", draft, "--state", "cancelled")
    again, _ = run("campaign", "retry", draft, "--state", "cancelled", "--deadline", "2d")

    assert (code, again) == (5, 0)
    assert "--deadline" in error["error"]["message"]
    assert campaigns.status(draft).status is Status.RUNNING


def test_an_export_goes_to_stdout_or_to_a_private_file(draft: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Both in the order of the file; the name chooses the format."""
    capsys.readouterr()
    assert main(["campaign", "export", draft, "--state", "queued"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert main(["campaign", "export", draft, "--output", "all.csv"]) == 0
    written = Path("all.csv")

    assert [f"person{number}@example.com" in line for number, line in enumerate(lines)] == [True] * 3
    assert written.stat().st_mode & 0o777 == 0o600
    assert written.read_text(encoding="utf-8-sig").count("queued") == 3


def test_a_guest_list_keeps_fingerprints_only(run: Run, campaigns: Campaigns, people: People) -> None:
    """The record contains no address; an invalid row of the list is refused."""
    code, created = run("campaign", "create", "rehearsal", "--guest-list", people(2))
    refused, _ = run("campaign", "create", "rehearsal", "--guest-list", people(2, bad=1))

    assert (code, created["options"]["guests"], refused) == (0, 2, 6)
    assert "person0" not in str(campaigns.store.record(created["campaign_id"]))


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--hours", "09:00-18:00"], "--timezone"),
        (["--hours", "nine to five", "--timezone", "Europe/Berlin"], "09:00-18:00"),
        (["--timezone", "Europe/Belrin"], "timezone: there is no timezone 'Europe/Belrin'"),
        (["--start-at", "tomorrow"], "moment"),
        (["--auth-params", "[1]"], "JSON object"),
        (["--tenant", "acme"], "acme"),
    ],
)
def test_a_malformed_option_is_named(run: Run, options: list[str], says: str) -> None:
    """With a word on how to write it."""
    code, error = run("campaign", "create", "spring", *options)

    assert code == (4 if "--tenant" in options else 2)
    assert says in error["error"]["message"]


def test_the_lowest_rate_is_the_same_on_the_command_line_and_in_python(run: Run) -> None:
    """The command line once refused rates that `Options` takes."""
    code, created = run("campaign", "create", "slow", "--rate", f"{LOWEST_RATE:f}")
    refused, _ = run("campaign", "create", "slower", "--rate", f"{LOWEST_RATE / 2:.6f}")

    assert (code, created["options"]["rate"], refused) == (0, Options(rate=LOWEST_RATE).rate, 2)


def test_counts_that_do_not_add_up_are_reported_everywhere(
    run: Run, draft: str, people: People, redis_client: redis.Redis, capsys: pytest.CaptureFixture[str]
) -> None:
    """In words and in --json, with an exit code that a script notices; once it was `266.7%` and exit code 0."""
    run("campaign", "start", draft)
    redis_client.hset(f"gatepost:campaign:{draft}", "accepted", 8)
    sentence = "the counts do not add up; run `gatepost campaign recount spring`"

    status, shown = run("campaign", "status", draft)
    listing, listed = run("campaign", "list")
    planning, planned = run("campaign", "plan", people(2, name="more.csv"), "--offline")
    run("campaign", "pause", draft)
    main(["campaign", "status", draft])
    lines = capsys.readouterr().out
    main(["campaign", "list"])
    rows = capsys.readouterr().out

    assert (status, listing, planning) == (1, 1, 1)
    assert (shown["adds_up"], listed["campaigns"][0]["adds_up"]) == (False, False)
    assert any(sentence in one for one in planned["unknowns"])
    assert sentence in lines
    assert sentence in rows
    assert "%" not in lines


def test_a_watch_ends_with_the_same(run: Run, draft: str, redis_client: redis.Redis) -> None:
    """The last event has the exit code 1."""
    run("campaign", "start", draft)
    run("campaign", "cancel", draft, "--yes")
    redis_client.hset(f"gatepost:campaign:{draft}", "accepted", 8)
    code, events = run("campaign", "watch", draft)

    assert (code, events[-1]["exit_code"], events[-1]["adds_up"], events[0]["adds_up"]) == (1, 1, False, False)
    assert "the counts do not add up" in events[0]["note"]


def test_recounting_puts_it_right(run: Run, draft: str, redis_client: redis.Redis) -> None:
    """Refused while it runs; paused, it counts the batches."""
    run("campaign", "start", draft)
    redis_client.hset(f"gatepost:campaign:{draft}", "accepted", 8)
    refused, error = run("campaign", "recount", draft)
    run("campaign", "pause", draft)
    code, counted = run("campaign", "recount", draft)

    assert (refused, code) == (5, 0)
    assert "pause" in error["error"]["message"]
    assert (counted["total"], counted["counts"]["queued"], counted["counts"]["accepted"]) == (3, 3, 0)
    assert run("campaign", "status", draft)[0] == 0
