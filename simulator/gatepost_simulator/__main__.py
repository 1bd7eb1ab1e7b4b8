"""The simulator's command line: `python -m gatepost_simulator`."""

import json
import os
import signal
import sys
import threading
from dataclasses import asdict
from pathlib import Path
from types import FrameType
from typing import Annotated, Final, NoReturn

import typer
from pydantic import ValidationError

from gatepost_simulator.settings import DEV_CLIENT_ID, DEV_CLIENT_SECRET, SimulatorSettings
from gatepost_simulator.simulator import Simulator

_ANY_BYTES: Final = 1 << 16

# Plain help, like that of the `gatepost` command.
app = typer.Typer(add_completion=False, rich_markup_mode=None, context_settings={"help_option_names": ["-h", "--help"]})


@app.command(epilog="\b\nExamples:\n  gatepost simulator\n  gatepost simulator --port 0 --tls --cert-dir certs\n")
def simulate(
    *,
    host: Annotated[str, typer.Option("--host", metavar="ADDRESS", help="Address to bind.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option("--port", metavar="PORT", min=0, max=65535, help="Port to bind; 0 takes a free one.")
    ] = 4430,
    tls: Annotated[
        bool, typer.Option("--tls/--no-tls", help="Serve https with certificates of a new authority.")
    ] = False,
    cert_dir: Annotated[
        Path | None,
        typer.Option("--cert-dir", metavar="DIRECTORY", help="Write certificates and keys here, and keep them."),
    ] = None,
    domain: Annotated[
        str | None, typer.Option("--domain", metavar="DOMAIN", help="Issuer domain [default: the bound host and port].")
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option("--config", metavar="FILE", help="Settings as .json or .toml; the environment is stronger."),
    ] = None,
    smtp: Annotated[
        str | None,
        typer.Option("--smtp", metavar="HOST:PORT", help="Deliver e-mails to this SMTP server [default: to none]."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the ready line as JSON.")] = False,
    until_stdin_closes: Annotated[
        bool, typer.Option("--until-stdin-closes", help="Stop when standard input ends.")
    ] = False,
) -> None:
    """Serve a local Authentication API: the passwordless part of Auth0.

    Serves until it is interrupted. A line on standard output shows that connections are accepted.
    """
    settings = _settings(config, domain, smtp)
    try:
        simulator = Simulator(settings, host=host, port=port, tls=tls, cert_dir=cert_dir)
    except OSError as error:
        raise typer.BadParameter(f"Cannot bind {host}:{port}: {error.strerror}") from error
    signal.signal(signal.SIGTERM, _exit_on_signal)
    signal.signal(signal.SIGINT, _exit_on_signal)
    with simulator:
        if until_stdin_closes:
            threading.Thread(target=_stop_with_stdin, args=(simulator,), daemon=True).start()
        simulator.run(lambda: _announce(simulator, as_json=as_json))


def _settings(config: Path | None, domain: str | None, smtp: str | None) -> SimulatorSettings:
    try:
        return SimulatorSettings.load(config, domain=domain, smtp=None if smtp is None else {"server": smtp})
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors())
        raise typer.BadParameter(problems) from error
    except (ValueError, FileNotFoundError) as error:
        raise typer.BadParameter(str(error)) from error


def _announce(simulator: Simulator, *, as_json: bool) -> None:
    ready = simulator.ready
    if as_json:
        sys.stdout.write(json.dumps(asdict(ready)) + "\n")
    else:
        sys.stdout.write(f"Simulator ready at {ready.url} (domain {ready.domain}), control API under /simulator/docs\n")
        sys.stdout.write(f"Client {DEV_CLIENT_ID}, secret {DEV_CLIENT_SECRET}\n")
        if ready.ca_file:
            sys.stdout.write(f"Trust {ready.ca_file}\n")
    sys.stdout.flush()


def _exit_on_signal(number: int, _frame: FrameType | None) -> NoReturn:
    """Exit through the context managers, which delete temporary keys. Ctrl-C exits with 130, as in a shell."""
    sys.exit(130 if number == signal.SIGINT else 0)


def _stop_with_stdin(simulator: Simulator) -> None:
    # A buffered read holds a lock, and the interpreter ends with a fatal error if a daemon thread holds it.
    while os.read(sys.stdin.fileno(), _ANY_BYTES):
        pass
    simulator.stop()


def main() -> None:
    """Run the command line."""
    app(prog_name="gatepost simulator")


if __name__ == "__main__":
    main()
