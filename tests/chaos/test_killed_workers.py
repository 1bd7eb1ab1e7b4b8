"""A worker is killed at every point of an attempt: each operation ends once, and no second message is sent."""

from __future__ import annotations

import signal
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr

from gatepost import Producer, State
from gatepost import errors as e
from gatepost_core.campaigns.row import Row
from gatepost_core.kinds import Channel
from gatepost_core.reasons import Reason
from gatepost_simulator.control import ControlError
from support.chaos_accounts import account_of_campaign, account_of_logins, account_of_sends, exchanges
from support.chaos_stack import fault

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.chaos_stack import ChaosStack

ROWS = 5
THE_WRITE = "after write"


@dataclass(frozen=True)
class Case:
    """A point where a worker dies with a send, a login and a batch under way, and their expected states.

    Attributes:
        single: the point at which the send and the login are.
        state: how both end.
        sent: how many messages, and how many exchanges, there are in the end.
        batch: the point at which the batch is.
        rows_unknown: whether rows of the batch end as `unknown`; None: those, if any, that were under way or that the step began.
        rows_sent: whether some of those were sent.
        long: whether it is left to `make chaos`.
    """

    single: str
    state: State
    sent: int
    batch: str
    rows_unknown: bool | None = False
    rows_sent: bool = False
    long: bool = False

    @property
    def name(self) -> str:
        return self.single.replace(" ", "-")

    def address(self, role: str) -> str:
        return f"{role}-{self.name}@example.com"


CASES = (
    Case("before begin", State.ACCEPTED, 1, "before claim"),
    Case("amid begin", State.UNKNOWN, 0, "after claim", long=True),
    Case("after begin", State.UNKNOWN, 0, "after begin-rows", rows_unknown=True),
    Case(THE_WRITE, State.UNKNOWN, 1, THE_WRITE, rows_unknown=True, rows_sent=True),
    Case("before settle", State.UNKNOWN, 1, "before settle-rows", rows_unknown=True, rows_sent=True),
    Case("amid settle", State.ACCEPTED, 1, "amid settle-rows", rows_unknown=None, long=True),
    Case("after settle", State.ACCEPTED, 1, "after settle-rows", rows_unknown=None),
    Case("before ack", State.ACCEPTED, 1, "before release", long=True),
    Case("before ready", State.ACCEPTED, 1, "after release", long=True),
)


IN_SHORT = tuple(case for case in CASES if not case.long)
THE_REST = tuple(case for case in CASES if case.long)


@dataclass(frozen=True)
class Victims:
    """The worker's operations, by id."""

    send: str
    login: str
    campaign: str


@pytest.mark.parametrize(
    "cases", [pytest.param(IN_SHORT, id="short"), pytest.param(THE_REST, id="the-rest", marks=pytest.mark.chaos_long)]
)
def test_work_of_a_killed_worker_ends_once(
    ward: ChaosStack, cases: tuple[Case, ...], subtests: pytest.Subtests, record: Callable[..., None]
) -> None:
    """Before `begin` another worker carries it out, after `settle` it stays settled; in between no worker repeats it.

    One worker after the other is killed with its hands full; then the sound one and the reconciler take over.
    """
    # The same people as over the other broker.
    ward.simulator.control.reset()
    with ward.producer() as producer:
        for handle in [producer.send_email(case.address("login")) for case in cases]:
            handle.result(120)
        found = [(case, _strike(ward, case)) for case in cases]
        ward.until_swept(lambda: _all_ended(producer, [victims for _, victims in found]), "all of it has ended")
        for case, victims in found:
            with subtests.test(case.single, of="send"):
                look_at_the_send(ward, producer, case, victims, record)
            with subtests.test(case.single, of="login"):
                look_at_the_login(ward, producer, case, victims, record)
            with subtests.test(case.batch, of="campaign"):
                look_at_the_campaign(ward, producer, case, victims, record)


def _all_ended(producer: Producer, found: list[Victims]) -> bool:
    singles = [producer.handle(one).state() for victims in found for one in (victims.send, victims.login)]
    campaigns = [producer.campaigns.status(victims.campaign) for victims in found]
    return all(state.is_terminal for state in singles) and not any(campaign.open for campaign in campaigns)


def _strike(ward: ChaosStack, case: Case) -> Victims:
    # So that the sound worker does not take these messages meanwhile.
    broker = ward.broker_apart()
    points = [] if case.single == THE_WRITE else [fault("kill", case.single, case.single, case.batch)]
    # Long enough that the call under way does not end by itself before the kill.
    patient = {} if points else dict.fromkeys(("GATEPOST_EMAIL_DEADLINE", "GATEPOST_LOGIN_DEADLINE"), "6")
    worker = ward.struck(*points, GATEPOST_BROKER_URL=broker, **patient)
    if not points:
        _hold_answers(ward, case)
    with Producer(ward.settings.model_copy(update={"broker_url": SecretStr(broker)})) as producer:
        code = ward.simulator.control.latest_code(case.address("login"))
        victims = Victims(
            send=producer.send_email(case.address("send")).operation_id,
            login=producer.login_with_email(case.address("login"), code, scope="openid").reference,
            campaign=_campaign(producer, case),
        )
    if not points:
        ward.until(lambda: all(_written(ward, case)), "all three requests are written", worker)
        worker.kill()
    assert worker.wait(120) == -signal.SIGKILL, worker.output()
    return victims


def _hold_answers(ward: ChaosStack, case: Case) -> None:
    for role in ("send", "login", "row-0"):
        ward.simulator.control.script_fault(recipient=case.address(role), when="after", delay_s=8)


def _written(ward: ChaosStack, case: Case) -> list[bool]:
    control = ward.simulator.control
    try:
        control.latest_code(case.address("login"))
        spent = False
    except ControlError:
        spent = True
    return [spent, control.count(case.address("send")) == 1, control.count(case.address("row-0")) == 1]


def _campaign(producer: Producer, case: Case) -> str:
    campaigns = producer.campaigns
    campaign_id = campaigns.create(case.name)
    campaigns.add(
        campaign_id, [Row(number + 1, Channel.EMAIL, case.address(f"row-{number}")) for number in range(ROWS)]
    )
    campaigns.start(campaign_id)
    return campaign_id


def look_at_the_send(
    ward: ChaosStack, producer: Producer, case: Case, victims: Victims, record: Callable[..., None]
) -> None:
    """Before `begin` it is carried out by another worker, after `settle` it stays settled; in between no worker sends again."""
    handle = producer.handle(victims.send)
    with ward.redis() as client:
        account = account_of_sends(client, ward.simulator.control, {case.address("send"): handle.operation_id})
    record(f"worker killed {case.single}: send", account)

    outcome = handle.outcome()
    assert (outcome.state, ward.simulator.control.count(case.address("send"))) == (case.state, case.sent)
    assert case.state is State.ACCEPTED or outcome.reason is Reason.WORKER_LOST
    account.assert_holds()


def look_at_the_login(
    ward: ChaosStack, producer: Producer, case: Case, victims: Victims, record: Callable[..., None]
) -> None:
    """The tokens of one that was settled can be redeemed; one that was not says `unknown`, never a wrong code."""
    handle = producer.handle(victims.login)
    control = ward.simulator.control
    ward.until(lambda: exchanges(control)[case.address("login")] == case.sent, "the exchange is in the log")
    with ward.redis() as client:
        account = account_of_logins(client, control, {case.address("login"): handle.operation_id})
    record(f"worker killed {case.single}: login", account)

    assert handle.state() is case.state
    account.assert_holds()
    if case.state is State.ACCEPTED:
        assert handle.redeem(1).id_token is not None
    else:
        with pytest.raises(e.OutcomeUnknown):
            handle.redeem(1)


def look_at_the_campaign(
    ward: ChaosStack, producer: Producer, case: Case, victims: Victims, record: Callable[..., None]
) -> None:
    """Begun rows that were not settled are `unknown`; all others in the batch get the message from another worker."""
    control = ward.simulator.control
    campaign_id = victims.campaign
    account = account_of_campaign(producer.campaigns, control, campaign_id)
    record(f"worker killed {case.batch}: campaign", account)

    unknown = [report.row.recipient for report in producer.campaigns.export(campaign_id, {State.UNKNOWN})]
    assert set(account.states) <= {State.ACCEPTED, State.UNKNOWN}
    assert case.rows_unknown in {None, bool(unknown)}
    # A batch makes its calls at once, so some may not have reached the server when the worker died.
    sent = set(control.counts_of(unknown).values())
    assert sent <= ({0} if case.rows_unknown is True and not case.rows_sent else {0, 1})
    assert not case.rows_sent or 1 in sent
    account.assert_holds()
