"""Every fault that the simulator has, mixed at random: ledger and outbox are compared one by one."""

from __future__ import annotations

from collections import Counter
from random import Random
from typing import TYPE_CHECKING

import pytest

from gatepost import CampaignOptions, State
from gatepost_core.campaigns.row import Row
from gatepost_core.kinds import Channel
from gatepost_operations.local.embedded_valkey import EmbeddedValkey
from support.chaos_accounts import account_of_campaign, account_of_logins, account_of_sends
from support.chaos_stack import ALL_QUEUES, ChaosStack
from support.chaos_upstream import Trouble

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from gatepost import Producer
    from gatepost_core.kinds import Kind
    from gatepost_core.ledger import Ledger
    from gatepost_simulator.control import ControlClient
    from gatepost_simulator.server import SimulatorServer

LONG = pytest.mark.chaos_long
SIZES = [pytest.param(600, 1, id="600"), pytest.param(20_000, 2, id="20000", marks=LONG)]


@pytest.fixture
def stack(tmp_path: Path, simulator_server: SimulatorServer) -> Iterator[ChaosStack]:
    """A separate stack, so that all of the ledger's counts are the test's."""
    simulator_server.control.reset()
    with EmbeddedValkey(tmp_path / "valkey") as valkey, ChaosStack(valkey, simulator_server, tmp_path) as running:
        running.environment["GATEPOST_CONCURRENCY"] = "32"
        running.worker(ALL_QUEUES)
        yield running


@pytest.mark.parametrize(("operations", "seed"), SIZES)
def test_accepted_means_sent_and_sent_means_accepted_or_unknown(
    stack: ChaosStack, operations: int, seed: int, record: Callable[..., None]
) -> None:
    """Half single sends and logins, half a campaign. Never two messages, but for who chose to resend; and all sums agree."""
    trouble = Trouble(Random(seed), hung=0.02, deferred=min(0.01, 5 / operations))  # noqa: S311 - a seed, no secret
    control = stack.simulator.control
    with stack.producer() as producer:
        rows_of = [trouble.of_a_row() for _ in range(operations // 2)]
        campaign_id = _campaign(producer, rows_of)
        logins = _logins(producer, control, [trouble.of_a_login() for _ in range(operations // 10)])
        holding = _sends(producer, [trouble.of_a_send() for _ in range(operations * 3 // 10)])
        resending = _sends(producer, [trouble.of_a_send() for _ in range(operations // 10)], on_unknown="resend")
        patience = 60 + operations / 20
        stack.until_swept(lambda: _open(producer.ledger) == 0, "every operation has ended", timeout=patience)
        stack.until_swept(lambda: not producer.campaigns.status(campaign_id).open, "the campaign too", timeout=patience)

        rows = account_of_campaign(producer.campaigns, control, campaign_id)
        counts = producer.ledger.counts()
    with stack.redis() as client:
        held = account_of_sends(client, control, holding)
        resent = account_of_sends(client, control, resending)
        logged_in = account_of_logins(client, control, logins)
    for kind, account, names in (
        ("sends", held, holding),
        ("sends that may be resent", resent, resending),
        ("logins", logged_in, logins),
        ("a campaign", rows, rows_of),
    ):
        record(f"upstream faults at random: {kind}", account, injected=sum("+" in name for name in names))
        account.assert_holds(resend=account is resent)

    singles = held + resent + logged_in
    assert _by_state(counts) == singles.states + Counter({State.ACCEPTED: len(logins)})
    assert control.counts()["total"] == held.sent + resent.sent + rows.sent + len(logins)
    assert control.stats()["tokens_issued"] >= logged_in.states[State.ACCEPTED]
    assert len(set(singles.states) | set(rows.states)) >= 3


def _campaign(producer: Producer, recipients: list[str]) -> str:
    campaigns = producer.campaigns
    campaign_id = campaigns.create("trouble", CampaignOptions(pause_after_errors=None, pause_above_error_share=None))
    campaigns.add(campaign_id, [Row(line, Channel.EMAIL, recipient) for line, recipient in enumerate(recipients, 1)])
    campaigns.start(campaign_id)
    return campaign_id


def _sends(producer: Producer, recipients: list[str], **options: str) -> dict[str, str]:
    return {recipient: producer.send_email(recipient, **options).operation_id for recipient in recipients}


def _logins(producer: Producer, control: ControlClient, recipients: list[str]) -> dict[str, str]:
    """Send everybody a code, and hand it to the background."""
    for handle in [producer.send_email(recipient) for recipient in recipients]:
        handle.result(120)
    codes = {recipient: control.latest_code(recipient) for recipient in recipients}
    return {
        recipient: producer.login_with_email(recipient, code, scope="openid").operation_id
        for recipient, code in codes.items()
    }


def _open(ledger: Ledger) -> int:
    return sum(number for (_, state), number in ledger.counts().items() if not state.is_terminal)


def _by_state(counts: dict[tuple[Kind, State], int]) -> Counter[State]:
    states: Counter[State] = Counter()
    for (_, state), number in counts.items():
        states[state] += number
    return states
