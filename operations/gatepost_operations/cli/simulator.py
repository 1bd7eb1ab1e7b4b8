"""`gatepost simulator`: replace this process with the local Authentication API."""

import os
import sys

import typer

from gatepost_operations.cli.options import command_app, examples
from gatepost_operations.extras import require_simulator

app = command_app()


@app.command(
    add_help_option=False,
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
    epilog=examples("gatepost simulator --help", "gatepost simulator --port 4430 --tls"),
)
def simulator(context: typer.Context) -> None:
    """Run the simulator of Auth0's Authentication API.

    `gatepost simulator --help` shows the options.
    """
    require_simulator()
    os.execv(sys.executable, [sys.executable, "-m", "gatepost_simulator", *context.args])  # noqa: S606 - the arguments of this command, no shell
