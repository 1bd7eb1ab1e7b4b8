"""The final count: whether what Gatepost says and what the simulator saw agree. Pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gatepost.commands import Kind
from gatepost.states import Reason, State

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gatepost.outcomes import Outcome

_MAY_HAVE_ARRIVED = frozenset({State.ACCEPTED, State.UNKNOWN})
# Auth0 issued tokens and the worker refused them: the code is spent all the same.
_REFUSED_TOKENS = frozenset({Reason.TOKEN_INVALID, Reason.TOKEN_NOT_VERIFIED})
_CHANNELS = {Kind.SEND_EMAIL: "email", Kind.SEND_SMS: "sms"}


@dataclass(frozen=True, slots=True)
class Ended:
    """One operation at its end.

    Attributes:
        recipient: whom it was for.
        outcome: how it ended.
        bad_code: whether it was a login with a wrong, used or expired code.
    """

    recipient: str
    outcome: Outcome
    bad_code: bool = False


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything the count needs.

    Attributes:
        operations: every operation that was enqueued.
        counts: the ledger's own counts.
        outbox: channel and recipient of every message that the simulator sent.
        tokens_issued: how many token sets the simulator issued.
        verified: how many token sets were redeemed and verified.
    """

    operations: Sequence[Ended]
    counts: Mapping[tuple[Kind, State], int]
    outbox: Sequence[tuple[str, str]]
    tokens_issued: int
    verified: int


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that must hold, and whether it does."""

    rule: str
    holds: bool
    seen: str


def audit(facts: Facts) -> list[Finding]:
    """Return every rule with what was seen."""
    return [
        _all_terminal(facts),
        *(_sums(facts, kind) for kind in Kind),
        _accepted_once(facts),
        _nobody_twice(facts),
        _nobody_unaccounted(facts),
        _tokens(facts),
        _verified(facts),
        _bad_codes(facts),
    ]


def _all_terminal(facts: Facts) -> Finding:
    still_open = sum(not one.outcome.state.is_terminal for one in facts.operations)
    return Finding("every operation has ended", still_open == 0, f"{still_open} of {len(facts.operations)} open")


def _sums(facts: Facts, kind: Kind) -> Finding:
    enqueued = Counter(one.outcome.state for one in facts.operations if one.outcome.kind is kind)
    counted = Counter({state: count for (counted_kind, state), count in facts.counts.items() if counted_kind is kind})
    seen = f"{counted.total()} of {enqueued.total()}"
    return Finding(f"{kind}: the states sum up", counted == enqueued, seen)


def _accepted_once(facts: Facts) -> Finding:
    sent = Counter(facts.outbox)
    accepted = [_message_of(one) for one in _sends(facts) if one.outcome.state is State.ACCEPTED]
    exact = sum(sent[message] == 1 for message in accepted)
    return Finding("accepted: in the outbox exactly once", exact == len(accepted), f"{exact} of {len(accepted)}")


def _nobody_twice(facts: Facts) -> Finding:
    twice = sum(count > 1 for count in Counter(facts.outbox).values())
    return Finding("recipients of two messages", twice == 0, str(twice))


def _nobody_unaccounted(facts: Facts) -> Finding:
    expected = {_message_of(one) for one in _sends(facts) if one.outcome.state in _MAY_HAVE_ARRIVED}
    astray = len(set(facts.outbox) - expected)
    return Finding("in the outbox: accepted or unknown", astray == 0, f"{astray} others")


def _tokens(facts: Facts) -> Finding:
    logins = [one.outcome for one in facts.operations if one.outcome.kind.is_login]
    certain = sum(one.state is State.ACCEPTED or one.reason in _REFUSED_TOKENS for one in logins)
    unknown = sum(one.state is State.UNKNOWN for one in logins)
    agree = certain <= facts.tokens_issued <= certain + unknown
    seen = f"{facts.tokens_issued} issued, {certain} logins, {unknown} unknown"
    return Finding("a token set issued is a login", agree, seen)


def _verified(facts: Facts) -> Finding:
    accepted = sum(one.outcome.kind.is_login and one.outcome.state is State.ACCEPTED for one in facts.operations)
    seen = f"{facts.verified} of {accepted}"
    return Finding("redeemed token sets are genuine", facts.verified == accepted, seen)


def _bad_codes(facts: Facts) -> Finding:
    bad = [one.outcome for one in facts.operations if one.bad_code]
    let_in = sum(outcome.state is State.ACCEPTED for outcome in bad)
    return Finding("wrong, used and expired codes accepted", let_in == 0, f"{let_in} of {len(bad)}")


def _sends(facts: Facts) -> list[Ended]:
    return [one for one in facts.operations if not one.outcome.kind.is_login]


def _message_of(send: Ended) -> tuple[str, str]:
    return _CHANNELS[send.outcome.kind], send.recipient
