"""The screens of a watched campaign that the documentation shows. `make screens` writes them into the pages, and a test compares them.

Run: python tests/support/campaign_screens.py
"""

from __future__ import annotations

import re
import sys
from datetime import timedelta
from io import BytesIO, StringIO, TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rich.console import Console

sys.path.insert(0, str(Path(__file__).parents[1]))

from gatepost_core.campaigns.hours import SendingHours
from gatepost_core.campaigns.model import Campaign, Options, Pause, PauseReason, Status
from gatepost_operations.cli.campaign.screen import screen_of
from gatepost_operations.planning.campaign_events import EventLog
from gatepost_operations.planning.tenant_quota import Bucket, TenantQuota
from gatepost_operations.planning.watch import snapshot_of
from support.campaign_views import NOW, campaign_with, view_of
from support.checkout import CHECKOUT

if TYPE_CHECKING:
    from collections.abc import Callable

    from gatepost_operations.planning.observer import CampaignView

PAGE: Final = CHECKOUT / "docs" / "how-to" / "watch-a-campaign.md"
PICTURE: Final = CHECKOUT / "docs" / "campaign.svg"
COLUMNS: Final = 80
_PLACE: Final = re.compile(r"(<!-- screen: (?P<name>[a-z-]+) -->\n```text\n).*?(```)", re.DOTALL)
_BERLIN: Final = Options(tenant="default", hours=SendingHours.parse("08:00-20:00", "Europe/Berlin"))
_BUCKET: Final = Bucket(limit=100, level=28, reserve=20, available_rate=52, refill_rate=100, foreign_rate=48)
QUOTA: Final = TenantQuota(tenant="default", endpoint="passwordless/start", bucket=_BUCKET)


def _campaign(accepted: int, status: Status = Status.RUNNING, *, in_flight: int = 31, **given: object) -> Campaign:
    counts = {"accepted": accepted, "rejected": 12, "unknown": 3, "in_flight": in_flight}
    fields = {"options": _BERLIN, "started_at": NOW - timedelta(seconds=240), "rate": 52.0, **counts, **given}
    return campaign_with(status, queued=20_000 - sum(counts.values()), **fields)


def worker_gone() -> CampaignView:
    """One of two bulk workers is gone, and the other continues."""
    log = EventLog()
    log.look(snapshot_of(_campaign(11_000), NOW))
    log.look_at_workers(NOW, {"one", "two"})
    log.look(snapshot_of(_campaign(11_300), NOW + timedelta(seconds=100), 6.0))
    for second in (104, 105, 106):
        log.look_at_workers(NOW + timedelta(seconds=second), {"one"})
    log.look(snapshot_of(_campaign(11_500), NOW + timedelta(seconds=108)))
    return view_of(_campaign(12_400), after_s=125, quota=QUOTA, workers=log.workers, events=log.events)


def connection_lost() -> CampaignView:
    """Redis does not answer."""
    log = EventLog()
    log.look(snapshot_of(_campaign(12_400), NOW))
    log.lose(NOW + timedelta(seconds=125))
    failure = "Redis did not answer (ConnectionError). Nothing is sent."
    return view_of(_campaign(12_400), after_s=137, events=log.events, lost_for_s=12.0, failure=failure)


def paused_by_hand() -> CampaignView:
    """An operator paused it."""
    log = EventLog()
    log.look(snapshot_of(_campaign(12_400), NOW))
    at = NOW + timedelta(seconds=60)
    paused = _campaign(12_431, Status.PAUSED, pause=Pause(PauseReason.BY_OPERATOR), updated_at=at, in_flight=0)
    log.look(snapshot_of(paused, at))
    return view_of(paused, after_s=137, quota=QUOTA, workers=2, events=log.events)


SCREENS: Final[dict[str, Callable[[], CampaignView]]] = {
    "worker-gone": worker_gone,
    "connection-lost": connection_lost,
    "paused": paused_by_hand,
}


def text_of(view: CampaignView, columns: int = COLUMNS, *, encoding: str = "utf-8") -> str:
    """Return a screen as plain text, without spaces at the ends of lines."""
    written = BytesIO()
    stream = TextIOWrapper(written, encoding)
    Console(file=stream, width=columns, markup=False, emoji=False, highlight=False).print(screen_of(view))
    stream.flush()
    return "".join(f"{line.rstrip()}\n" for line in written.getvalue().decode(encoding).splitlines())


def page_with_screens(page: str) -> str:
    """Return a page with its screens as they are drawn now."""
    return _PLACE.sub(lambda place: f"{place[1]}{text_of(SCREENS[place['name']]())}{place[3]}", page)


def picture() -> str:
    """Return the SVG of the first screen, without fonts from other servers."""
    console = Console(record=True, file=StringIO(), width=COLUMNS, force_terminal=True, color_system="truecolor")
    console.print("[bold]$[/bold] gatepost campaign watch spring")
    console.print(screen_of(worker_gone()))
    drawn = console.export_svg(title="gatepost", unique_id="campaign")
    return re.sub(r"\s*@font-face \{.*?\}\n", "\n", drawn, flags=re.DOTALL)


def main() -> None:
    """Write the screens into the page, and the picture."""
    PAGE.write_text(page_with_screens(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    PICTURE.write_text(picture(), encoding="utf-8")


if __name__ == "__main__":
    main()
