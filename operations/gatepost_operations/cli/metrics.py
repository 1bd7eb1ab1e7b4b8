"""`gatepost metrics`: serve the metrics of the fleet to Prometheus."""

import signal
import threading
from importlib import import_module
from typing import Annotated, Final

import typer

from gatepost_core import logs
from gatepost_core.errors import Unavailable
from gatepost_operations.cli.connection import read_settings
from gatepost_operations.cli.options import command_app, examples
from gatepost_operations.cli.output import write
from gatepost_operations.extras import require_installed

app = command_app()

PORT: Final = 9808
"""The port if none is configured."""


@app.command(
    epilog=examples("gatepost metrics", "gatepost metrics --host 0.0.0.0 --port 9808", "gatepost metrics --once")
)
def metrics(
    *,
    port: Annotated[
        int | None,
        typer.Option(
            "--port", metavar="PORT", min=1, max=65535, help="Port [default: GATEPOST_METRICS_PORT, or 9808]."
        ),
    ] = None,
    host: Annotated[
        str | None,
        typer.Option("--host", metavar="HOST", help="Address [default: GATEPOST_METRICS_HOST, or 127.0.0.1]."),
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="Print the metrics and exit.")] = False,
) -> None:
    """Serve the metrics of queues, operations and campaigns to Prometheus.

    Reads Redis and the broker at each scrape, and writes nothing. Needs no sealing key and no Auth0 credential. Each worker serves its own
    metrics, with `gatepost worker --metrics-port`.
    """
    require_installed("prometheus_client", extra="metrics")
    settings = read_settings()
    # Imported here, because they need the extra.
    fleet = import_module("gatepost_operations.monitoring.fleet")
    exposition = import_module("gatepost_worker.metrics.exposition")
    source = fleet.FleetSource(settings)
    if once:
        text: str = exposition.text_of(source)
        write(*text.splitlines())
        if f"{fleet.names.REDIS_UP.name} 0" in text:
            raise Unavailable(source.failure)
        return
    logs.start(settings, "gatepost.metrics")
    address, chosen = host or settings.metrics_host, port or settings.metrics_port or PORT
    stop = exposition.serve(source, host=address, port=chosen, setting="--port")
    write(f"Serving http://{f'[{address}]' if ':' in address else address}:{chosen}/metrics")
    ended = threading.Event()
    # As the first process of a container, it would otherwise ignore the signal.
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    try:
        ended.wait()
    finally:
        stop()
        source.close()
