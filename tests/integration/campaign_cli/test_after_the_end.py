"""What an operator reads after a campaign's end: counts by reason, what a retry skips, and what each verb changed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from gatepost_core.campaigns.row import Row
from gatepost_core.kinds import Channel
from gatepost_core.states import State
from gatepost_operations.cli.entry import main

if TYPE_CHECKING:
    from collections.abc import Callable

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
    assert out.startswith("2 recipients would be queued again (1 rejected, 1 unknown); 2 skipped")
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
    assert out == "1 recipient queued again (1 rejected); 2 skipped, because a retry cannot succeed\n"
    assert "2 skipped (recipient_rejected): Auth0 refused the address or number; correct it, or leave it out." in err
    assert "gatepost campaign retry spring --reason recipient_rejected" in err


def test_a_reason_that_is_named_is_retried(shell: Shell, ended: str, bench: Bench) -> None:
    """The operator may know more than the table, for example after a change at Auth0."""
    code, out, _ = shell("campaign", "retry", "spring", "--reason", "recipient_rejected")

    assert (code, bench.status(ended).counts[State.QUEUED]) == (0, 2)
    assert out == "2 recipients queued again (2 rejected)\n"


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
