"""An unexpected error in one row: that row ends in the right state, and the others keep their answers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from gatepost_core.campaigns.batch import seal_rows
from gatepost_core.campaigns.model import PauseReason, Status
from gatepost_core.campaigns.row import Row
from gatepost_core.kinds import Channel
from gatepost_core.reasons import Reason
from gatepost_core.states import State
from support.campaign_parts import email, rows

if TYPE_CHECKING:
    from collections.abc import Collection

    import pytest

    from gatepost_simulator.server import SimulatorServer
    from gatepost_worker.authentication import HttpResponse
    from support.campaign_parts import Bench

PEOPLE = 20
STRUCK = email(12)


class Breaking:
    """Takes the place of the clients, and of the starts of one: for some recipients reading the answer breaks."""

    def __init__(self, clients: Any, struck: Collection[str], error: Exception) -> None:
        self._starts = clients.of("default").starts
        self._struck = tuple(recipient.encode() for recipient in struck)
        self._error = error

    def of(self, tenant: str) -> Breaking:
        assert tenant == "default"
        return self

    @property
    def starts(self) -> Any:
        return self

    def accepted(self, _tenant: str, used: Any) -> None:
        """Nothing depends on it."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._starts, name)

    def read(self, response: HttpResponse) -> Any:
        if any(recipient in response.body for recipient in self._struck):
            raise self._error
        return self._starts.read(response)


def struck(bench: Bench, error: Exception, *, recipients: Collection[str] = (STRUCK,)) -> None:
    clients: Any = Breaking(bench.runner.clients, recipients, error)
    bench.runner.clients = clients


def test_one_broken_row_is_unknown_and_the_others_keep_their_answers(
    bench: Bench, simulator: SimulatorServer, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its request had begun, so it is not repeated; the log names the error's kind, and nothing that it holds."""
    struck(bench, RuntimeError(f"broken while holding {STRUCK}"))
    campaign_id = bench.started(PEOPLE)
    bench.work()
    campaign = bench.status(campaign_id)
    said = capsys.readouterr()

    assert (campaign.status, campaign.counts[State.ACCEPTED]) == (Status.FINISHED, PEOPLE - 1)
    assert campaign.reasons == {(State.UNKNOWN, Reason.ANSWER_LOST): 1}
    assert simulator.control.counts()["total"] == PEOPLE
    assert simulator.control.counts()["repeated"] == 0
    assert "row.failed_unexpectedly" in said.out
    assert "RuntimeError" in said.out
    assert "example.com" not in said.out + said.err


def test_a_row_of_which_no_request_can_be_made_is_rejected(bench: Bench, simulator: SimulatorServer) -> None:
    """Nothing had begun, so nothing is unknown; tried again, it would fail again."""
    campaign_id = bench.campaigns.create("spring")
    people = [*rows(3), Row(4, Channel.EMAIL, STRUCK, auth_params="[not JSON"), *rows(3, 4)]
    marks = [bench.runner.fingerprints.campaign(campaign_id, row.recipient) for row in people]
    bench.campaigns.store.append(campaign_id, 0, seal_rows(people, bench.runner.keyring, campaign_id, 0), marks)
    bench.campaigns.start(campaign_id)
    bench.work()
    report = bench.campaigns.show(campaign_id, STRUCK)

    assert bench.status(campaign_id).counts[State.ACCEPTED] == len(people) - 1
    assert report is not None
    assert (report.state, report.reason, report.attempts) == (State.REJECTED, Reason.REQUEST_REJECTED, 0)
    assert simulator.control.count(STRUCK) == 0


def test_a_fault_that_everybody_meets_pauses_the_campaign(bench: Bench) -> None:
    """As any other run of failures does: not all are lost to it."""
    struck(bench, RuntimeError("broken"), recipients=[email(number) for number in range(10, 100)])
    campaign_id = bench.started(100, pause_after_errors=5)
    bench.work()
    campaign = bench.status(campaign_id)

    assert campaign.pause is not None
    assert campaign.pause.reason is PauseReason.FAILURES_IN_A_ROW
    assert 5 <= campaign.counts[State.UNKNOWN] < 5 + 8


def test_without_memory_one_row_is_unknown_and_the_rest_is_left_to_others(
    bench: Bench, simulator: SimulatorServer
) -> None:
    """The answers of the calls under way are kept, nothing more begins, and the batch waits."""
    struck(bench, MemoryError(), recipients=[email(0)])
    campaign_id = bench.started(100)
    message = bench.take()
    assert message is not None
    bench.runner.run(campaign_id, message["batch"])
    counts = bench.status(campaign_id).counts
    again = bench.take()

    assert counts[State.UNKNOWN] == 1
    assert counts[State.QUEUED] > 0
    assert simulator.control.counts()["total"] == counts[State.ACCEPTED] + 1 == 100 - counts[State.QUEUED]
    assert again is not None
    assert again["eta"] > datetime.now(UTC) + timedelta(seconds=20)


def test_a_log_that_fails_costs_no_answer(bench: Bench) -> None:
    """A failed log line costs neither its row's answer nor those of others."""

    class Speechless:
        """Fingerprints that cannot be shown."""

        def log(self, *_: Any) -> str:
            raise RuntimeError("nothing to say")

    speechless: Any = Speechless()
    bench.runner.fingerprints = speechless
    campaign_id = bench.start([*rows(3), Row(4, Channel.EMAIL, "person+bad-email@example.com"), *rows(3, 3)])
    bench.work()
    counts = bench.status(campaign_id).counts

    assert (counts[State.ACCEPTED], counts[State.REJECTED]) == (6, 1)
