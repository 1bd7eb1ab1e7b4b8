"""One run of the probe against the simulator, a mailbox and a worker: it succeeds, or names the step and the cause."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import structlog
from pydantic import SecretStr

from gatepost import Producer
from gatepost_core.campaigns.model import Options
from gatepost_core.campaigns.row import Row
from gatepost_core.identifiers import OneTimeCode, Personal
from gatepost_core.kinds import Channel, Kind
from gatepost_core.probe_results import SUCCESS, Cause, Step
from gatepost_core.reasons import Reason
from gatepost_core.states import State
from gatepost_operations.probing.code_command import CodeCommand
from gatepost_operations.probing.run import Probe, ProbeRun, Target
from gatepost_simulator.settings import DEV_CLIENT_ID, DEV_CLIENT_SECRET

if TYPE_CHECKING:
    import re
    from collections.abc import Callable

    from gatepost_core.settings import Settings
    from gatepost_operations.probing.imap_mailbox import ImapMailbox
    from gatepost_simulator.server import SimulatorServer
    from support.mailboxes import Mailbox

ADDRESS = "probe+canary-w4t8@example.com"


class Given:
    """A source with a code or an error of the test."""

    def __init__(self, code: Callable[[], str]) -> None:
        self._code = code

    def prepare(self) -> None:
        """Nothing to prepare."""

    def code(self, ends_at: float) -> OneTimeCode:  # noqa: ARG002 - the protocol's signature
        return OneTimeCode(self._code())

    def use(self) -> None:
        """Nothing to delete."""

    def close(self) -> None:
        """Nothing to close."""


def seen(done: ProbeRun) -> tuple[str, Step | None]:
    return done.result.reason, done.result.step


def test_every_step_of_a_healthy_login_succeeds(make_probe: Callable[..., Probe], mailbox: Mailbox) -> None:
    """The code comes from the mailbox, each step is measured, and the used message is gone."""
    with structlog.testing.capture_logs() as events:
        done = make_probe().run()

    assert seen(done) == (SUCCESS, None)
    assert list(done.result.seconds) == list(Step)
    assert all(seconds >= 0 for seconds in done.result.seconds.values())
    assert mailbox.messages == []
    (event,) = [event for event in events if event["event"] == "probe.finished"]
    assert event["log_level"] == "info"
    assert (event["tenant"], event["channel"], event["reason"]) == ("default", "email", "ok")
    assert list(event["seconds"]) == list(Step)


@pytest.mark.parametrize(
    ("template", "cause"), [("without_code", Cause.MESSAGE_WITHOUT_CODE), ("link", Cause.MESSAGE_WITH_LINK)]
)
def test_a_broken_template_is_named(
    make_probe: Callable[..., Probe], mail: Callable[..., None], template: str, cause: Cause
) -> None:
    """A message without a code, or with a magic link in its place."""
    mail(template=template)
    done = make_probe().run()

    assert seen(done) == (cause, Step.ARRIVAL)


def test_a_message_that_does_not_arrive_is_named(make_probe: Callable[..., Probe], simulator: SimulatorServer) -> None:
    """Auth0 accepted the send, and its provider delivers nothing."""
    probe = make_probe(arrival_s=0)
    simulator.control.change_settings(smtp={"server": ""})
    with structlog.testing.capture_logs() as events:
        done = probe.run()

    assert seen(done) == (Cause.MESSAGE_LATE, Step.ARRIVAL)
    (event,) = [event for event in events if event["event"] == "probe.finished"]
    assert (event["log_level"], event["step"], event["reason"]) == ("error", "arrival", "message_late")
    assert Step.LOGIN not in done.result.seconds


def test_a_broken_secret_is_named(
    make_probe: Callable[..., Probe], make_worked: Callable[..., Producer], probe_settings: Settings
) -> None:
    """Auth0 refuses the client's credential."""
    wrong = probe_settings.model_copy(update={"auth0_client_secret": SecretStr("canary-wrong")})
    done = make_probe(producer=make_worked(wrong)).run()

    assert seen(done) == (Reason.CLIENT_REJECTED, Step.SEND)
    assert done.operation_id is not None


def test_a_secret_that_breaks_is_named_although_workers_wait_for_a_new_one(
    make_probe: Callable[..., Probe],
    make_worked: Callable[..., Producer],
    probe_settings: Settings,
    simulator: SimulatorServer,
) -> None:
    """After a success, a worker defers refused operations for a while, and the probe waits for that, too."""
    producer = make_worked(probe_settings.model_copy(update={"credential_patience": 4}))
    healthy = make_probe(producer=producer).run()
    simulator.control.register_client(client_id=DEV_CLIENT_ID, client_secret="another")
    try:
        done = make_probe(producer=producer, operation_s=0.2, deferred_s=60).run()
    finally:
        simulator.control.register_client(client_id=DEV_CLIENT_ID, client_secret=DEV_CLIENT_SECRET)

    assert seen(healthy) == (SUCCESS, None)
    assert seen(done) == (Reason.CLIENT_REJECTED, Step.SEND)


@pytest.mark.parametrize("enabled", [False, None])
def test_a_broken_connection_is_named(
    make_probe: Callable[..., Probe], simulator: SimulatorServer, *, enabled: bool | None
) -> None:
    """It is disabled, or does not exist."""
    connections = [] if enabled is None else [{"name": "email", "strategy": "email", "enabled": enabled}]
    probe = make_probe()
    simulator.control.change_settings(connections=connections)

    assert seen(probe.run()) == (Reason.CONNECTION_MISCONFIGURED, Step.SEND)


def test_a_broken_mailbox_is_named_before_anything_is_sent(
    make_probe: Callable[..., Probe], open_mailbox: Callable[..., ImapMailbox], simulator: SimulatorServer
) -> None:
    """No code leaves that could not be read."""
    done = make_probe(open_mailbox(password=SecretStr("canary-wrong"))).run()

    assert seen(done) == (Cause.MAILBOX_LOGIN_REFUSED, Step.MAILBOX)
    assert simulator.control.count(ADDRESS) == 0


def test_a_refused_code_is_named(make_probe: Callable[..., Probe], simulator: SimulatorServer) -> None:
    """Such as one that a second send has made void."""
    source = Given(lambda: simulator.control.latest_code(ADDRESS)[::-1] + "7")

    assert seen(make_probe(source).run()) == (Reason.CODE_REJECTED, Step.LOGIN)


def test_a_token_set_that_fails_its_check_is_named(worked: Producer, simulator: SimulatorServer) -> None:
    """As a login's; the detail is the claim."""
    address = "probe+idtoken-bad-aud@example.com"
    target = Target(Personal(address), Channel.EMAIL, "default", "email")
    source = Given(lambda: simulator.control.latest_code(address))
    done = Probe(worked, source, target, operation_s=60, arrival_s=60).run()

    assert seen(done) == (Reason.TOKEN_INVALID, Step.TOKENS)
    assert done.detail == "aud"


def test_missing_workers_are_named_and_the_send_is_cancelled(
    make_probe: Callable[..., Probe], probe_settings: Settings, simulator: SimulatorServer
) -> None:
    """A message that left later would arrive amid the next run."""
    with Producer(probe_settings) as alone:
        done = make_probe(producer=alone, operation_s=0.2).run()
        assert done.operation_id is not None
        state = alone.handle(done.operation_id).state()

    assert seen(done) == (Cause.NO_WORKER, Step.SEND)
    assert state is State.CANCELLED
    assert simulator.control.count(ADDRESS) == 0


def test_a_worker_that_may_not_run_it_is_named(
    make_probe: Callable[..., Probe], make_worked: Callable[..., Producer], probe_settings: Settings
) -> None:
    """Here it serves another Auth0 application; the detail says so."""
    other = probe_settings.model_copy(update={"auth0_client_id": "another"})
    done = make_probe(producer=make_worked(probe_settings, of_worker=other), operation_s=0.2).run()

    assert seen(done) == (Cause.WORKER_BLOCKED, Step.SEND)
    assert done.detail == "wrong_application"


def test_an_unforeseen_failure_is_a_result_too(make_probe: Callable[..., Probe]) -> None:
    """Its text may quote anything, so the class and the place alone are kept."""

    def fail() -> str:
        raise RuntimeError("canary-text")

    done = make_probe(Given(fail)).run()

    assert seen(done) == (Cause.UNFORESEEN, Step.ARRIVAL)
    assert done.detail is not None
    assert "RuntimeError at" in done.detail
    assert "canary" not in done.detail


def test_a_command_gives_the_code_of_an_sms(
    worked: Producer, simulator: SimulatorServer, usual_code: re.Pattern[str]
) -> None:
    """It is run until it prints the message."""
    number = "+447700900847"
    url = f"{simulator.url}/simulator/codes/%2B{number[1:]}"
    script = f"import urllib.request as u; print('Your code:', u.urlopen('{url}').read().decode())"
    command = CodeCommand(SecretStr(f'python3 -c "{script}"'), usual_code)
    done = Probe(
        worked, command, Target(Personal(number), Channel.SMS, "default", "sms"), operation_s=60, arrival_s=60
    ).run()

    assert seen(done) == (SUCCESS, None)


def test_probes_are_no_foreign_traffic(
    make_probe: Callable[..., Probe],
    worked: Producer,
    read_quotas: Callable[[], list[dict[str, Any]]],
    simulator: SimulatorServer,
) -> None:
    """Each request to Auth0 is an operation with a permit, as a person's login is, and `gatepost quota` shows no other."""
    simulator.control.set_quota(plan="unlimited", tenant={"size": 50, "refill": 0.001})
    runs = [make_probe().run().result.reason for _ in range(4)]
    paths = [one["path"] for one in simulator.control.request_log() if not one["path"].startswith("/.well-known")]
    counts = worked.ledger.counts()

    assert runs == [SUCCESS] * 4
    assert sorted(paths) == ["/oauth/token"] * 4 + ["/passwordless/start"] * 4
    assert counts == {(Kind.SEND_EMAIL, State.ACCEPTED): 4, (Kind.LOGIN_WITH_EMAIL, State.ACCEPTED): 4}
    for quota in read_quotas():
        assert quota["bucket"]["foreign_rate"] <= 0
        assert quota["bucket"]["level"] == pytest.approx(50 - 8, abs=1.5)


def test_probes_change_no_campaigns_sums(make_probe: Callable[..., Probe], worked: Producer) -> None:
    """Also if the campaign has the probe's address among its recipients."""
    options = Options(channel=Channel.EMAIL)
    campaign = worked.campaigns.create("to everybody", options)
    worked.campaigns.add(campaign, [Row(1, Channel.EMAIL, ADDRESS), Row(2, Channel.EMAIL, "ana@example.com")])
    before = worked.campaigns.status(campaign)
    done = make_probe().run()

    assert done.result.succeeded
    assert worked.campaigns.status(campaign) == before
    assert list(worked.campaigns.active()) == []
