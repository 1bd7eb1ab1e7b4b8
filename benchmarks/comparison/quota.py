"""The use of a quota over time: one campaign beside other users of the tenant, by the tenant's count."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

sys.path.append(str(Path(__file__).parents[2] / "tests"))

# The rig and its stub belong to the tests, which are no package. The stub shares no code with Gatepost.
from outside.pacing_rig import PacingRig
from outside.tenant import Scenario, sine

QUOTA_PER_S: Final = 100


@dataclass(frozen=True)
class QuotaRun:
    """One campaign, second by second.

    Attributes:
        ours: requests of the campaign that the tenant granted.
        others: requests of other users that it granted.
        share_used: the share of the rest that the campaign used, once it had settled.
        share_429: the share of our requests that were refused.
        share_blamed: the share of the others' requests that were refused because of us.
    """

    ours: list[int]
    others: list[int]
    share_used: float
    share_429: float
    share_blamed: float


def measure(people: int) -> QuotaRun:
    """Run a campaign while other users take 20 to 80 of 100 requests a second."""
    scenario = Scenario(foreign=sine(20, 80, period=40))
    with PacingRig(scenario) as rig:
        outcome = rig.measure(people, settled_by=min(10, people // 200))
        seconds = rig.stub.seconds()
    return QuotaRun(
        ours=[second.ours_granted for second in seconds],
        others=[second.foreign_granted for second in seconds],
        share_used=outcome.total.share_used,
        share_429=outcome.whole.share_429,
        share_blamed=outcome.whole.share_blamed,
    )
