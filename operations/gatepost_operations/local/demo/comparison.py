"""Compare the results of Gatepost with the records of the simulator. Pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gatepost_core.kinds import Kind
from gatepost_core.reasons import Reason
from gatepost_core.states import State

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gatepost_core.outcomes import Outcome

_MAY_HAVE_ARRIVED = frozenset({State.ACCEPTED, State.UNKNOWN})
# Auth0 issued tokens, and the worker rejected them. The code is used in any case.
_REFUSED_TOKENS = frozenset({Reason.TOKEN_INVALID, Reason.TOKEN_NOT_VERIFIED})


@dataclass(frozen=True, slots=True)
class FinishedOperation:
    """An operation that has ended.

    Attributes:
        recipient: the recipient.
        outcome: the outcome.
        bad_code: whether it was a login with a wrong, used or expired code.
    """

    recipient: str
    outcome: Outcome
    bad_code: bool = False


@dataclass(frozen=True, slots=True)
class Facts:
    """The facts to compare.

    Attributes:
        operations: all operations.
        counts: the ledger's counts.
        outbox: channel and recipient of every message that the simulator sent.
        tokens_issued: the number of token sets that the simulator issued.
        verified: the number of token sets that were redeemed and verified.
        campaign: the final state of each recipient of the campaign.
        campaign_counts: the campaign's counts by state.
        campaign_reasons: the campaign's counts by state and reason.
    """

    operations: Sequence[FinishedOperation]
    counts: Mapping[tuple[Kind, State], int]
    outbox: Sequence[tuple[str, str]]
    tokens_issued: int
    verified: int
    campaign: Mapping[str, State] = field(default_factory=dict)
    campaign_counts: Mapping[State, int] = field(default_factory=dict)
    campaign_reasons: Mapping[tuple[State, Reason], int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Finding:
    """A rule, and whether it holds."""

    rule: str
    holds: bool
    seen: str


def compare(facts: Facts) -> list[Finding]:
    """Check every rule."""
    return [
        _all_terminal(facts),
        *(_sums(facts, kind) for kind in Kind),
        _campaign_sums(facts),
        _accepted_once(facts),
        _nobody_twice(facts),
        _nobody_unaccounted(facts),
        _tokens(facts),
        _verified(facts),
        _bad_codes(facts),
    ]


def _all_terminal(facts: Facts) -> Finding:
    states = [one.outcome.state for one in facts.operations] + list(facts.campaign.values())
    still_open = sum(not state.is_terminal for state in states)
    return Finding("every operation has ended", still_open == 0, f"{still_open:,} of {len(states):,} open")


def _sums(facts: Facts, kind: Kind) -> Finding:
    enqueued = Counter(one.outcome.state for one in facts.operations if one.outcome.kind is kind)
    counted = Counter({state: count for (counted_kind, state), count in facts.counts.items() if counted_kind is kind})
    seen = f"{counted.total():,} of {enqueued.total():,}"
    return Finding(f"{kind}: the states sum up", counted == enqueued, seen)


def _campaign_sums(facts: Facts) -> Finding:
    listed = Counter(facts.campaign.values())
    counted = Counter(facts.campaign_counts)
    return Finding("campaign: the states sum up", counted == listed, f"{counted.total():,} of {listed.total():,}")


def _accepted_once(facts: Facts) -> Finding:
    sent = Counter(facts.outbox)
    accepted = _messages(facts, frozenset({State.ACCEPTED}))
    exact = sum(sent[message] == 1 for message in accepted)
    return Finding("accepted: in the outbox exactly once", exact == len(accepted), f"{exact:,} of {len(accepted):,}")


def _nobody_twice(facts: Facts) -> Finding:
    twice = sum(count > 1 for count in Counter(facts.outbox).values())
    return Finding("recipients of two messages", twice == 0, str(twice))


def _nobody_unaccounted(facts: Facts) -> Finding:
    astray = len(set(facts.outbox) - set(_messages(facts, _MAY_HAVE_ARRIVED)))
    return Finding("in the outbox: accepted or unknown", astray == 0, f"{astray:,} others")


def _tokens(facts: Facts) -> Finding:
    logins = [one.outcome for one in facts.operations if one.outcome.kind.is_login]
    certain = sum(one.state is State.ACCEPTED or one.reason in _REFUSED_TOKENS for one in logins)
    unknown = sum(one.state is State.UNKNOWN for one in logins)
    agree = certain <= facts.tokens_issued <= certain + unknown
    seen = f"{facts.tokens_issued:,} issued, {certain:,} logins, {unknown:,} unknown"
    return Finding("a token set issued is a login", agree, seen)


def _verified(facts: Facts) -> Finding:
    accepted = sum(one.outcome.kind.is_login and one.outcome.state is State.ACCEPTED for one in facts.operations)
    seen = f"{facts.verified:,} of {accepted:,}"
    return Finding("redeemed token sets are genuine", facts.verified == accepted, seen)


def _bad_codes(facts: Facts) -> Finding:
    bad = [one.outcome for one in facts.operations if one.bad_code]
    let_in = sum(outcome.state is State.ACCEPTED for outcome in bad)
    return Finding("wrong, used and expired codes accepted", let_in == 0, f"{let_in:,} of {len(bad):,}")


def _messages(facts: Facts, states: frozenset[State]) -> list[tuple[str, str]]:
    singly = [
        (one.outcome.kind.channel.value, one.recipient)
        for one in facts.operations
        if not one.outcome.kind.is_login and one.outcome.state in states
    ]
    return singly + [("email", recipient) for recipient, state in facts.campaign.items() if state in states]
