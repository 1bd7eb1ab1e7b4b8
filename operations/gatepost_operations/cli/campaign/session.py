"""What every verb shares: the campaigns' connection, which campaign is meant, what is asked before, and which exit code an end has."""

from __future__ import annotations

import sys
import uuid
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import typer

from gatepost_core.blocks import BlockKind
from gatepost_core.campaigns.model import CampaignNotFound, PauseReason, Status
from gatepost_core.errors import FieldError, InvalidCommand
from gatepost_core.failures import failure_of
from gatepost_core.safe_text import visible
from gatepost_core.states import State
from gatepost_operations.cli.exits import ExitCode, Refused, exit_code_of_error
from gatepost_operations.cli.session import producing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gatepost.campaigns.control import Campaigns
    from gatepost_core.campaigns.model import Campaign

FAILED_STATES: Final = (State.REJECTED, State.EXHAUSTED, State.EXPIRED)
"""What `failed` stands for: surely nothing was sent, and something else was wanted."""

_LOOKED_THROUGH: Final = 1000
_SHORTEST_PREFIX: Final = 4
_NOT_SENT: Final = (*FAILED_STATES, State.CANCELLED, State.UNKNOWN)


@contextmanager
def campaigning() -> Iterator[Campaigns]:
    """Give the campaigns, configured from the environment and the project's `.env`.

    Raises:
        ConfigurationError: the configuration is incomplete or malformed.
    """
    with producing() as producer:
        yield producer.campaigns


def campaign_named(campaigns: Campaigns, given: str) -> Campaign:
    """Return the campaign that an argument names: by its id, the id's beginning, or its name.

    Raises:
        CampaignNotFound: there is none.
        InvalidCommand: there are several.
    """
    try:
        return campaigns.status(str(uuid.UUID(given)))
    except ValueError:
        pass
    known = campaigns.list(_LOOKED_THROUGH)
    found = [one for one in known if one.name == given]
    if not found and len(given) >= _SHORTEST_PREFIX:
        found = [one for one in known if one.campaign_id.startswith(given.lower())]
    if not found:
        raise CampaignNotFound
    if len(found) > 1:
        ids = ", ".join(one.campaign_id for one in found[:5])
        raise InvalidCommand([FieldError("campaign", f"is the name of several; give one's id: {ids}")])
    return found[0]


def ask(question: str, *, sure: bool, flag: str = "--yes") -> None:
    """Ask on a terminal whether to go on; elsewhere the flag must have said so.

    Raises:
        Refused: the answer is no, or nobody can be asked.
    """
    if sure:
        return
    if not sys.stdin.isatty():
        raise Refused(f"This needs {flag} where nobody can be asked. Nothing was done.")
    if not typer.confirm(visible(question), err=True):
        raise Refused("Nothing was done.")


def exit_code_of(campaign: Campaign) -> ExitCode:
    """Return the exit code that a campaign's status stands for.

    0 while it goes on or when all went well, 3 when it ended otherwise, 4 or 5 when it paused itself, 4 while the configuration of the workers
    keeps them from it, 1 while batches do not open or the counts do not add up.
    """
    if not campaign.adds_up:
        return ExitCode.UNEXPECTED
    match campaign.status:
        case Status.FINISHED | Status.CANCELLED:
            failed = any(campaign.counts[state] for state in _NOT_SENT)
            return ExitCode.NOT_ACCEPTED if failed else ExitCode.DONE
        case Status.RUNNING if campaign.blocks:
            damaged = all(block.kind is BlockKind.DAMAGED for block in campaign.blocks)
            return ExitCode.UNEXPECTED if damaged else ExitCode.CONFIGURATION
        case Status.PAUSED if campaign.pause and campaign.pause.reason is not PauseReason.BY_OPERATOR:
            cause = campaign.pause.cause
            refused = cause and exit_code_of_error(failure_of(campaign.campaign_id, cause)) is ExitCode.CONFIGURATION
            return ExitCode.CONFIGURATION if refused else ExitCode.REFUSED
        case _:
            return ExitCode.DONE
