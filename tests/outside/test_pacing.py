"""Real workers against an independent tenant: a campaign uses the quota that others leave. `make pacing` has more cases, at full length."""

from __future__ import annotations

import pytest

from outside.pacing_rig import PacingRig
from outside.tenant import Scenario, sine, uniform

# A quota that is slow enough for a busy machine, and answers that are slow enough to need a dozen calls at once.
TENANT = {"limit": 40, "refill": 40.0}


@pytest.mark.slow
@pytest.mark.parametrize(
    "scenario",
    [
        Scenario(**TENANT, latency=uniform(0.06, 0.5), refused_share=0.1),
        Scenario(**TENANT, latency=uniform(0.06, 0.5), closed_requests=0.02, foreign=sine(5, 25, period=10)),
    ],
    ids=["some are refused at once", "others come and go, connections are closed"],
)
def test_a_campaign_uses_what_others_leave(scenario: Scenario) -> None:
    """At any latency, most of the quota is used, also on a busy machine, and other callers meet no 429 because of the campaign."""
    with PacingRig(scenario) as rig:
        outcome = rig.measure(450 if scenario.foreign[0] == "sine" else 700, settled_by=6)

    assert outcome.total.seconds >= 5
    # A window that follows latencies used a third to a half; `make pacing` has the exact bounds.
    assert outcome.total.share_used > 0.75
    assert outcome.whole.ours_429 <= 1
    assert outcome.whole.share_blamed < 0.02
