"""Who in a file would get a message: without the lists, the guests, and those whom other campaigns reached recently."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from gatepost.campaigns.control import Campaigns
from gatepost.campaigns.sent_before import CHUNK, RecentSends
from gatepost.chunks import in_chunks
from gatepost_core.campaigns.model import SHORT_ID, Campaign
from gatepost_core.identifiers import normalise_recipient
from gatepost_core.states import OPEN_STATES, State
from gatepost_operations.cli.campaign.recipient_file import RecipientFile, RowCounts
from gatepost_operations.cli.exit_codes import Refused
from gatepost_operations.cli.time_input import read_duration
from gatepost_operations.files.duplicates import DuplicateFinder
from gatepost_operations.formatting import counted, day_text
from gatepost_operations.planning.plan import RecentCampaign, RecentlySent

DEFAULT_RECENT = "7d"
AgainOption = Annotated[
    bool, typer.Option("--again", help="Use the file even if another campaign has already used it.")
]


@dataclass(frozen=True, kw_only=True)
class RecentOptions:
    """How other campaigns count that have sent to the same people."""

    skip_recent: Annotated[
        str | None,
        typer.Option(
            "--skip-recent",
            metavar="DURATION",
            help="Leave out recipients that are accepted in other campaigns of the last DURATION, such as 7d.",
        ),
    ] = None
    recent: Annotated[
        str | None,
        typer.Option(
            "--recent",
            metavar="DURATION",
            help="Show how many recipients `--skip-recent DURATION` would leave out [default: 7d].",
        ),
    ] = None

    @property
    def duration(self) -> str:
        """The duration as it was given."""
        return self.skip_recent or self.recent or DEFAULT_RECENT

    @property
    def within(self) -> timedelta:
        """How far back other campaigns count.

        Raises:
            InvalidCommand: the option is not a duration.
        """
        return read_duration(self.duration, "skip-recent" if self.skip_recent else "recent")


@dataclass(frozen=True, slots=True)
class Reach:
    """The recipients of a file who would get no message, by cause, and those whom other campaigns have reached."""

    suppressed: int = 0
    not_guests: int = 0
    reached: int = 0


def count_reach(
    campaigns: Campaigns, file: RecipientFile, guests: Collection[str] | None, recent: RecentSends
) -> Reach:
    """Read a file once, and look each recipient up. Without lists and other campaigns, the file is not read.

    Args:
        campaigns: the campaigns, with the suppression list.
        file: the checked file.
        guests: the guest list; None for no list.
        recent: the other campaigns, which count the recipients whom they have.
    """
    if guests is None and not recent.campaigns.looked_at and not len(campaigns.suppressions):
        return Reach()
    invited = None if guests is None else {normalise_recipient(guest) for guest in guests}
    seen = DuplicateFinder()
    suppressed = not_guests = reached = 0
    rows = file.rows(RowCounts(), f"looking up {file.name}")
    for chunk in in_chunks((row.recipient for row in rows if seen.add(row.recipient)), CHUNK):
        asked = [one for one in chunk if invited is None or one in invited]
        not_guests += len(chunk) - len(asked)
        held = campaigns.suppressions.hold(asked)
        suppressed += sum(held)
        reached += sum(recent.look([one for one, is_held in zip(asked, held, strict=True) if not is_held]))
    return Reach(suppressed, not_guests, reached)


def recently_sent(recent: RecentSends, options: RecentOptions, reached: int) -> RecentlySent | None:
    """Describe what `count_reach` found in other campaigns; None if there is none."""
    found = recent.campaigns
    if not found.looked_at and not found.not_looked_at:
        return None
    rows = [_recent_campaign(one, recent) for one in found.looked_at]
    return RecentlySent(
        within=found.within,
        duration=options.duration,
        recipients=reached,
        left_out=options.skip_recent is not None,
        campaigns=tuple(one for one in rows if one.accepted or one.open or one.unknown),
        looked_at=len(found.looked_at),
        not_looked_at=tuple(map(name_of, found.not_looked_at)),
    )


def _recent_campaign(campaign: Campaign, recent: RecentSends) -> RecentCampaign:
    counts = recent.counts[campaign.campaign_id]
    return RecentCampaign(
        campaign_id=campaign.campaign_id,
        name=name_of(campaign),
        accepted=counts[State.ACCEPTED],
        open=sum(counts[state] for state in OPEN_STATES),
        unknown=counts[State.UNKNOWN],
    )


def name_of(campaign: Campaign) -> str:
    """Return a campaign's name, with the beginning of its id if another one has the same name."""
    return f"{campaign.name} ({campaign.campaign_id[:SHORT_ID]})" if campaign.shares_name else campaign.name


def file_sent_by(campaigns: Campaigns, digest: str | None, tenant: str | None, own_id: str) -> tuple[Campaign, ...]:
    """Return the other campaigns that have sent a file, the newest first; none if this campaign has it too.

    Args:
        campaigns: the campaigns.
        digest: the file's digest; None if it is unknown.
        tenant: the tenant of the campaign.
        own_id: the id of the campaign that the file is for.
    """
    found = () if digest is None else campaigns.sent_before.with_file(digest, tenant=tenant)
    return () if any(one.campaign_id == own_id for one in found) else found


def refuse_sent_file(found: tuple[Campaign, ...], *, again: bool) -> None:
    """Refuse a file that another campaign has sent.

    Raises:
        Refused: there is such a campaign, and the operator did not ask for it.
    """
    if not found or again:
        return
    first = found[0]
    when = day_text(first.started_at or first.created_at, datetime.now(UTC))
    people = counted(first.total, "recipient")
    raise Refused(
        f"The campaign {name_of(first)} has sent this file already (started {when}, {people}). To send it again, add "
        "--again. Nothing was done."
    )
