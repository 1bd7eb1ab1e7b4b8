"""`gatepost campaign watch`: show a campaign's progress until it ends, pauses itself, or the operator stops watching."""

from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import Annotated, Final

import typer

from gatepost.campaigns.control import Campaigns
from gatepost_core.campaigns.model import Campaign
from gatepost_core.settings import Settings
from gatepost_operations.cli.campaign.lookup import CampaignArgument, open_campaign
from gatepost_operations.cli.campaign.progress import Display, Events, campaign_display, waiting_text
from gatepost_operations.cli.campaign.status import exit_code_of_campaign
from gatepost_operations.cli.campaign.text import campaign_lines, what_next
from gatepost_operations.cli.campaign.workers import count_bulk_workers
from gatepost_operations.cli.exit_codes import ExitCode
from gatepost_operations.cli.limiter import poll_quota
from gatepost_operations.cli.output import say, write
from gatepost_operations.planning.tenant_quota import TenantQuota
from gatepost_operations.planning.watch import Activity, watch

WatchOption = Annotated[bool, typer.Option("--watch/--no-watch", "-w", help="Watch the campaign until it ends.")]

_LOOK_EVERY_S: Final = 1.0
_QUOTA_EVERY_S: Final = 2.0
# The workers take a second and a half to answer.
_ASK_WORKERS_EVERY: Final = 10


def watch_command(
    campaign: CampaignArgument,
    *,
    every: Annotated[
        float, typer.Option("--every", metavar="SECONDS", min=0.1, help="Seconds between lines without a terminal.")
    ] = 5.0,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object per line; the last is the result.")
    ] = False,
) -> ExitCode:
    """Watch a campaign until it ends.

    Shows a bar on a terminal, and a line every few seconds elsewhere. Ctrl-C stops watching, not the campaign. Exit code 0 when every
    recipient was accepted, 3 after other outcomes, 5 when the campaign paused itself (4 when Auth0 refused the credential or the connection),
    130 after Ctrl-C.
    """
    with open_campaign(campaign) as (campaigns, found):
        return follow(campaigns, found.campaign_id, as_json=as_json, every_s=every)


def follow(campaigns: Campaigns, campaign_id: str, *, as_json: bool, every_s: float = 5.0) -> ExitCode:
    """Show a campaign's progress to its end, and return the exit code of its final status."""
    first = campaigns.status(campaign_id)
    with ExitStack() as stack:
        quota = stack.enter_context(poll_quota(campaigns.settings, first.options.tenant, every_s=_QUOTA_EVERY_S))
        display = stack.enter_context(campaign_display(as_json=as_json, every_s=every_s))
        try:
            last = _look(campaigns, campaign_id, display, quota)
        except KeyboardInterrupt:
            stack.close()
            return _interrupted(campaigns.status(campaign_id), display)
    code = exit_code_of_campaign(last)
    if isinstance(display, Events):
        display.result(last, code)
    else:
        write(*campaign_lines(last, datetime.now(UTC), campaigns.settings.max_rate_of(last.options.tenant)))
        say(*what_next(last))
    return code


def _look(
    campaigns: Campaigns, campaign_id: str, display: Display, quota: Callable[[], TenantQuota | None]
) -> Campaign:
    workers = _Workers(campaigns.settings)
    for snapshot in watch(campaigns, campaign_id, every_s=_LOOK_EVERY_S):
        note = waiting_text(workers.count()) if snapshot.activity is Activity.WAITING else ""
        display.show(snapshot, quota(), note)
        if snapshot.is_last:
            return snapshot.campaign
    raise AssertionError("watching ends with a last snapshot")


class _Workers:
    """The number of workers that accept campaigns, renewed at every tenth look."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._asked = 0
        self._known: int | None = None

    def count(self) -> int | None:
        if self._asked % _ASK_WORKERS_EVERY == 0:
            self._known = count_bulk_workers(self._settings)
        self._asked += 1
        return self._known


def _interrupted(campaign: Campaign, display: Display) -> ExitCode:
    if isinstance(display, Events):
        display.result(campaign, ExitCode.INTERRUPTED)
    say(f"gatepost: stopped watching; the campaign continues ({campaign.status}).")
    say(f"  watch it again: gatepost campaign watch {campaign.reference}")
    say(f"  pause it:       gatepost campaign pause {campaign.reference}")
    return ExitCode.INTERRUPTED
