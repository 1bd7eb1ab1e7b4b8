"""`gatepost demo`: start local processes, run the scenario, kill two workers, and compare the counts."""

import shutil
import signal
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Annotated, Final

import typer

from gatepost.producer import Producer
from gatepost_core.errors import Unavailable
from gatepost_core.states import State
from gatepost_operations.cli.connection import log_to_stderr
from gatepost_operations.cli.exit_codes import ExitCode
from gatepost_operations.cli.options import JsonOption, command_app, examples
from gatepost_operations.cli.output import write_json
from gatepost_operations.cli.progress import ProgressDisplay, progress_display
from gatepost_operations.extras import require_simulator, require_worker
from gatepost_operations.local.demo.comparison import compare
from gatepost_operations.local.demo.processes import BULK, SINGLE, DemoProcesses
from gatepost_operations.local.demo.recipients import Recipients, read_recipients
from gatepost_operations.local.demo.report import CAMPAIGN, Report, progress_rows, show
from gatepost_operations.local.demo.scenario import START, DemoCampaign, Scenario, TokenVerifier, faults_for
from gatepost_operations.processes import Child

app = command_app()

_EXAMPLE: Final = Path("examples/people.csv")
_LOOK_EVERY_S: Final = 0.2
_LINE_EVERY_S: Final = 3.0
_GIVE_UP_S: Final = 120.0
_KILL_AT: Final = 0.35
_KILL_LATEST: Final = 0.85
_WORTH_KILLING: Final = 6
# Long enough that several requests are in flight when a worker is killed.
_ANSWER_AFTER_S: Final = 0.1
# A shell adds this to the number of the signal that ended a process.
_SIGNALLED: Final = 128


@app.command(epilog=examples("gatepost demo", "gatepost demo --file people.csv --json"))
def demo(
    *,
    file: Annotated[
        Path | None,
        typer.Option("--file", metavar="FILE", help="Recipients as CSV or JSON Lines [default: examples/people.csv]."),
    ] = None,
    as_json: JsonOption = False,
) -> ExitCode:
    """Show sends, logins and a campaign with the simulator.

    Starts Valkey, the simulator and workers. Sends a code to everyone in the file, runs a campaign at the same time, kills two workers, and
    logs everyone in. Then compares the results of Gatepost with those of the simulator.

    The demo never calls a real tenant. The exit code is 0 if the results agree, and 1 if not.
    """
    require_worker()
    require_simulator()
    log_to_stderr()
    started = time.monotonic()
    people = read_recipients(file or _example())
    directory = Path(tempfile.mkdtemp(prefix="gatepost-demo-"))
    # SIGTERM must stop all child processes too.
    signal.signal(signal.SIGTERM, _end)
    with progress_display(every_s=_LINE_EVERY_S) as display:
        report = _run(people, directory, display, started)
    for data in ("valkey", "simulator"):
        shutil.rmtree(directory / data, ignore_errors=True)
    if as_json:
        write_json(report.as_json())
    else:
        show(report)
    return ExitCode.DONE if report.agrees else ExitCode.UNEXPECTED


def _example() -> Path:
    # In another directory, use the file beside the source. An installed package has none.
    beside_the_source = Path(__file__).parents[4] / _EXAMPLE
    return beside_the_source if beside_the_source.is_file() and not _EXAMPLE.is_file() else _EXAMPLE


def _end(number: int, _frame: FrameType | None) -> None:
    raise SystemExit(_SIGNALLED + number)


def _run(people: Recipients, directory: Path, display: ProgressDisplay, started: float) -> Report:
    display.event(f"• {people.rows:,} rows read: {len(people.valid):,} valid, {len(people.malformed):,} malformed")
    with DemoProcesses(directory).running() as stage:
        display.event(f"• simulator {stage.address.url} (trust {stage.address.ca_file})")
        victim = stage.start_worker("worker-1")
        stage.start_worker("worker-2")
        bulk_victim = stage.start_worker("bulk-1", BULK)
        stage.start_beat()
        control = stage.control()
        faults = list(faults_for(people.addresses))
        for _, fault in faults:
            control.script_fault(**fault)
        display.event(f"• on purpose, once each: {', '.join(title for title, _ in faults) or 'nothing'}")
        control.script_fault(endpoint=START, delay_s=_ANSWER_AFTER_S, count=0)
        with Producer() as producer:
            tenant = producer.settings.tenant_named(None)
            verifier = TokenVerifier(control.jwks(), issuer=stage.address.issuer, client_id=tenant.client_id)
            scenario = Scenario(producer, control, verifier, faulty={fault["recipient"] for _, fault in faults})
            scenario.enqueue_sends(people)
            campaign = DemoCampaign(producer.campaigns)
            number = campaign.start(people)
            display.event(f"• all sends enqueued, and a campaign of {number:,} more started; three workers start")
            _Run(stage, scenario, campaign, display, victims=(victim, bulk_victim)).play()
            facts = scenario.facts(campaign)
            states = {**scenario.states(), CAMPAIGN: campaign.states()}
    return Report(
        rows=people.rows,
        malformed=len(people.malformed),
        duplicates=scenario.duplicates,
        states=states,
        facts=facts,
        findings=compare(facts),
        logs=stage.logs,
        seconds=time.monotonic() - started,
    )


@dataclass(frozen=True, slots=True)
class _Victim:
    """A worker that is killed, and the name of the worker that replaces it."""

    worker: Child
    successor: str
    queues: tuple[str, ...]
    progress: Callable[[], tuple[float, int]]
    """Returns the share of the sends that have ended, and the number of requests in flight."""


class _Run:
    """Runs the scenario and the campaign to their ends, and kills a worker of each on the way."""

    def __init__(
        self,
        stage: DemoProcesses,
        scenario: Scenario,
        campaign: DemoCampaign,
        display: ProgressDisplay,
        *,
        victims: tuple[Child, Child],
    ) -> None:
        self._stage = stage
        self._scenario = scenario
        self._campaign = campaign
        self._display = display
        self._victims = [
            _Victim(victims[0], "worker-3", SINGLE, lambda: (scenario.sends_ended(), scenario.in_flight())),
            _Victim(victims[1], "bulk-2", BULK, self._campaign_progress),
        ]
        self._give_up = time.monotonic() + _GIVE_UP_S

    def play(self) -> None:
        """Run everything."""
        self._until(lambda: self._scenario.settled)
        late = self._scenario.expire_codes()
        self._display.event(f"• the simulator's clock moved on: {late:,} people log in with an expired code")
        self._until(lambda: self._scenario.settled and self._campaign.status().open == 0)

    def _until(self, ended: Callable[[], bool]) -> None:
        while not ended() and time.monotonic() < self._give_up:
            self._scenario.poll()
            self._show()
            for victim in list(self._victims):
                self._perhaps_kill(victim)
            if (dead := self._stage.dead()) is not None:
                raise Unavailable(f"The demo's {dead} ended by itself; see {self._stage.logs}.")
            time.sleep(_LOOK_EVERY_S)
        self._show()

    def _show(self) -> None:
        self._display.update(progress_rows({**self._scenario.states(), CAMPAIGN: self._campaign.states()}))

    def _campaign_progress(self) -> tuple[float, int]:
        campaign = self._campaign.status()
        return campaign.share_done, campaign.counts[State.IN_FLIGHT]

    def _perhaps_kill(self, victim: _Victim) -> None:
        if not _worth_killing(*victim.progress()):
            return
        self._stage.workers.kill(victim.worker)
        _, in_flight = victim.progress()
        self._display.event(f"• {victim.worker.name} killed (SIGKILL) with {in_flight:,} requests in flight")
        self._stage.start_worker(victim.successor, victim.queues)
        self._display.event(f"• {victim.successor} starts in its place")
        self._victims.remove(victim)


def _worth_killing(share_done: float, under_way: int) -> bool:
    # Killing a worker without requests in flight would prove nothing.
    return share_done >= _KILL_LATEST or (share_done >= _KILL_AT and under_way >= _WORTH_KILLING)
