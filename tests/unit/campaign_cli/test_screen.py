"""The screen of a watched campaign at every width, its lines without a terminal, and its JSON."""

from __future__ import annotations

import io
import json
import sys
from datetime import timedelta

import pytest

from gatepost_core.blocks import Block, BlockKind
from gatepost_core.campaigns.hours import SendingHours
from gatepost_core.campaigns.model import Options, Pause, PauseReason, Status
from gatepost_core.states import State
from gatepost_operations.cli.campaign.next_steps import next_steps
from gatepost_operations.cli.campaign.progress import Events, campaign_display
from gatepost_operations.cli.campaign.screen import Lines, Screen, cells_of
from gatepost_operations.cli.exit_codes import ExitCode
from gatepost_operations.planning.campaign_events import CampaignEvent, EventKind
from gatepost_operations.planning.tenant_quota import Bucket, TenantQuota
from gatepost_operations.planning.view_text import event_text, quota_text
from support.campaign_screens import QUOTA, SCREENS, text_of, worker_gone
from support.campaign_views import NOW, campaign_with, view_of

BERLIN = Options(tenant="default", hours=SendingHours.parse("08:00-20:00", "Europe/Berlin"))


def events(*kinds: EventKind) -> tuple[CampaignEvent, ...]:
    return tuple(CampaignEvent(kind, NOW, campaign_with(queued=1), number=9) for kind in kinds)


def test_a_screen_has_everything_an_operator_asks() -> None:
    """Name, a count for each state, rates, the quota and its meaning, elapsed and finish time, and the last three events."""
    lines = text_of(worker_gone()).splitlines()

    assert lines[0] == f"spring{'sending':>74}"
    assert lines[1] == f"12,415 of 20,000 recipients{'62 %':>53}"
    assert [len(line) for line in lines[:3]] == [80, 80, 80]
    assert lines[4].split("   ") == ["█ 12,400 accepted", "▓ 12 rejected", "▒ 3 unknown", "━ 31 in flight"]
    assert lines[5] == "─ 7,554 queued"
    assert lines[7:12] == [
        "rate     52.0/s now, 34.0/s on average",
        "quota    28 of 100 left, 20 kept for logins, enough for 52.0/s",
        "workers  1 worker for campaigns",
        "elapsed  6 min 5 s",
        "finish   today 11:04 CEST, in 2 min 26 s",
    ]
    assert lines[13:16] == ["11:01  no progress for 6 s", "11:01  one bulk worker gone", "11:01  moving again"]


@pytest.mark.parametrize("columns", [40, 80, 140])
@pytest.mark.parametrize("name", SCREENS)
def test_a_screen_fits_its_terminal(name: str, columns: int) -> None:
    """At 80 columns and more, in 24 lines; no text is cut."""
    view = SCREENS[name]()
    text = text_of(view, columns)

    assert max(map(len, text.splitlines())) <= columns
    assert " ".join(next_steps(view)) in " ".join(text.split())
    if columns >= 80:
        assert "…" not in text
        assert len(text.splitlines()) < 24


def test_a_screen_with_every_state_and_the_longest_texts_fits_a_small_terminal() -> None:
    """A name of 200 characters is shortened visibly, and numbers of ten million fit."""
    counts = {state.value: 1_111_111 for state in State}
    campaign = campaign_with(name="n" * 200, started_at=NOW - timedelta(hours=5), rate=1234.5, **counts)
    view = view_of(campaign, quota=QUOTA, workers=12, events=events(*EventKind)[:3])
    lines = text_of(view).splitlines()

    assert max(map(len, lines)) == 80
    assert len(lines) < 24
    assert lines[0].endswith("…  sending")


def test_a_terminal_without_unicode_gets_other_marks() -> None:
    """The parts of the bar still differ from each other."""
    text = text_of(worker_gone(), encoding="ascii")

    assert "# 12,400 accepted   x 12 rejected   ? 3 unknown   > 31 in flight" in text


def test_each_state_with_recipients_has_a_part_of_the_bar() -> None:
    """Three of twenty thousand are visible, and the parts fill the width."""
    cells = cells_of({State.ACCEPTED: 19_996, State.REJECTED: 1, State.UNKNOWN: 3}, 80)

    assert cells == {State.ACCEPTED: 78, State.REJECTED: 1, State.UNKNOWN: 1}
    assert cells_of({State.ACCEPTED: 1, State.QUEUED: 1}, 9) == {State.ACCEPTED: 5, State.QUEUED: 4}
    assert cells_of({}, 80) == {}


def test_a_lost_connection_shows_no_rate_and_no_finish() -> None:
    """They would be old, without a sign of it."""
    text = text_of(SCREENS["connection-lost"]())

    assert "connection lost, last seen 12 s ago" in text
    assert "12,400 accepted" in text
    assert "rate" not in text
    assert "finish   not known now" in text


@pytest.mark.parametrize(
    ("quota", "says"),
    [
        (TenantQuota(tenant="default", endpoint="passwordless/start"), "not known before Auth0's first answer"),
        (
            TenantQuota(tenant="default", endpoint="passwordless/start", blind=True),
            "Auth0 gives no numbers, so at most 1.0/s",
        ),
        (
            TenantQuota(
                tenant="default",
                endpoint="passwordless/start",
                bucket=Bucket(limit=100, level=28, reserve=20, available_rate=0, refill_rate=0, foreign_rate=0),
            ),
            "28 of 100 left, 20 kept for logins, refill not known yet",
        ),
        (QUOTA, "28 of 100 left, 20 kept for logins, enough for 52.0/s"),
    ],
)
def test_the_quota_says_what_it_means(quota: TenantQuota, says: str) -> None:
    """Before the first answer, without headers, before the refill is learned, and after."""
    assert quota_text(view_of(campaign_with(queued=1), quota=quota)) == says


def test_a_blocked_quota_says_until_when() -> None:
    """In the campaign's timezone, with the time that is left."""
    view = view_of(
        campaign_with(queued=1, options=BERLIN), quota=QUOTA, quota_blocked_until=NOW + timedelta(seconds=90)
    )

    assert quota_text(view) == "Auth0 accepts no requests until today 11:01 CEST, in 1 min 30 s"


def test_a_finish_after_the_deadline_is_not_promised() -> None:
    """The recipients who are left then expire."""
    options = BERLIN.model_copy(update={"deadline": NOW + timedelta(minutes=5)})
    late = view_of(campaign_with(queued=3600, rate=1.0, options=options))

    assert "finish   after the deadline, today 11:05 CEST, in 5 min; the rest expires then" in text_of(late)


@pytest.mark.parametrize(
    ("view", "says"),
    [
        (view_of(campaign_with(Status.DRAFT, queued=1)), "gatepost campaign start"),
        (
            view_of(campaign_with(Status.PAUSED, queued=1, pause=Pause(PauseReason.BY_OPERATOR))),
            "gatepost campaign resume",
        ),
        (view_of(campaign_with(Status.CANCELLING, in_flight=1)), "Calls under way are finished first."),
        (view_of(campaign_with(queued=1), idle_s=9.0, workers=0), "gatepost worker --queues bulk"),
        (view_of(campaign_with(queued=1), idle_s=9.0), "gatepost worker --queues bulk"),
        (view_of(campaign_with(queued=1), idle_s=9.0, workers=2), "check its log"),
        (view_of(campaign_with(in_flight=3), idle_s=9.0), "3 calls without an answer"),
        (
            view_of(campaign_with(queued=1, blocks=(Block(BlockKind.KEY_MISSING, "k1"),))),
            "GATEPOST_SEALING_KEYS",
        ),
        (view_of(campaign_with(queued=1, total=2)), "gatepost campaign recount"),
    ],
)
def test_where_there_is_something_to_do_it_is_said(view: object, says: str) -> None:
    """With the command that changes it."""
    assert says in " ".join(next_steps(view))  # type: ignore[arg-type]


def test_a_campaign_that_sends_asks_nothing_of_the_operator() -> None:
    """No advice where there is nothing to do."""
    assert list(next_steps(view_of(campaign_with(queued=1, rate=5.0), workers=2))) == []


def test_every_event_has_its_words() -> None:
    """With the details that it has, and no place left empty."""
    rate = CampaignEvent(
        EventKind.RATE_CHANGED,
        NOW,
        campaign_with(options=Options(tenant="default", rate=30.0)),
        before=campaign_with(options=Options(tenant="default", rate=20.0)),
    )
    pause = campaign_with(Status.PAUSED, pause=Pause(PauseReason.FAILURES_IN_A_ROW))
    rest = CampaignEvent(EventKind.QUOTA_BLOCKED, NOW, until=NOW + timedelta(hours=1))

    assert all(event_text(event, "UTC") and "{" not in event_text(event, "UTC") for event in events(*EventKind))
    assert event_text(rate, "UTC") == "maximum rate 20.0/s → 30.0/s"
    assert event_text(CampaignEvent(EventKind.PAUSED_ITSELF, NOW, pause), "UTC") == (
        "paused by itself: failures in a row"
    )
    assert event_text(rest, "Europe/Berlin") == "quota blocked until today 12:00 CEST"


def lines_of(*views: object, ticks: list[float]) -> list[str]:
    """Show views as lines, at these times."""
    stream, clock = io.StringIO(), iter(ticks)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stderr", stream)
        lines = Lines(5, monotonic=lambda: next(clock))
        for view in views:
            lines.show(view)  # type: ignore[arg-type]
    return stream.getvalue().splitlines()


def test_a_line_tells_everything() -> None:
    """The same as a screen, without control codes."""
    campaign = campaign_with(
        queued=990, deferred=10, accepted=1000, rejected=7, expired=2, unknown=1, rate=50.0, options=BERLIN
    )

    assert lines_of(view_of(campaign, quota=QUOTA), ticks=[0.0, 0.0]) == [
        (
            "spring: 1,010 of 2,010 · 1,000 accepted · 9 failed · 10 deferred · 1 unknown · sending · 50.0/s now"
            " · quota: 28 of 100 left, 20 kept for logins, enough for 52.0/s · done today 11:00 CEST, in 20 s"
        )
    ]


def test_lines_come_every_few_seconds_and_at_once_when_something_happens() -> None:
    """An event and another activity are told at once, each once."""
    running, finished = view_of(campaign_with(queued=1)), view_of(campaign_with(Status.FINISHED, accepted=1))
    gone = view_of(campaign_with(queued=1, options=BERLIN), events=events(EventKind.WORKERS_GONE))
    lost = view_of(campaign_with(queued=1), lost_for_s=3.0)
    shown = lines_of(running, running, gone, gone, lost, lost, finished, ticks=[0, 0, 1, 2, 3, 4, 4.5, 4.7])

    assert [line.partition(" · ")[0] for line in shown] == [
        "spring: 0 of 1",
        "11:00 9 bulk workers gone",
        "spring: 0 of 1",
        "Redis does not answer.",
        "Check the server of GATEPOST_REDIS_URL. Nothing is sent until it answers.",
        "spring: 1 of 1",
    ]


@pytest.mark.parametrize("term", ["dumb", "unknown"])
def test_a_dumb_terminal_gets_lines_of_its_width(term: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """No control codes, and no line breaks within a part."""
    terminal = io.StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", term)
    monkeypatch.setenv("COLUMNS", "80")
    with campaign_display(as_json=False, every_s=1) as display:
        display.show(worker_gone())

    assert max(map(len, terminal.getvalue().splitlines())) <= 80
    assert "\x1b" not in terminal.getvalue()
    assert "\n  quota: 28 of 100 left, 20 kept for logins, enough for 52.0/s\n" in terminal.getvalue()


def test_a_screen_is_for_terminals_and_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is drawn over itself when something has changed, and erased at the end."""
    terminal = io.StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm-256color")
    with campaign_display(as_json=False, every_s=1) as display:
        display.show(worker_gone())
        once = len(terminal.getvalue())
        display.show(worker_gone())
        twice = len(terminal.getvalue())
        display.show(SCREENS["connection-lost"]())

    assert isinstance(display, Screen)
    assert once == twice
    assert "one bulk worker gone" in terminal.getvalue()[:once]
    assert "connection lost" in terminal.getvalue()[twice:]
    assert "\x1b[1A\x1b[2K" in terminal.getvalue().rpartition("Ctrl-C")[2]


def test_events_are_one_object_a_line_and_end_with_one_result(capsys: pytest.CaptureFixture[str]) -> None:
    """An unchanged status is not repeated, and each notice comes once."""
    display = Events()
    running, finished = campaign_with(queued=1), campaign_with(Status.FINISHED, rejected=1)
    happened = events(EventKind.WORKERS_GONE)
    for view in (
        view_of(running, quota=QUOTA, events=happened),
        view_of(running, quota=QUOTA, events=happened, lost_for_s=9.0),
        view_of(finished),
    ):
        display.show(view)
    display.result(finished, ExitCode.NOT_ACCEPTED)
    seen = [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    assert [one["event"] for one in seen] == ["progress", "notice", "progress", "result"]
    assert (seen[1]["kind"], seen[1]["at"], seen[1]["text"]) == (
        "workers_gone",
        NOW.isoformat(),
        "9 bulk workers gone",
    )
    assert seen[0]["quota_left"] == 28
    assert (seen[-1]["status"], seen[-1]["exit_code"], seen[-1]["counts"]["rejected"]) == ("finished", 3, 1)
