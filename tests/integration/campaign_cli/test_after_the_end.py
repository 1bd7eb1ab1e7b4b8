"""What an operator reads after a campaign's end: counts by reason, what a retry skips, and what each verb changed."""

from __future__ import annotations

import io
import json
import re
import sys
from typing import TYPE_CHECKING

import pytest

from gatepost_core.campaigns.model import Options, Status
from gatepost_core.campaigns.row import Row
from gatepost_core.kinds import Channel
from gatepost_core.states import State
from gatepost_operations.cli.entry import main
from gatepost_operations.cli.wrapping import columns_of
from support.campaign_parts import rows

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.campaign_parts import Bench

    Shell = Callable[..., tuple[int, str, str]]


@pytest.fixture
def shell(bench: Bench, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    """Run a command with the bench's tenant; give the exit code, standard output and standard error."""
    settings = bench.settings
    monkeypatch.setenv("AUTH0_DOMAIN", str(settings.auth0_domain))
    monkeypatch.setenv("AUTH0_BASE_URL", str(settings.auth0_base_url))
    monkeypatch.setenv("AUTH0_CLIENT_ID", str(settings.auth0_client_id))

    def call(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = main(list(arguments))
        shown = capsys.readouterr()
        return code, shown.out, shown.err

    return call


@pytest.fixture
def ended(bench: Bench) -> str:
    """A finished campaign: 3 accepted, 2 refused addresses, 1 refused by a connection closed for sign-ups, 1 unknown."""
    tags = ["", "", "", "+bad-email", "+bad-email", "+bad-connection", "+503-after"]
    people = [Row(number, Channel.EMAIL, f"person{number}{tag}@example.com") for number, tag in enumerate(tags)]
    campaign_id = bench.start(people, pause_after_errors=None, pause_above_error_share=None)
    bench.work()
    return campaign_id


@pytest.mark.usefixtures("ended")
def test_a_dry_run_counts_by_reason_and_says_whether_a_retry_can_succeed(shell: Shell) -> None:
    """What would be skipped is in the table too; nothing changes."""
    code, out, err = shell("campaign", "retry", "spring", "--dry-run", "--state", "failed", "--state", "unknown")
    _, document, _ = shell("campaign", "retry", "spring", "--dry-run", "--json")

    assert code == 0
    assert [line.split(maxsplit=3) for line in out.splitlines()[1:]] == [
        ["recipients", "state", "reason", "a retry"],
        ["2", "rejected", "recipient_rejected", "cannot succeed"],
        ["1", "rejected", "signup_disabled", "needs a correction"],
        ["1", "unknown", "server_failed", "can succeed"],
    ]
    assert out.startswith("2 recipients would be queued again (present state: 1 rejected, 1 unknown); 2 skipped")
    assert "correct it, or leave it out" in err
    assert json.loads(document)["by_reason"] == [
        {"state": "rejected", "reason": "recipient_rejected", "count": 2, "retry": "cannot_succeed", "skipped": True},
        {"state": "rejected", "reason": "signup_disabled", "count": 1, "retry": "needs_correction", "skipped": False},
    ]


def test_a_retry_skips_recipients_for_whom_it_cannot_succeed(shell: Shell, ended: str, bench: Bench) -> None:
    """It says how many, why, and how to send to them all the same."""
    code, out, err = shell("campaign", "retry", "spring")
    counts = bench.status(ended).counts

    assert (code, counts[State.QUEUED], counts[State.REJECTED]) == (0, 1, 2)
    assert out == "1 recipient queued again (previous state: 1 rejected); 2 skipped, because a retry cannot succeed\n"
    assert "2 skipped (recipient_rejected): Auth0 refused the address or number; correct it, or leave it out." in err
    assert "gatepost campaign retry spring --reason recipient_rejected" in err


def test_a_reason_that_is_named_is_retried(shell: Shell, ended: str, bench: Bench) -> None:
    """The operator may know more than the table, for example after a change at Auth0."""
    code, out, _ = shell("campaign", "retry", "spring", "--reason", "recipient_rejected")

    assert (code, bench.status(ended).counts[State.QUEUED]) == (0, 2)
    assert out == "2 recipients queued again (previous state: 2 rejected)\n"


@pytest.mark.usefixtures("ended")
def test_the_next_steps_suggest_no_retry_that_cannot_succeed(shell: Shell, bench: Bench) -> None:
    """While only refused addresses are left, the advice is to correct them or leave them out."""
    _, _, before = shell("campaign", "status", "spring")
    refused = bench.start([Row(0, Channel.EMAIL, "person+bad-email@example.com")])
    bench.work()
    _, out, after = shell("campaign", "status", refused)

    assert "gatepost campaign retry spring --dry-run" in before
    assert "correct it, or leave it out" in out
    assert "retry" not in out + after


def test_each_verb_says_what_it_changed(shell: Shell, bench: Bench) -> None:
    """Status, options and counts, with the old and the new value; nothing is repeated as if it were new."""
    bench.campaigns.create("spring", Options(rate=20))
    bench.campaigns.add(bench.campaigns.list()[0].campaign_id, rows(3))
    said = [
        shell("campaign", *line.split())[:2]
        for line in (
            "start spring",
            "change spring --rate 30",
            "change spring --rate 0.05 --deadline 2099-05-04T18:00Z",
            "change spring --rate 0.05",
            "change spring --rate none --deadline none",
            "pause spring",
            "pause spring",
            "resume spring",
            "cancel spring --yes",
            "cancel spring --yes",
        )
    ]

    assert [code for code, _ in said] == [0] * 10
    assert [out for _, out in said if "2099" not in out] == [
        "spring: draft → running, 3 recipients to send to\n",
        "spring: rate 20/s → 30/s\n",
        "spring: nothing changed\n",
        "spring: running → paused, 3 recipients wait\n",
        "spring is paused already\n",
        "spring: paused → running, 3 recipients to send to\n",
        "spring: running → cancelled, 3 recipients cancelled, 0 accepted before\n",
        "spring is cancelled already, so there is nothing to cancel\n",
    ]
    assert [out.startswith("spring: rate 30/s → 0.05/s, deadline none → ") for _, out in said if "2099" in out] == [
        True,
        False,
    ]


def test_a_campaign_that_has_ended_is_not_cancelled(shell: Shell, ended: str, bench: Bench) -> None:
    """Exit code 0 without a question, nothing changes, and nothing is recorded."""
    recorded = len(list(bench.campaigns.audit.entries()))
    code, out, _ = shell("campaign", "cancel", "spring")
    _, again, _ = shell("campaign", "recount", "spring")

    assert (code, out) == (0, "spring is finished already, so there is nothing to cancel\n")
    assert again.startswith("spring: every count was right\n")
    assert bench.status(ended).status is Status.FINISHED
    assert [entry.action for entry in bench.campaigns.audit.entries()][recorded:] == [
        "campaign.recount",
        "campaign.recount.done",
    ]


@pytest.mark.usefixtures("ended")
def test_adding_says_when_the_recipients_are_sent_to(shell: Shell, tmp_path: Path) -> None:
    """A finished campaign sends at once, which is said before anything is added; a draft waits for its start."""
    (tmp_path / "more.csv").write_text("email\nlate@example.com\n")
    (tmp_path / "same.csv").write_text("email\nperson0@example.com\n")
    _, same, stays = shell("campaign", "add", "spring", str(tmp_path / "same.csv"))
    _, out, more = shell("campaign", "add", "spring", str(tmp_path / "more.csv"))
    shell("campaign", "create", "later")
    _, _, draft = shell("campaign", "add", "later", str(tmp_path / "more.csv"), "--again")

    assert more.startswith("The campaign spring was finished. It continues, and sends to new recipients at once.\n")
    assert (same, out) == ("0 added, 1 duplicate\n", "1 added, 0 duplicates\n")
    assert "spring stays finished" in stays
    assert "spring runs again" in more
    assert draft == "Nothing is sent yet. To start it: gatepost campaign start later\n"


class Screen(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        """Return that it is a terminal."""
        return True


LONG = "Einladung zur Mitgliederversammlung 2027, zweite Erinnerung an alle, 会員総会へのご招待、二回目のお知らせ"


@pytest.mark.parametrize(
    "command",
    [
        "campaign list",
        "campaign status {}",
        "campaign change {} --rate 1234567.5 --deadline 2099-05-04T18:00Z",
        "campaign retry {} --state failed --state unknown --dry-run",
        "campaign retry {}",
        "campaign recount {}",
        "campaign pause {}",
        "campaign cancel {}",
        "campaign export {} --output failed.ndjson",
        "campaign show {} person0@example.com",
        "campaign status nothing-with-this-name",
        "suppression add ana@example.com --reason bounced --expires 2099-05-04T18:00Z",
        "suppression count",
        "quota",
        "audit list",
        "audit verify",
        "keys status",
        "tenants list",
        "dead-letters list",
        "doctor --offline",
        "erase person0@example.com --dry-run",
    ],
)
@pytest.mark.usefixtures("shell")
def test_no_output_is_wider_than_80_columns(command: str, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a long name in wide characters, and with messages of every kind."""
    people = [Row(number, Channel.EMAIL, f"person{number}+bad-email@example.com") for number in range(3)]
    campaign_id = bench.campaigns.create(LONG)
    bench.campaigns.add(campaign_id, [*people, *rows(1)])
    bench.campaigns.start(campaign_id)
    bench.work()
    screens = Screen(), Screen()
    monkeypatch.setenv("COLUMNS", "80")
    for name, screen in zip(("stdout", "stderr"), screens, strict=True):
        monkeypatch.setattr(sys, name, screen)
    main(command.format(campaign_id).split())
    lines = [line for screen in screens for line in re.sub(r"\x1b\[[\d;?]*\w", "", screen.getvalue()).splitlines()]

    assert [line for line in lines if columns_of(line) > 80] == []
    assert lines
