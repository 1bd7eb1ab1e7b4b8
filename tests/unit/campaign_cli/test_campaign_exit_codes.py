"""The exit code of a campaign's status, and the commands that are suggested next."""

from __future__ import annotations

from typing import Any

import pytest

from gatepost_core.blocks import Block, BlockKind
from gatepost_core.campaigns.model import Campaign, Pause, PauseReason, Status
from gatepost_core.reasons import Reason
from gatepost_core.states import State
from gatepost_operations.cli.campaign.status import exit_code_of_campaign
from gatepost_operations.cli.campaign.summary import what_next
from gatepost_operations.cli.campaign.text import campaign_lines
from gatepost_operations.cli.exit_codes import ExitCode
from support.campaign_views import NOW, campaign_with


@pytest.mark.parametrize(
    ("campaign", "code"),
    [
        (campaign_with(Status.DRAFT, queued=3), ExitCode.DONE),
        (campaign_with(queued=3, rejected=1), ExitCode.DONE),
        (campaign_with(Status.FINISHED, accepted=3), ExitCode.DONE),
        (campaign_with(Status.FINISHED, accepted=3, suppressed=2), ExitCode.DONE),
        (campaign_with(Status.FINISHED, accepted=3, rejected=1), ExitCode.NOT_ACCEPTED),
        (campaign_with(Status.FINISHED, accepted=3, exhausted=1), ExitCode.NOT_ACCEPTED),
        (campaign_with(Status.FINISHED, accepted=3, expired=1), ExitCode.NOT_ACCEPTED),
        (campaign_with(Status.FINISHED, accepted=3, unknown=1), ExitCode.NOT_ACCEPTED),
        (campaign_with(Status.CANCELLED, accepted=3, cancelled=1), ExitCode.NOT_ACCEPTED),
        (campaign_with(Status.PAUSED, queued=1, pause=Pause(PauseReason.BY_OPERATOR)), ExitCode.DONE),
        (
            campaign_with(
                Status.PAUSED, queued=1, pause=Pause(PauseReason.FAILURES_IN_A_ROW, Reason.RECIPIENT_REJECTED)
            ),
            ExitCode.REFUSED,
        ),
        (campaign_with(Status.PAUSED, queued=1, pause=Pause(PauseReason.ERROR_SHARE)), ExitCode.REFUSED),
        (
            campaign_with(Status.PAUSED, queued=1, pause=Pause(PauseReason.REFUSED, Reason.CLIENT_REJECTED)),
            ExitCode.CONFIGURATION,
        ),
        (
            campaign_with(Status.PAUSED, queued=1, pause=Pause(PauseReason.REFUSED, Reason.CAPTCHA_REQUIRED)),
            ExitCode.REFUSED,
        ),
    ],
    ids=lambda value: value.status.value if isinstance(value, Campaign) else value.name,
)
def test_an_end_gives_its_exit_code(campaign: Campaign, code: ExitCode) -> None:
    """All done 0, finished and some failed 3, credentials 4, paused itself 5."""
    assert exit_code_of_campaign(campaign) is code


def _blocked(*kinds: BlockKind, **fields: Any) -> Campaign:
    return campaign_with(queued=3, blocks=tuple(Block(kind, "detail", (0,)) for kind in kinds), **fields)


@pytest.mark.parametrize(
    ("campaign", "code"),
    [
        (_blocked(BlockKind.KEY_MISSING), ExitCode.CONFIGURATION),
        (_blocked(BlockKind.DAMAGED, BlockKind.KEY_MISSING), ExitCode.CONFIGURATION),
        (_blocked(BlockKind.DAMAGED, BlockKind.DAMAGED), ExitCode.UNEXPECTED),
        (_blocked(BlockKind.KEY_MISSING, total=4), ExitCode.UNEXPECTED),
    ],
    ids=["configuration", "configuration and damage", "damage alone", "wrong counts"],
)
def test_a_blocked_campaign_gives_1_only_for_damage_alone_or_wrong_counts(campaign: Campaign, code: ExitCode) -> None:
    """An operator can change the configuration, so 4 has precedence over a damaged batch."""
    assert exit_code_of_campaign(campaign) is code


def test_a_pause_says_why_and_what_to_do() -> None:
    """The output has the advice for the pause and for its cause, and the command that resumes."""
    paused = campaign_with(Status.PAUSED, queued=1, pause=Pause(PauseReason.REFUSED, Reason.CLIENT_REJECTED))
    text = "\n".join(campaign_lines(paused, NOW))

    assert "Auth0 refuses every request" in text
    assert "check the client secret" in text
    assert "gatepost campaign resume spring" in text


def test_an_end_with_failures_names_the_commands_that_follow() -> None:
    """The file of those who failed, and the retry; `unknown` apart, because it may send twice."""
    reasons = {(State.REJECTED, Reason.SIGNUP_DISABLED): 1, (State.UNKNOWN, Reason.ANSWER_LOST): 1}
    failed = campaign_with(Status.FINISHED, accepted=1, rejected=1, unknown=1, reasons=reasons)
    text = "\n".join(what_next(failed))

    assert "export" in text
    assert "--state failed --state unknown" in text
    assert "retry spring --dry-run" in text
    assert "retry spring --state unknown" in text


def test_without_an_end_nothing_follows() -> None:
    """A running campaign suggests no retry."""
    assert list(what_next(campaign_with(queued=1, rejected=1))) == []


def test_a_share_is_neither_nothing_for_some_nor_everything_for_less_than_all() -> None:
    """One of 20,000 is not 0.0 %, and 19,999 of them are not 100.0 %."""
    shown = "\n".join(campaign_lines(campaign_with(Status.FINISHED, accepted=19_999, unknown=1), NOW))
    whole = "\n".join(campaign_lines(campaign_with(Status.FINISHED, accepted=19_999), NOW))

    assert "accepted        19,999  99.9%" in shown
    assert "unknown              1  0.1%" in shown
    assert "accepted        19,999  100.0%" in whole


def test_reasons_come_with_numbers_and_advice() -> None:
    """The most frequent first."""
    reasons = {
        (State.REJECTED, Reason.RECIPIENT_REJECTED): 2,
        (State.EXHAUSTED, Reason.NOT_REACHED): 5,
    }
    lines = list(campaign_lines(campaign_with(Status.FINISHED, rejected=2, exhausted=5, reasons=reasons), NOW))

    assert lines[-2].startswith("5 exhausted (not_reached): No attempt reached Auth0")
    assert lines[-1].startswith("2 rejected (recipient_rejected): ")
