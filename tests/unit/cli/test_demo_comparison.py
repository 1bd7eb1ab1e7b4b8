"""The demo's final count notices whatever does not agree."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from gatepost_core.kinds import Kind
from gatepost_core.outcomes import Outcome
from gatepost_core.reasons import Reason
from gatepost_core.states import State
from gatepost_operations.local.demo.comparison import Facts, FinishedOperation, compare


def ended(
    kind: Kind, recipient: str, state: State, reason: Reason | None = None, *, bad_code: bool = False
) -> FinishedOperation:
    return FinishedOperation(recipient, Outcome(f"{kind}-{recipient}", kind, state, reason), bad_code)


OPERATIONS = [
    ended(Kind.SEND_EMAIL, "a@example.com", State.ACCEPTED),
    ended(Kind.SEND_EMAIL, "b@example.com", State.UNKNOWN, Reason.WORKER_LOST),
    ended(Kind.SEND_EMAIL, "c@example.com", State.REJECTED, Reason.RECIPIENT_REJECTED),
    ended(Kind.SEND_SMS, "+12025550100", State.ACCEPTED),
    ended(Kind.LOGIN_WITH_EMAIL, "a@example.com", State.ACCEPTED),
    ended(Kind.LOGIN_WITH_SMS, "+12025550100", State.REJECTED, Reason.CODE_REJECTED, bad_code=True),
]


def facts_of(operations: list[FinishedOperation]) -> Facts:
    return Facts(
        operations=operations,
        counts=Counter((one.outcome.kind, one.outcome.state) for one in operations),
        outbox=[("email", "a@example.com"), ("email", "b@example.com"), ("sms", "+12025550100")],
        tokens_issued=1,
        verified=1,
    )


AGREEING = facts_of(OPERATIONS)


def broken(facts: Facts) -> list[str]:
    return [finding.rule for finding in compare(facts) if not finding.holds]


def test_what_agrees_is_found_to_agree() -> None:
    """An unknown send may be in the outbox or not; a rejected one is not."""
    assert broken(AGREEING) == []
    assert broken(replace(AGREEING, outbox=[AGREEING.outbox[0], AGREEING.outbox[2]])) == []


@pytest.mark.parametrize(
    ("facts", "rules"),
    [
        (
            replace(AGREEING, outbox=[*AGREEING.outbox, ("email", "a@example.com")]),
            ["accepted: in the outbox exactly once", "recipients of two messages"],
        ),
        (
            replace(AGREEING, outbox=[*AGREEING.outbox, ("email", "b@example.com")]),
            ["recipients of two messages"],
        ),
        (replace(AGREEING, outbox=AGREEING.outbox[1:]), ["accepted: in the outbox exactly once"]),
        (
            replace(AGREEING, outbox=[*AGREEING.outbox, ("email", "c@example.com")]),
            ["in the outbox: accepted or unknown"],
        ),
        (
            replace(AGREEING, outbox=[*AGREEING.outbox, ("sms", "a@example.com")]),
            ["in the outbox: accepted or unknown"],
        ),
        (replace(AGREEING, tokens_issued=2), ["a token set issued is a login"]),
        (replace(AGREEING, tokens_issued=0), ["a token set issued is a login"]),
        (replace(AGREEING, verified=0), ["redeemed token sets are genuine"]),
        (
            replace(AGREEING, counts={**AGREEING.counts, (Kind.SEND_SMS, State.ACCEPTED): 2}),
            ["send_sms: the states sum up"],
        ),
        (
            replace(AGREEING, counts={**AGREEING.counts, (Kind.LOGIN_WITH_SMS, State.QUEUED): 1}),
            ["login_with_sms: the states sum up"],
        ),
    ],
)
def test_each_disagreement_is_found(facts: Facts, rules: list[str]) -> None:
    """The rule that it breaks is named, and no other."""
    assert broken(facts) == rules


CAMPAIGN = {
    "a+campaign@example.com": State.ACCEPTED,
    "b+campaign@example.com": State.UNKNOWN,
    "c+campaign@example.com": State.REJECTED,
}
IN_BULK = replace(
    AGREEING,
    campaign=CAMPAIGN,
    campaign_counts=Counter(CAMPAIGN.values()),
    outbox=[*AGREEING.outbox, ("email", "a+campaign@example.com")],
)


@pytest.mark.parametrize(
    ("facts", "rules"),
    [
        (IN_BULK, []),
        (replace(IN_BULK, outbox=AGREEING.outbox), ["accepted: in the outbox exactly once"]),
        (
            replace(IN_BULK, outbox=[*IN_BULK.outbox, ("email", "c+campaign@example.com")]),
            ["in the outbox: accepted or unknown"],
        ),
        (
            replace(IN_BULK, outbox=[*IN_BULK.outbox, IN_BULK.outbox[-1]]),
            ["accepted: in the outbox exactly once", "recipients of two messages"],
        ),
        (replace(IN_BULK, campaign_counts={State.ACCEPTED: 3}), ["campaign: the states sum up"]),
        (
            replace(IN_BULK, campaign={**CAMPAIGN, "c+campaign@example.com": State.QUEUED}),
            ["every operation has ended", "campaign: the states sum up"],
        ),
    ],
)
def test_the_campaign_is_counted_too(facts: Facts, rules: list[str]) -> None:
    """By the same rules as the single messages, and by its own sum."""
    assert broken(facts) == rules


def test_an_open_operation_is_found() -> None:
    """Nothing may be left without an end."""
    assert broken(facts_of([*OPERATIONS, ended(Kind.SEND_SMS, "+12025550101", State.QUEUED)])) == [
        "every operation has ended"
    ]


def test_a_bad_code_that_was_accepted_is_found() -> None:
    """A used code that logs in again would be a security hole."""
    let_in = ended(Kind.LOGIN_WITH_SMS, "+12025550100", State.ACCEPTED, bad_code=True)
    facts = replace(facts_of([*OPERATIONS[:-1], let_in]), tokens_issued=2, verified=2)

    assert broken(facts) == ["wrong, used and expired codes accepted"]


def test_a_token_set_the_worker_refused_is_accounted_for() -> None:
    """The simulator issued it, and the login is rejected."""
    refused = ended(Kind.LOGIN_WITH_SMS, "+12025550100", State.REJECTED, Reason.TOKEN_INVALID)
    facts = replace(facts_of([*OPERATIONS[:-1], refused]), tokens_issued=2)

    assert broken(facts) == []
