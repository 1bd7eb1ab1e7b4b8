"""An operator's day: a file is sent, some recipients fail and are retried, and each person gets one message."""

from __future__ import annotations

import json
import signal
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.campaign_terminal import Terminal

    Sent = Callable[[], dict[str, int]]

pytestmark = pytest.mark.slow


def test_a_file_goes_out_in_one_command(working: Terminal, sent: Sent) -> None:
    """Exit code 0, everybody once, the id first and one result last."""
    people = [f"person{number}@example.com" for number in range(300)] + ["+447700900123"]
    code, events = working.events("campaign", "send", working.people(*people))

    assert code == 0
    assert [one["event"] for one in events[:3]] == ["checked", "planned", "created"]
    assert [one["event"] for one in events].count("result") == 1
    result = events[-1]
    assert (result["status"], result["counts"]["accepted"], result["total"]) == ("finished", 301, 301)
    assert sent() == {"1": 301}


def test_those_who_failed_are_exported_and_retried_alone(working: Terminal, sent: Sent) -> None:
    """Exit code 3; the file names who and why and can be read again; the retry reaches just those."""
    people = [f"person{number}@example.com" for number in range(40)]
    people += ["refused+bad-email-once@example.com", "bad+bad-email@example.com", "lost+503-after@example.com"]
    code, out, err = working.run("campaign", "send", working.people(*people), "--name", "spring")

    assert code == 3
    assert "accepted" in out
    assert "rejected" in out
    assert "retry" not in err.replace("gatepost campaign retry spring --state unknown", "")

    _, exported, _ = working.run("campaign", "export", "spring", "--state", "failed", "--state", "unknown")
    rows = [json.loads(line) for line in exported.splitlines()]
    assert {(row["email"].partition("@")[0], row["state"]) for row in rows} == {
        ("refused+bad-email-once", "rejected"),
        ("bad+bad-email", "rejected"),
        ("lost+503-after", "unknown"),
    }
    assert all(row["reason"] for row in rows)

    again, events = working.events("campaign", "retry", "spring", "--reason", "recipient_rejected", "--watch")
    assert again == 3
    assert (events[-1]["counts"]["accepted"], events[-1]["counts"]["rejected"]) == (41, 1)
    assert sent() == {"1": 42}


def test_a_second_run_sends_nobody_a_second_message(working: Terminal, sent: Sent) -> None:
    """The same command after the end adds no recipient; with one more row it sends to that recipient."""
    people = [f"person{number}@example.com" for number in range(20)]
    first, _ = working.events("campaign", "send", working.people(*people))
    again, events = working.events("campaign", "send", working.people(*people))
    longer, _ = working.events("campaign", "send", working.people(*people, "new@example.com"))

    assert (first, again, longer) == (0, 0, 0)
    assert events[-1]["status"] == "finished"
    assert sent() == {"1": 21}


def test_without_a_worker_watching_says_how_to_start_one(terminal: Terminal, sent: Sent) -> None:
    """It continues by itself once there is a worker."""
    process = terminal.start("campaign", "send", terminal.people("ana@example.com"))
    assert process.stderr is not None
    said = ""
    while "gatepost worker --queues bulk" not in said:
        line = process.stderr.readline()
        assert line, said
        said += line
    terminal.stack.worker("gatepost.bulk")
    terminal.stack.beat()
    process.communicate(timeout=120)

    assert "waiting for a worker" in said
    assert process.returncode == 0
    assert sent() == {"1": 1}


def test_ctrl_c_ends_the_watching_alone(working: Terminal, sent: Sent) -> None:
    """Exit code 130 and the next commands; the campaign continues, is paused, resumed, and ends."""
    people = [f"person{number}@example.com" for number in range(300)]
    process = working.start("campaign", "send", working.people(*people), "--rate", "5")
    assert process.stdout is not None
    campaign_id = process.stdout.readline().split()[1]
    working.stack.until(lambda: sent() != {}, "the first message has left")
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=120)

    assert process.returncode == 130
    assert "the campaign continues (running)" in err
    assert "gatepost campaign watch people" in err

    _, paused, _ = working.run("campaign", "pause", campaign_id)
    assert "paused" in paused
    assert sum(sent().values()) < 300
    working.run("campaign", "change", campaign_id, "--rate", "none")
    code, events = working.events("campaign", "resume", campaign_id, "--watch")
    assert (code, events[-1]["counts"]["accepted"]) == (0, 300)
    assert sent() == {"1": 300}


def test_a_refused_credential_pauses_and_says_what_to_do(terminal: Terminal, sent: Sent) -> None:
    """Exit code 4, and no recipient is lost; after the correction, the campaign sends to all of them."""
    wrong = terminal.stack.worker("gatepost.bulk", AUTH0_CLIENT_SECRET="wrong")
    terminal.stack.beat()
    people = [f"person{number}@example.com" for number in range(30)]
    code, out, _ = terminal.run("campaign", "send", terminal.people(*people))

    assert code == 4
    assert "check the client secret" in out
    assert "gatepost campaign resume" in out
    assert sent() == {}

    wrong.terminate()
    wrong.wait()
    terminal.stack.worker("gatepost.bulk")
    again, events = terminal.events("campaign", "resume", "people", "--watch")
    assert again == 0
    assert events[-1]["counts"]["accepted"] == 30


def test_failures_in_a_row_pause_the_campaign(working: Terminal) -> None:
    """Exit code 5, with the reason and the command that resumes."""
    people = [f"p{number}+bad-email@example.com" for number in range(20)] + ["fine@example.com"]
    code, events = working.events("campaign", "send", working.people(*people), "--pause-after-errors", "5")

    assert code == 5
    assert events[-1]["status"] == "paused"
    assert events[-1]["pause"]["reason"] == "failures_in_a_row"
    assert events[-1]["pause"]["cause"] == "recipient_rejected"


def test_the_quota_is_read_by_a_request_that_sends_nothing(terminal: Terminal, sent: Sent) -> None:
    """Nothing has been sent yet: `plan` probes the quota by itself, `quota` with --probe; then both know it."""
    _, before = terminal.events("quota", "--endpoint", "passwordless/start")
    _, planned = terminal.events("campaign", "plan", terminal.people("ana@example.com"))
    code, after = terminal.events("quota", "--endpoint", "passwordless/start", "--probe")

    assert before[0]["quotas"][0]["bucket"] is None
    assert planned[0]["forecasts"]
    assert (code, after[0]["quotas"][0]["bucket"]["limit"]) == (0, 1_000_000)
    assert sent() == {}


def test_a_rehearsal_reaches_the_guests_alone(working: Terminal, sent: Sent) -> None:
    """The guest list and the suppression list; everybody else is `suppressed`, with the reason."""
    people = [f"person{number}@example.com" for number in range(10)]
    guests = working.people(*people[:3], name="guests.csv")
    working.run("suppression", "add", people[0], "--reason", "unsubscribed")
    code, events = working.events("campaign", "send", working.people(*people), "--guest-list", guests)
    _, shown = working.events("campaign", "show", "people-rehearsal", people[0])

    assert code == 0
    assert (events[-1]["counts"]["accepted"], events[-1]["counts"]["suppressed"]) == (2, 8)
    assert shown[0]["reason"] == "on_suppression_list"
    assert sent() == {"1": 2}
