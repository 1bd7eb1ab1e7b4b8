"""`gatepost campaign send`: refusals, records, and no second message in a second run."""

from __future__ import annotations

import io
import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from gatepost_core.campaigns.model import Options
from gatepost_operations.cli.campaign.send import campaign_id_of
from gatepost_operations.cli.entry import main

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

    from gatepost.campaigns.control import Campaigns
    from gatepost_core.settings import Settings

    Run = Callable[..., tuple[int, Any]]
    People = Callable[..., str]


def test_a_dry_run_records_nothing(run: Run, people: People, campaigns: Campaigns) -> None:
    """The check and the plan, and one result."""
    code, events = run("campaign", "send", people(3), "--dry-run")

    assert code == 0
    assert [one["event"] for one in events] == ["checked", "planned", "result"]
    assert events[1]["recipients"] == 3
    assert campaigns.list() == []


def test_bad_rows_are_refused_before_anything_is_recorded(run: Run, people: People, campaigns: Campaigns) -> None:
    """Exit code 6; with --skip-invalid the others are sent to."""
    file = people(3, bad=2)
    refused, _ = run("campaign", "send", file, "--no-watch")
    before = campaigns.list()
    code, events = run("campaign", "send", file, "--no-watch", "--skip-invalid")

    assert (refused, before, code) == (6, [], 0)
    assert events[-1]["total"] == 3


def test_the_id_comes_first_and_the_result_once(run: Run, people: People) -> None:
    """With the id, an operator can continue after any crash."""
    _, events = run("campaign", "send", people(3), "--no-watch")
    kinds = [one["event"] for one in events]

    assert kinds == ["checked", "planned", "created", "added", "result"]
    assert events[2]["campaign_id"] == events[-1]["campaign_id"]
    assert (events[-1]["name"], events[-1]["status"]) == ("people", "running")


def test_the_same_name_is_the_same_campaign(run: Run, people: People, campaigns: Campaigns) -> None:
    """Run again, with the same file or a longer one: only who is new is added."""
    first = run("campaign", "send", people(3), "--no-watch")[1][-1]["campaign_id"]
    again = run("campaign", "send", people(3), "--no-watch")[1]
    longer = run("campaign", "send", people(5), "--no-watch")[1]

    assert {again[-1]["campaign_id"], longer[-1]["campaign_id"]} == {first}
    assert [(one["added"], one["duplicates"]) for one in (again[-2], longer[-2])] == [(0, 3), (2, 3)]
    assert [one.total for one in campaigns.list()] == [5]


def test_another_name_is_another_campaign(run: Run, people: People, campaigns: Campaigns) -> None:
    """A second message needs another name, and --again for the same file."""
    run("campaign", "send", people(3), "--no-watch")
    run("campaign", "send", people(3), "--no-watch", "--name", "again", "--again")

    assert [one.name for one in campaigns.list()] == ["again", "people"]


def test_another_way_of_sending_is_not_mixed_in(run: Run, people: People, campaigns: Campaigns) -> None:
    """The options of the campaign that is there would hold: it is refused, and says which differ."""
    run("campaign", "send", people(3), "--no-watch")
    code, error = run("campaign", "send", people(5), "--no-watch", "--send", "link", "--rate", "3")

    assert code == 5
    assert "rate, send" in error["error"]["message"]
    assert campaigns.list()[0].total == 3


def test_a_rehearsal_is_a_separate_campaign(run: Run, people: People, campaigns: Campaigns) -> None:
    """The real one is still to come; under one name the two are not mixed."""
    guests = people(1, name="guests.csv")
    run("campaign", "send", people(3), "--no-watch", "--guest-list", guests)
    run("campaign", "send", people(3), "--no-watch")
    code, error = run("campaign", "send", people(3), "--no-watch", "--name", "people-rehearsal")

    assert [one.name for one in campaigns.list()] == ["people", "people-rehearsal"]
    assert code == 5
    assert "guest list" in error["error"]["message"]


def test_a_cancelled_campaign_is_not_gone_on_with(run: Run, people: People) -> None:
    """A cancelled campaign is not continued."""
    run("campaign", "send", people(3), "--no-watch")
    run("campaign", "cancel", "people", "--yes")

    assert run("campaign", "send", people(3), "--no-watch")[0] == 5


def test_standard_input_needs_a_name(run: Run, monkeypatch: pytest.MonkeyPatch, campaigns: Campaigns) -> None:
    """The name makes a second run safe."""
    given = b"email\nana@example.com\n"
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(given)))
    code, error = run("campaign", "send", "-", "--no-watch")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(given)))
    named, _ = run("campaign", "send", "-", "--no-watch", "--name", "piped")

    assert (code, error["error"]["type"], named) == (5, "Refused", 0)
    assert [one.name for one in campaigns.list()] == ["piped"]


class Answering(io.StringIO):
    """A terminal at which something happens before the question is answered with yes."""

    def __init__(self, meanwhile: Callable[[], object]) -> None:
        super().__init__("y\n")
        self._meanwhile = meanwhile

    def isatty(self) -> bool:
        return True

    def readline(self, size: int | None = -1, /) -> str:
        self._meanwhile()
        return super().readline(-1 if size is None else size)


def test_options_that_came_too_late_are_told(
    run: Run, people: People, campaigns: Campaigns, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process creates the campaign with another rate meanwhile; the file is not added to it."""
    campaign_id = campaign_id_of(settings, "people", None)
    other = Options(rate=7)
    meanwhile = Answering(lambda: campaigns.create("people", other, campaign_id=campaign_id))
    monkeypatch.setattr(sys, "stdin", meanwhile)
    code, told = run("campaign", "send", people(3), "--no-watch", "--rate", "3")

    assert code == 5
    assert "with another rate" in told[-1]["error"]["message"]
    assert (campaigns.status(campaign_id).options.rate, campaigns.status(campaign_id).total) == (7, 0)


def test_the_same_options_at_the_same_moment_are_one_campaign(
    run: Run, people: People, campaigns: Campaigns, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two who give a deadline as a time from now mean the same, although it differs by a moment."""
    campaign_id = campaign_id_of(settings, "people", None)
    a_moment_ago = Options(deadline=datetime.now(UTC) + timedelta(days=2))
    meanwhile = Answering(lambda: campaigns.create("people", a_moment_ago, campaign_id=campaign_id))
    monkeypatch.setattr(sys, "stdin", meanwhile)
    code, events = run("campaign", "send", people(3), "--no-watch", "--deadline", "2d")

    assert (code, events[-1]["campaign_id"]) == (0, campaign_id)
    assert campaigns.status(campaign_id).options.deadline == a_moment_ago.deadline


def test_on_a_terminal_it_asks_before_it_sends(
    people: People, campaigns: Campaigns, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """After the plan, with the number of recipients; no is an answer."""
    terminal = io.StringIO("n\n")
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stdin", terminal)

    assert main(["campaign", "send", people(3)]) == 5
    assert "Send to 3 recipients?" in capsys.readouterr().err
    assert campaigns.list() == []
