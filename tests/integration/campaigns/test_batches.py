"""A batch, row by row, against the simulator: its recipients, the end of each row, and reasons to stop."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from gatepost_core.campaigns.hours import SendingHours
from gatepost_core.campaigns.model import PauseReason, Status
from gatepost_core.campaigns.row import Row
from gatepost_core.commands import OnUnknown
from gatepost_core.kinds import Channel
from gatepost_core.reasons import Reason
from gatepost_core.sealing import Key
from gatepost_core.states import State
from gatepost_worker.bulk.store import Claim, Claimed
from support.campaign_parts import Bench, email, rows

if TYPE_CHECKING:
    from collections.abc import Callable

    from gatepost_simulator.server import SimulatorServer


def tagged(tag: str, count: int = 1) -> list[Row]:
    return [Row(n + 1, Channel.EMAIL, f"person{n}+{tag}@example.com") for n in range(count)]


def hours_from(now: datetime, opens: float, closes: float) -> SendingHours:
    """Hours that open and close a given number of hours after now."""
    first, last = ((now + timedelta(hours=at)).time().replace(second=0, microsecond=0) for at in (opens, closes))
    return SendingHours(first, last, "UTC")


def test_everybody_is_sent_to_once(bench: Bench, simulator: SimulatorServer) -> None:
    """After many batches, the campaign is finished."""
    campaign_id = bench.started(600)
    ended = bench.work()
    campaign = bench.status(campaign_id)

    assert ended == {State.ACCEPTED: 600}
    assert campaign.status is Status.FINISHED
    assert campaign.counts[State.ACCEPTED] == campaign.total == campaign.done == 600
    assert campaign.ended_at is not None
    counts = simulator.control.counts()
    assert (counts["recipients"], counts["total"]) == (600, 600)


def test_rows_carry_their_own_language_address_and_parameters(bench: Bench, simulator: SimulatorServer) -> None:
    """A row's own columns apply to its request, and the campaign's options to rows without them."""
    given = [
        Row(1, Channel.EMAIL, "ana@example.com", "fr", "192.0.2.7", '{"scope":"openid"}'),
        Row(2, Channel.EMAIL, "bob@example.com"),
        Row(3, Channel.SMS, "+4915112345678"),
    ]
    bench.start(given, send="link", language="de", auth_params={"state": "x"})
    assert bench.work() == {State.ACCEPTED: 3}

    sent = {message["recipient"]: message for message in simulator.control.outbox()}
    assert sent["ana@example.com"]["language"] == "fr"
    assert sent["bob@example.com"]["language"] == "de"
    assert sent["+4915112345678"]["channel"] == "sms"


def test_a_refusal_is_final_and_says_why(bench: Bench) -> None:
    """A refused address is rejected with reason, status and time, and the others continue."""
    campaign_id = bench.start([*rows(3), *tagged("bad-email")])
    bench.work()
    campaign = bench.status(campaign_id)
    report = bench.campaigns.show(campaign_id, "person0+bad-email@example.com")

    assert campaign.status is Status.FINISHED
    assert (campaign.counts[State.ACCEPTED], campaign.counts[State.REJECTED]) == (3, 1)
    assert campaign.reasons == {(State.REJECTED, Reason.RECIPIENT_REJECTED): 1}
    assert report is not None
    assert (report.state, report.reason, report.http_status, report.attempts) == (
        State.REJECTED,
        Reason.RECIPIENT_REJECTED,
        400,
        1,
    )
    assert report.at is not None


def test_a_lost_answer_is_unknown_and_not_repeated(bench: Bench, simulator: SimulatorServer) -> None:
    """The message left and the answer did not come: unknown, and one message."""
    campaign_id = bench.start(tagged("drop-after"))
    bench.work()

    assert bench.status(campaign_id).reasons == {(State.UNKNOWN, Reason.ANSWER_LOST): 1}
    assert simulator.control.count("person0+drop-after@example.com") == 1


def test_a_lost_answer_is_sent_again_if_that_was_asked(bench: Bench, simulator: SimulatorServer) -> None:
    """`on_unknown=resend` sends a second message when the first answer is lost once."""
    campaign_id = bench.start(tagged("drop-after-once"), on_unknown=OnUnknown.RESEND)
    bench.work()
    report = bench.campaigns.show(campaign_id, "person0+drop-after-once@example.com")

    assert report is not None
    assert (report.state, report.attempts) == (State.ACCEPTED, 2)
    assert simulator.control.count("person0+drop-after-once@example.com") == 2


def test_a_deferral_costs_no_attempt(bench: Bench, simulator: SimulatorServer) -> None:
    """429 once: the row waits, and is accepted with one attempt."""
    campaign_id = bench.start(tagged("too-many-requests-once"))
    bench.work()
    report = bench.campaigns.show(campaign_id, "person0+too-many-requests-once@example.com")

    assert report is not None
    assert (report.state, report.attempts) == (State.ACCEPTED, 1)
    assert simulator.control.count("person0+too-many-requests-once@example.com") == 1


def test_what_never_reaches_auth0_is_exhausted(make_bench: Callable[..., Bench]) -> None:
    """Nothing listens there: every attempt counts, and the end says that nothing was sent."""
    bench = make_bench(auth0_base_url="http://127.0.0.1:9", max_attempts=2)
    campaign_id = bench.started(1, pause_after_errors=None)
    bench.work()
    report = next(bench.campaigns.export(campaign_id))

    assert (report.state, report.reason, report.attempts) == (State.EXHAUSTED, Reason.NOT_REACHED, 2)


def test_a_refused_credential_pauses_and_loses_nobody(make_bench: Callable[..., Bench], bench: Bench) -> None:
    """Auth0 refuses the secret at the first row: everybody is still queued, and is reached after the repair."""
    broken = make_bench(auth0_client_secret="wrong")
    campaign_id = broken.started(300)
    broken.work()
    paused = broken.status(campaign_id)
    bench.campaigns.resume(campaign_id)
    bench.work()

    assert paused.status is Status.PAUSED
    assert paused.pause is not None
    assert (paused.pause.reason, paused.pause.cause) == (PauseReason.REFUSED, Reason.CLIENT_REJECTED)
    assert "client secret" in paused.pause.advice
    assert paused.counts[State.QUEUED] == 300
    assert bench.status(campaign_id).counts[State.ACCEPTED] == 300


def test_a_run_of_identical_failures_pauses(bench: Bench) -> None:
    """After five identical failures in a row no other row is tried; after a resume the count starts again."""
    campaign_id = bench.start(tagged("500-before", 20), pause_after_errors=5, pause_above_error_share=None)
    bench.work()
    first = bench.status(campaign_id)
    bench.campaigns.resume(campaign_id)
    bench.work()

    assert first.pause is not None
    assert (first.pause.reason, first.pause.cause) == (PauseReason.FAILURES_IN_A_ROW, Reason.SERVER_FAILED)
    assert 5 <= first.counts[State.UNKNOWN] < 5 + 8
    assert bench.status(campaign_id).counts[State.UNKNOWN] >= first.counts[State.UNKNOWN] + 5


def test_a_run_of_answers_that_are_not_auth0s_pauses(bench: Bench) -> None:
    """A captive portal answers each request with success: after five no other row is tried, and none counts as accepted."""
    campaign_id = bench.start(tagged("not-json-200", 20), pause_after_errors=5, pause_above_error_share=None)
    bench.work()
    campaign = bench.status(campaign_id)

    assert campaign.pause is not None
    assert campaign.pause.reason is PauseReason.FAILURES_IN_A_ROW
    assert campaign.pause.cause is Reason.ANSWER_NOT_UNDERSTOOD
    assert 5 <= campaign.counts[State.UNKNOWN] < 5 + 8
    assert campaign.counts[State.ACCEPTED] == 0


def test_a_success_ends_a_run(bench: Bench) -> None:
    """Failures with successes between them are no run."""
    mixed = [row for pair in zip(rows(20), tagged("500-before", 20), strict=True) for row in pair]
    campaign_id = bench.start(mixed, pause_after_errors=6, pause_above_error_share=None)
    bench.work()

    assert bench.status(campaign_id).status is Status.FINISHED


def test_too_large_a_share_of_failures_pauses(bench: Bench) -> None:
    """One in three fails; once a hundred are settled that is more than a quarter."""
    mixed = [row for n in range(100) for row in (*rows(2, 2 * n), tagged("bad-email", n + 1)[n])]
    campaign_id = bench.start(mixed)
    bench.work()
    campaign = bench.status(campaign_id)

    assert campaign.status is Status.PAUSED
    assert campaign.pause is not None
    assert campaign.pause.reason is PauseReason.ERROR_SHARE
    assert 100 <= campaign.done < 120


def test_unknown_outcomes_count_as_failures_in_that_share(bench: Bench) -> None:
    """Every third answer is a server error, so it is not known whether the message went out."""
    mixed = [row for n in range(100) for row in (*rows(2, 2 * n), tagged("500-before", n + 1)[n])]
    campaign_id = bench.start(mixed)
    bench.work()
    campaign = bench.status(campaign_id)

    assert campaign.pause is not None
    assert (campaign.pause.reason, campaign.pause.cause) == (PauseReason.ERROR_SHARE, Reason.SERVER_FAILED)
    assert 100 <= campaign.done < 120


def test_the_guest_list_lets_only_guests_through(bench: Bench, simulator: SimulatorServer) -> None:
    """A rehearsal: the two guests get a message, the others are suppressed with the reason."""
    campaign_id = bench.start(rows(50), guest_list=[email(3), " Person7@Example.com"])
    bench.work()
    campaign = bench.status(campaign_id)

    assert campaign.reasons == {(State.SUPPRESSED, Reason.NOT_ON_GUEST_LIST): 48}
    assert campaign.status is Status.FINISHED
    assert {message["recipient"] for message in simulator.control.outbox()} == {email(3), email(7)}


def test_the_suppression_list_holds_for_every_campaign(bench: Bench, simulator: SimulatorServer) -> None:
    """Who is on it gets nothing; an expired entry has no effect."""
    suppressions = bench.campaigns.suppressions
    suppressions.add(email(1))
    suppressions.import_rows(rows(2, 10))
    suppressions.add(email(5), expires_at=datetime.now(UTC) - timedelta(seconds=1))
    campaign_id = bench.started(20)
    bench.work()

    assert bench.status(campaign_id).reasons == {(State.SUPPRESSED, Reason.ON_SUPPRESSION_LIST): 3}
    assert simulator.control.counts()["recipients"] == 17
    assert simulator.control.count(email(5)) == 1


def test_pause_holds_at_the_next_step_and_resume_goes_on(bench: Bench, simulator: SimulatorServer) -> None:
    """A campaign that is paused while a batch is sent stops within the rows that were begun."""
    campaign_id = bench.started(256)
    as_before = bench.runner.replicated

    def pausing(_key: str, _written: object) -> bool:
        """The check before begun rows leave; an operator pauses at that moment."""
        if simulator.control.counts()["total"] >= 20:
            bench.campaigns.pause(campaign_id)
        return True

    bench.runner.replicated = pausing
    bench.work()
    paused = bench.status(campaign_id)
    bench.runner.replicated = as_before
    bench.campaigns.resume(campaign_id)
    bench.work()

    assert paused.status is Status.PAUSED
    assert 20 <= paused.counts[State.ACCEPTED] < 128
    assert paused.counts[State.IN_FLIGHT] == 0
    assert bench.status(campaign_id).counts[State.ACCEPTED] == 256
    assert simulator.control.counts()["repeated"] == 0


def test_cancel_ends_everybody_who_was_not_sent_to(bench: Bench, simulator: SimulatorServer) -> None:
    """Rows become cancelled at once, batches on the queue are dropped, and the campaign is cancelled."""
    campaign_id = bench.started(1000)
    message = bench.take()
    assert message is not None
    bench.runner.run(campaign_id, message["batch"])
    bench.campaigns.cancel(campaign_id)
    campaign = bench.status(campaign_id)
    bench.work()

    assert campaign.status is Status.CANCELLED
    assert (campaign.counts[State.ACCEPTED], campaign.counts[State.CANCELLED]) == (256, 744)
    assert campaign.reasons == {(State.CANCELLED, Reason.CANCELLED_BY_CALLER): 744}
    assert bench.status(campaign_id) == campaign
    assert simulator.control.counts()["total"] == 256


def test_the_deadline_expires_the_rest(bench: Bench) -> None:
    """After the deadline nothing is sent, and the sweep ends the rows."""
    campaign_id = bench.started(300, deadline=datetime.now(UTC) - timedelta(seconds=1))
    bench.work()
    bench.sweep.run()
    campaign = bench.status(campaign_id)

    assert campaign.status is Status.FINISHED
    assert campaign.reasons == {(State.EXPIRED, Reason.DEADLINE_PASSED): 300}


def test_outside_its_hours_a_campaign_rests(bench: Bench, simulator: SimulatorServer) -> None:
    """Started at night: nothing is published or sent before the hours open."""
    now = datetime.now(UTC)
    hours = hours_from(now, 2, 4)
    campaign_id = bench.started(10, hours=hours)
    campaign = bench.status(campaign_id)

    assert campaign.status is Status.RUNNING
    assert campaign.rests_until == hours.next_opening(now)
    assert bench.messages() == []
    assert simulator.control.counts()["total"] == 0


def test_a_message_twice_is_worked_on_once(bench: Bench, simulator: SimulatorServer) -> None:
    """A doubled message finds the batch leased, or done."""
    campaign_id = bench.started(5)
    claim = Claim(campaign_id, 0, "another worker")
    assert isinstance(bench.store.claim(claim, 60), Claimed)
    assert bench.runner.run(campaign_id, 0) is None
    bench.store.release(claim)

    assert bench.runner.run(campaign_id, 0) == {State.ACCEPTED: 5}
    assert bench.runner.run(campaign_id, 0) is None
    assert simulator.control.counts()["total"] == 5


def test_a_worker_that_is_to_end_hands_the_batch_back(make_bench: Callable[..., Bench]) -> None:
    """Warm shutdown: begun rows are settled, and another worker sends the others."""
    bench = make_bench()
    campaign_id = bench.started(100)
    calls = iter(range(1000))
    bench.runner.stopping = lambda: next(calls) > 2
    message = bench.take()
    assert message is not None
    ended = bench.runner.run(campaign_id, message["batch"])
    campaign = bench.status(campaign_id)
    bench.runner.stopping = lambda: False
    bench.work()

    assert ended is not None
    assert 0 < ended[State.ACCEPTED] < 100
    assert campaign.counts[State.IN_FLIGHT] == 0
    assert bench.status(campaign_id).counts[State.ACCEPTED] == 100


def test_the_ceiling_on_recipients_a_second_holds(bench: Bench) -> None:
    """With a rate of 20 a second a batch of 30 takes more than a second."""
    campaign_id = bench.started(30, rate=20)
    started = datetime.now(UTC)
    bench.work()

    assert (datetime.now(UTC) - started).total_seconds() > 1.2
    assert bench.status(campaign_id).status is Status.FINISHED


def test_a_key_that_is_missing_here_leaves_the_batch_to_others(
    bench: Bench, make_bench: Callable[..., Bench], simulator: SimulatorServer
) -> None:
    """A worker without the sealing key sends nothing and gives the batch back."""
    other = make_bench(sealing_keys=Key.new("other").reveal())
    campaign_id = bench.started(5)
    assert other.runner.run(campaign_id, 0) is None

    campaign = bench.status(campaign_id)
    assert campaign.counts[State.QUEUED] == 5
    assert simulator.control.counts()["total"] == 0


def test_a_captcha_pauses_because_everybody_would_get_it(bench: Bench) -> None:
    """A refusal that does not concern the recipient costs no recipient."""
    campaign_id = bench.start(tagged("captcha", 3))
    bench.work()
    campaign = bench.status(campaign_id)

    assert campaign.pause is not None
    assert campaign.pause.cause is Reason.CAPTCHA_REQUIRED
    assert campaign.counts[State.QUEUED] == 3
