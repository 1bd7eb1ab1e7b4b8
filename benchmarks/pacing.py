"""Checks that a campaign uses the quota that others leave: `make pacing`, or `python benchmarks/pacing.py [CASE ...]`.

Real worker processes and a real Valkey against a stub of the tenant that shares no code with Gatepost (`tests/outside/`). Every figure is the
tenant's count. A case is named by a part of its name. Ends with 1 when a bound is missed.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "tests"))

# The stub belongs to the tests, which are no package.
from campaign_setup import machine
from outside.pacing_cases import CASES
from outside.pacing_rig import PacingRig
from outside.tenant import Scenario

SECOND_AFTER_S = 12
SECOND_WITHIN_S = 10
RATE = 7.0


def row(name: str, figures: str, missed: list[str]) -> bool:
    """Print a row; return whether all bounds held."""
    print(f"| {name:<40} | {figures:<62} | {'; '.join(missed) or 'ok':<6} |", flush=True)
    return not missed


def campaigns(chosen: list[str]) -> bool:
    """Run one campaign for each case."""
    held = True
    for case in CASES:
        if chosen and not any(part in case.name for part in chosen):
            continue
        with PacingRig(case.scenario) as rig:
            outcome = rig.measure(case.people, settled_by=case.settled_by, **case.options)
        total, whole = outcome.total, outcome.whole
        figures = (
            f"{total.share_used:6.1%} used | {whole.share_429:6.2%} of ours | {whole.share_blamed:6.2%} of theirs "
            f"| {outcome.seconds:5.0f} s"
        )
        held &= row(case.name, figures, case.missed(outcome))
    return held


def second_campaign() -> bool:
    """Start a campaign while another runs, and measure its share of the permits."""
    with PacingRig(Scenario()) as rig:
        first, second = (rig.prepare(6000, domain=domain) for domain in ("first.example", "second.example"))
        rig.stub.run(Scenario())
        rig.campaigns.start(first)
        time.sleep(SECOND_AFTER_S)
        rig.campaigns.start(second)
        time.sleep(2 * SECOND_WITHIN_S)
        after = rig.stub.seconds()[SECOND_AFTER_S + SECOND_WITHIN_S :]
    share = sum(each.by_domain.get("second.example", 0) for each in after) / sum(each.ours_granted for each in after)
    missed = [] if share >= 0.4 else ["at least 40 %"]
    return row("a second campaign, after 10 s", f"{share:6.1%} of the permits", missed)


def own_rate() -> bool:
    """Run a campaign with its own rate for more than a minute."""
    with PacingRig(Scenario()) as rig:
        rig.measure(round(70 * RATE), rate=RATE)
        counts = [each.ours_granted for each in rig.stub.seconds()][5:65]
    rate, most = sum(counts) / len(counts), max(counts)
    missed = [] if abs(rate / RATE - 1) <= 0.02 and most <= RATE + 1 else ["within 2 %, at most one more in a second"]
    return row(f"--rate {RATE:g}, over a minute", f"{rate:6.2f}/s, at most {most} in a second", missed)


def main() -> None:
    """Print the table."""
    chosen = sys.argv[1:]
    print(f"{machine()}\n\n| case | by the tenant's own count | bounds |\n|---|---|---|")
    held = campaigns(chosen)
    if not chosen:
        held = second_campaign() & own_rate() & held
    sys.exit(not held)


if __name__ == "__main__":
    main()
