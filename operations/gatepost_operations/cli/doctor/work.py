"""The checks of `gatepost doctor` on open work: its Auth0 application, and the reasons why workers cannot carry it out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gatepost_core.blocks import ACCEPT_OPERATIONS, BlockKind
from gatepost_core.campaigns.model import SHORT_ID
from gatepost_operations.cli.doctor.checks import Check, Status

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gatepost_core.blocks import Block
    from gatepost_core.campaigns.model import Campaign
    from gatepost_operations.maintenance.tenants import TenantUse

_MOST_NAMED: Final = 5


def judge_tenants(uses: Sequence[TenantUse]) -> Iterator[Check]:
    """Judge whether open work belongs to the Auth0 applications of this configuration."""
    for use in uses:
        name = f"{use.name}: application"
        accept = f"gatepost tenants accept {use.name}"
        others = {one: count for one, count in use.open.items() if one is not None and one != use.own}
        if use.own is None:
            if use.open:
                found = f"{sum(use.open.values()):,} open operations, but the tenant is not configured here"
                advice = (
                    f"Start workers with a tenant named {use.name}; otherwise the operations expire at their deadline."
                )
                yield Check(name, Status.FAILED, found, advice, configuration=True)
        elif use.differs:
            found = f"registered is {use.registered}, configured is {use.own}"
            advice = f"Give each environment a Redis database for itself. If it was changed on purpose: {accept}"
            yield Check(name, Status.FAILED, found, advice, configuration=True)
        elif others:
            found = f"{sum(others.values()):,} open operations are for {', '.join(map(str, others))}"
            earlier = next(iter(others)).stored
            advice = f"Workers with this configuration return them to the queue. If it was changed on purpose: {accept} --from {earlier}"
            yield Check(name, Status.FAILED, found, advice, configuration=True)
        else:
            yield Check(name, Status.OK, str(use.own))


def judge_operations(blocks: Sequence[tuple[str, Block]]) -> Check:
    """Judge the open operations that workers returned to the queue.

    Args:
        blocks: their ids, each with the reason.
    """
    if not blocks:
        return Check("operations", Status.OK, "none blocked")
    ids = ", ".join(operation_id for operation_id, _ in blocks[:_MOST_NAMED])
    found = f"{len(blocks):,} blocked, such as {ids}"
    sentences = dict.fromkeys(block.sentence(ACCEPT_OPERATIONS) for _, block in blocks)
    return Check("operations", Status.FAILED, found, " ".join(sentences), configuration=True)


def judge_campaigns(campaigns: Sequence[Campaign]) -> Iterator[Check]:
    """Judge the campaigns that have started and not ended."""
    wrong = [one for one in campaigns if not one.adds_up]
    for one in wrong[:_MOST_NAMED]:
        advice = f"Pause it, then: gatepost campaign recount {one.reference}"
        yield Check(f"counts of {one.name}", Status.FAILED, f"do not add up ({one.campaign_id[:SHORT_ID]})", advice)
    blocked = [one for one in campaigns if one.blocks]
    for one in blocked[:_MOST_NAMED]:
        advice = " ".join(block.sentence(one.accept_command) for block in one.blocks)
        configuration = any(block.kind is not BlockKind.DAMAGED for block in one.blocks)
        yield Check(
            f"campaign {one.name}", Status.FAILED, f"blocked ({one.campaign_id[:SHORT_ID]})", advice, configuration
        )
    if len(blocked) > _MOST_NAMED:
        yield Check(
            "campaigns",
            Status.FAILED,
            f"{len(blocked) - _MOST_NAMED:,} more are blocked",
            "See: gatepost campaign list",
        )
    if not blocked:
        yield Check("campaigns", Status.OK, f"{len(campaigns):,} under way")
