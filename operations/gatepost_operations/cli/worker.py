"""`gatepost worker`: replace this process with a Celery worker that is set up for Gatepost."""

import os
import sys
from typing import Annotated, Literal

import typer

from gatepost_core.redis.keys import RedisKeys
from gatepost_core.settings import load_settings
from gatepost_operations.cli.dev_environment import env_file, leave_project
from gatepost_operations.cli.options import command_app, examples
from gatepost_operations.cli.together import run_together
from gatepost_operations.extras import require_worker
from gatepost_operations.processes import worker_command

app = command_app()


@app.command(
    epilog=examples(
        "gatepost worker",
        "gatepost worker --queues bulk --concurrency 4 --health-port 8788",
        "gatepost worker --queues login,send --beat --log-format console",
        "gatepost worker --processes 2",
    )
)
def worker(
    *,
    queues: Annotated[
        str, typer.Option("--queues", metavar="NAMES", help="Queues, separated by commas: login, send, bulk, webhooks.")
    ] = "login,send,webhooks",
    concurrency: Annotated[
        int | None,
        typer.Option("--concurrency", metavar="N", min=1, max=1000, help="Threads of each process [default: 8]."),
    ] = None,
    processes: Annotated[
        int,
        typer.Option(
            "--processes",
            metavar="N",
            min=1,
            max=64,
            help="Number of processes. If one process ends, the others are stopped too.",
        ),
    ] = 1,
    calls: Annotated[
        int | None,
        typer.Option(
            "--calls",
            metavar="N",
            min=1,
            max=10_000,
            help="Maximum number of simultaneous requests to Auth0 for campaigns, in each process [default: 400].",
        ),
    ] = None,
    beat: Annotated[
        bool,
        typer.Option(
            "--beat",
            help="Also run Celery beat, which starts the reconciler every 10 s. Give this option to exactly one worker.",
        ),
    ] = False,
    health_port: Annotated[
        int | None,
        typer.Option(
            "--health-port",
            metavar="PORT",
            min=1,
            max=65535,
            help="Serve GET /health on this port. Further processes take the next ports.",
        ),
    ] = None,
    health_host: Annotated[
        str | None, typer.Option("--health-host", metavar="HOST", help="Address of GET /health [default: 127.0.0.1].")
    ] = None,
    metrics_port: Annotated[
        int | None,
        typer.Option(
            "--metrics-port",
            metavar="PORT",
            min=1,
            max=65535,
            help="Serve GET /metrics on this port. Further processes take the next ports.",
        ),
    ] = None,
    metrics_host: Annotated[
        str | None,
        typer.Option("--metrics-host", metavar="HOST", help="Address of GET /metrics [default: 127.0.0.1]."),
    ] = None,
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"] | None,
        typer.Option("--log-level", case_sensitive=False, help="Minimum level of log lines [default: info]."),
    ] = None,
    log_format: Annotated[
        Literal["json", "console"] | None, typer.Option("--log-format", help="Log format [default: json].")
    ] = None,
) -> None:
    """Run a worker in this terminal.

    Run separate workers for the queue bulk, so that a campaign never delays a login. After Ctrl-C, the worker finishes the requests that it
    has sent to Auth0, and then stops.
    """
    require_worker()
    # A configuration error is one sentence here; Celery would add a traceback.
    settings = load_settings(env_file=env_file())
    leave_project()
    keys = RedisKeys(settings.namespace)
    environment = dict(os.environ)
    if calls:
        environment["GATEPOST_CALLS"] = str(calls)
    first_ports = {
        "GATEPOST_HEALTH_PORT": health_port or settings.health_port,
        "GATEPOST_METRICS_PORT": metrics_port or settings.metrics_port,
    }
    if health_host:
        environment["GATEPOST_HEALTH_HOST"] = health_host
    if metrics_host:
        environment["GATEPOST_METRICS_HOST"] = metrics_host
    if log_level:
        environment["GATEPOST_LOG_LEVEL"] = log_level.upper()
    if log_format:
        environment["GATEPOST_LOG_FORMAT"] = log_format
    programs = [
        (
            worker_command(
                queues.split(","),
                keys=keys,
                concurrency=concurrency,
                beat=beat and number == 0,
                name=f"{os.getpid()}-{number}" if number else str(os.getpid()),
            ),
            environment | {name: str(port + number) for name, port in first_ports.items() if port},
        )
        for number in range(processes)
    ]
    if processes > 1:
        raise typer.Exit(run_together(programs))
    ((command, environment),) = programs
    os.execve(sys.executable, command, environment)  # noqa: S606 - our own arguments, no shell
