"""`gatepost campaign watch`: show a campaign's progress until it ends, pauses itself, or the operator stops watching."""

import time
from contextlib import ExitStack
from datetime import UTC, datetime
from functools import partial
from typing import Annotated, Final

import typer

from gatepost.campaigns.control import Campaigns
from gatepost_core.campaigns.model import Campaign
from gatepost_core.errors import Unavailable
from gatepost_operations.cli.campaign.lookup import CampaignArgument, open_campaign
from gatepost_operations.cli.campaign.notify import Notifier, NotifyOption
from gatepost_operations.cli.campaign.progress import Events, campaign_display
from gatepost_operations.cli.campaign.screen import Display
from gatepost_operations.cli.campaign.status import exit_code_of_campaign
from gatepost_operations.cli.campaign.summary import what_next
from gatepost_operations.cli.campaign.text import campaign_lines
from gatepost_operations.cli.exit_codes import ExitCode
from gatepost_operations.cli.limiter import poll_quota
from gatepost_operations.cli.output import say, write
from gatepost_operations.formatting import duration_text
from gatepost_operations.planning.observer import CampaignView, Observer
from gatepost_operations.planning.workers import bulk_workers

WatchOption = Annotated[bool, typer.Option("--watch/--no-watch", "-w", help="Watch the campaign until it ends.")]

_QUOTA_EVERY_S: Final = 2.0
# A busy worker answers late, and must not count as gone.
_WORKERS_ANSWER_WITHIN_S: Final = 2.0


def watch_command(
    campaign: CampaignArgument,
    *,
    every: Annotated[
        float,
        typer.Option("--every", metavar="SECONDS", min=0.1, help="Seconds between two lines, if there is no terminal."),
    ] = 5.0,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object per line; the last is the result.")
    ] = False,
    notify: NotifyOption = None,
) -> ExitCode:
    """Watch a campaign until it ends, or Gatepost pauses it.

    On a terminal, draws a screen. Elsewhere, writes a line every few seconds. Ctrl-C stops watching, and the campaign continues. If an
    operator pauses the campaign, watching continues.

    If Redis does not answer, the screen waits until Redis answers again. Without a terminal, the command gives up after ten minutes.
    """
    notifier = Notifier(notify)
    with open_campaign(campaign) as (campaigns, found):
        return follow(campaigns, found.campaign_id, as_json=as_json, every_s=every, notifier=notifier)


def follow(
    campaigns: Campaigns,
    campaign_id: str,
    *,
    as_json: bool,
    every_s: float = 5.0,
    notifier: Notifier | None = None,
) -> ExitCode:
    """Show a campaign's progress to its end, and return the exit code of its final status.

    Args:
        campaigns: the campaigns.
        campaign_id: the campaign's id.
        as_json: whether to print JSON.
        every_s: seconds between two lines without a terminal.
        notifier: tells the operator about the end [default: by the terminal's bell].

    Raises:
        Unavailable: Redis did not answer for longer than the display waits. The campaign continues.
    """
    settings = campaigns.settings
    first = campaigns.status(campaign_id)
    with ExitStack() as stack:
        quota = stack.enter_context(poll_quota(settings, first.options.tenant, every_s=_QUOTA_EVERY_S))
        workers = partial(bulk_workers, settings, answer_within_s=_WORKERS_ANSWER_WITHIN_S)
        observer = stack.enter_context(Observer(campaigns, first, quota=quota, workers=workers))
        display = stack.enter_context(campaign_display(as_json=as_json, every_s=every_s))
        try:
            last = _look(observer, display)
        except KeyboardInterrupt:
            stack.close()
            return _interrupted(observer.view(), display)
    code = exit_code_of_campaign(last)
    if isinstance(display, Events):
        display.result(last, code)
    else:
        write(*campaign_lines(last, datetime.now(UTC), settings.max_rate_of(last.options.tenant)))
        say(*what_next(last))
    (notifier or Notifier(None)).tell(last, code)
    return code


def _look(observer: Observer, display: Display) -> Campaign:
    while True:
        view = observer.view()
        display.show(view)
        if view.is_last:
            return view.snapshot.campaign
        if view.lost_for_s > display.patience_s:
            reason = view.failure or "Redis does not answer."
            raise Unavailable(
                f"{reason} It was last seen {duration_text(view.lost_for_s)} ago. The campaign continues."
            )
        time.sleep(display.every_s)


def _interrupted(view: CampaignView, display: Display) -> ExitCode:
    campaign = view.snapshot.campaign
    if isinstance(display, Events):
        display.result(campaign, ExitCode.INTERRUPTED)
    seen = f", last seen {duration_text(view.lost_for_s)} ago" if view.is_lost else ""
    say(f"gatepost: stopped watching; the campaign continues ({campaign.status}{seen}).")
    say(f"  watch it again: gatepost campaign watch {campaign.reference}")
    say(f"  pause it:       gatepost campaign pause {campaign.reference}")
    return ExitCode.INTERRUPTED
