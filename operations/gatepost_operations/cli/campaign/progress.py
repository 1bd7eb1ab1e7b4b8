"""The progress of a campaign that is watched, as JSON: one object a line."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from gatepost_operations.cli.campaign.next_steps import next_steps
from gatepost_operations.cli.campaign.screen import text_display
from gatepost_operations.cli.output import write_json
from gatepost_operations.planning.view_text import event_text, timezone_of
from gatepost_operations.planning.watch import finish_at

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gatepost_core.campaigns.model import Campaign
    from gatepost_operations.cli.campaign.screen import Display
    from gatepost_operations.cli.exit_codes import ExitCode
    from gatepost_operations.planning.campaign_events import CampaignEvent
    from gatepost_operations.planning.observer import CampaignView


@contextmanager
def campaign_display(*, as_json: bool, every_s: float) -> Iterator[Display]:
    """Give JSON when asked, a screen when standard error is a terminal, lines otherwise."""
    if as_json:
        yield Events()
        return
    with text_display(every_s) as display:
        yield display


class Events:
    """A JSON object a line: `progress` when something has changed, `notice` for what happened, and one `result` at the end."""

    every_s = 1.0
    patience_s = 600.0

    def __init__(self) -> None:
        self._before: tuple[Any, ...] | None = None
        self._noticed: set[CampaignEvent] = set()

    def event(self, kind: str, document: dict[str, Any]) -> None:
        """Write an event of another kind."""
        write_json({"event": kind, **document})

    def show(self, view: CampaignView) -> None:
        """Write the progress unless nothing has changed, and the new notices."""
        if not view.is_lost:
            self._progress(view)
        for happened in view.events:
            if happened not in self._noticed:
                self._notice(happened, view)
        self._noticed = set(view.events)

    def result(self, campaign: Campaign, code: ExitCode) -> None:
        """Write the last event."""
        self.event("result", campaign.as_json() | {"exit_code": int(code)})

    def _notice(self, happened: CampaignEvent, view: CampaignView) -> None:
        text = event_text(happened, timezone_of(view.snapshot.campaign))
        notice = {"kind": happened.kind.value, "at": happened.at.isoformat(), "text": text}
        self.event("notice", {"campaign_id": view.snapshot.campaign.campaign_id, **notice})

    def _progress(self, view: CampaignView) -> None:
        snapshot, quota = view.snapshot, view.quota
        note = " ".join(next_steps(view)) or None
        state = (snapshot.activity, snapshot.campaign.status, tuple(snapshot.campaign.counts.values()), note)
        if state == self._before:
            return
        self._before = state
        finish = finish_at(snapshot.campaign, view.at, quota)
        more = {
            "finish_at": finish and finish.isoformat(),
            "quota_left": None if quota is None or quota.left is None else int(quota.left),
            "workers": view.workers,
            "note": note,
        }
        self.event("progress", snapshot.as_json() | more)
