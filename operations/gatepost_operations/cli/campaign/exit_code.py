"""The exit code of a campaign's status."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gatepost_core.blocks import BlockKind
from gatepost_core.campaigns.model import PauseReason, Status
from gatepost_core.errors import failure_of
from gatepost_core.states import FAILED_STATES, State
from gatepost_operations.cli.exit_codes import ExitCode, exit_code_of_error

if TYPE_CHECKING:
    from gatepost_core.campaigns.model import Campaign

_NOT_SENT: Final = (*FAILED_STATES, State.CANCELLED, State.UNKNOWN)


def exit_code_of_campaign(campaign: Campaign) -> ExitCode:
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
