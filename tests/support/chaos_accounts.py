"""Compares the ledger with the simulator's outbox, one by one, and counts lost, doubled and unknown operations."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gatepost_core.ledger.records import OUTCOME_FIELDS, outcome_of
from gatepost_core.states import State
from support.keys import KEYS

if TYPE_CHECKING:
    from collections.abc import Mapping

    import redis

    from gatepost import Campaigns
    from gatepost_simulator.control import ControlClient

_PAGE = 1000
_TOO_MANY = 429
_MAY_HAVE_LEFT = frozenset({State.ACCEPTED, State.UNKNOWN})


@dataclass
class Account:
    """What became of everything that was asked for.

    Attributes:
        states: how many ended how.
        sent: how many messages left, or exchanges were made.
        lost: neither ended nor there any more, or accepted and never sent.
        doubled: who got more than one.
        false: who got one although the state says that nothing left.
    """

    states: Counter[State] = field(default_factory=Counter)
    sent: int = 0
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    false: list[str] = field(default_factory=list)

    @property
    def total(self) -> int:
        return self.states.total()

    @property
    def unknown(self) -> int:
        return self.states[State.UNKNOWN]

    def take(self, name: str, state: State, sent: int) -> None:
        """Enter one recipient or login."""
        self.states[state] += 1
        self.sent += sent
        if not state.is_terminal or (state is State.ACCEPTED and sent == 0):
            self.lost.append(name)
        if sent > 1:
            self.doubled.append(name)
        if sent and state not in _MAY_HAVE_LEFT:
            self.false.append(name)

    def __add__(self, other: Account) -> Account:
        return Account(
            self.states + other.states,
            self.sent + other.sent,
            self.lost + other.lost,
            self.doubled + other.doubled,
            self.false + other.false,
        )

    def assert_holds(self, *, resend: bool = False) -> None:
        """Nothing is lost, nothing false, and nothing doubled unless the caller chose to resend."""
        assert not self.lost
        assert not self.false
        assert resend or not self.doubled


def states_of(client: redis.Redis, names: Mapping[str, str]) -> dict[str, State]:
    """Read the state of each operation named by its recipient, in a few round trips."""
    found: dict[str, State] = {}
    items = list(names.items())
    for start in range(0, len(items), _PAGE):
        page = items[start : start + _PAGE]
        pipe = client.pipeline(transaction=False)
        for _, operation_id in page:
            pipe.hmget(KEYS.operation(operation_id), OUTCOME_FIELDS)
        for (name, operation_id), values in zip(page, pipe.execute(), strict=True):
            found[name] = outcome_of(operation_id, values).state
    return found


def sent_to(control: ControlClient, recipients: list[str]) -> dict[str, int]:
    """Ask the simulator how many messages each recipient got."""
    sent: dict[str, int] = {}
    for start in range(0, len(recipients), _PAGE):
        sent |= control.counts_of(recipients[start : start + _PAGE])
    return sent


def account_of_sends(client: redis.Redis, control: ControlClient, operations: Mapping[str, str]) -> Account:
    """Compare single sends, by recipient, with the outbox."""
    account = Account()
    sent = sent_to(control, list(operations))
    for recipient, state in states_of(client, operations).items():
        account.take(recipient, state, sent[recipient])
    return account


def account_of_campaign(campaigns: Campaigns, control: ControlClient, campaign_id: str) -> Account:
    """Compare a campaign's recipients with the outbox, and its counts with its recipients."""
    account = Account()
    states = {report.row.recipient: report.state for report in campaigns.export(campaign_id)}
    sent = sent_to(control, list(states))
    for recipient, state in states.items():
        account.take(recipient, state, sent[recipient])
    campaign = campaigns.status(campaign_id)
    assert campaign.total == len(states)
    assert {state: number for state, number in campaign.counts.items() if number} == dict(account.states)
    return account


def exchanges(control: ControlClient) -> Counter[str]:
    """Count the token calls for each recipient that the simulator has answered, but for a 429: that leaves the code as it was."""
    log = control.request_log(path="/oauth/token", limit=100_000)
    return Counter(request["recipient"] for request in log if request["status"] != _TOO_MANY)


def account_of_logins(client: redis.Redis, control: ControlClient, operations: Mapping[str, str]) -> Account:
    """Compare logins, by recipient, with the exchanges that were made. One that was refused was made, too."""
    account = Account()
    made = exchanges(control)
    for recipient, state in states_of(client, operations).items():
        account.take(recipient, state, made[recipient])
    account.false.clear()
    return account
