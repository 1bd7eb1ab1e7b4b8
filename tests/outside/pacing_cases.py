"""The conditions under which a campaign must use the quota that others leave, and the bounds."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from outside.pacing_rig import SETTLED_BY_S
from outside.tenant import Scenario, bimodal, lognormal, sine, steps, uniform

if TYPE_CHECKING:
    from outside.pacing_rig import Outcome


@dataclass(frozen=True, kw_only=True)
class Case:
    """One campaign against one tenant.

    Attributes:
        name: as the table shows it.
        scenario: how the tenant behaves.
        people: how many recipients.
        options: the campaign's.
        settled_by: the second from which on the share is counted.
        least_used: the smallest allowed share of the quota that others leave.
        most_429: the share of our requests that may find no token.
        most_blamed: the share of the others' requests that may find none because of us.
    """

    name: str
    scenario: Scenario
    people: int = 6000
    options: dict[str, Any] = field(default_factory=dict)
    settled_by: int = SETTLED_BY_S
    least_used: float = 0.97
    most_429: float = 0.001
    most_blamed: float = 0.02

    def missed(self, outcome: Outcome) -> list[str]:
        """Return which bounds were missed, in words."""
        used, own, theirs = outcome.total.share_used, outcome.whole.share_429, outcome.whole.share_blamed
        checks = {
            f"used {used:.1%}, at least {self.least_used:.0%}": used >= self.least_used,
            f"our 429s {own:.2%}, at most {self.most_429:.1%}": own <= self.most_429,
            f"others' 429s {theirs:.2%}, at most {self.most_blamed:.1%}": theirs <= self.most_blamed,
        }
        return [text for text, holds in checks.items() if not holds]


# This share of refusals is near the one that pauses a campaign.
_NEVER_PAUSE: Final = {"pause_above_error_share": None}

CASES: Final = (
    Case(name="answers take 115 ms", scenario=Scenario()),
    Case(name="30-200 ms, evenly", scenario=Scenario(latency=uniform(0.03, 0.2))),
    Case(name="80 ms, one in a hundred 1.5 s", scenario=Scenario(latency=lognormal(0.08, 1.5))),
    Case(name="30 ms, one in ten 3 s", scenario=Scenario(latency=bimodal(0.03, 3.0, 0.1))),
    Case(name="2 % of recipients refused in 1 ms", scenario=Scenario(refused_share=0.02)),
    Case(name="20 % of recipients refused in 1 ms", scenario=Scenario(refused_share=0.2), options=_NEVER_PAUSE),
    Case(name="1 % of connections closed at once", scenario=Scenario(closed_connections=0.01)),
    Case(name="1 % of requests never answered, closed", scenario=Scenario(closed_requests=0.01)),
    Case(name="others take 20-80 %, to and fro in 40 s", scenario=Scenario(foreign=sine(20, 80, period=40))),
    Case(
        name="others jump from 50 to 100 % for 20 s",
        scenario=Scenario(foreign=steps((0, 50), (20, 100), (40, 0))),
        people=3500,
        least_used=0.85,
    ),
    Case(
        name="0.5-3 s, 300 people at 25/s",
        scenario=Scenario(limit=25, refill=25.0, latency=uniform(0.5, 3.0)),
        people=300,
        settled_by=5,
    ),
)
