"""`gatepost status` and `gatepost result`: the state of an operation, and its result."""

from typing import Annotated

import typer

from gatepost_operations.cli.connection import await_end, follow, open_producer
from gatepost_operations.cli.exit_codes import ExitCode, exit_code_of_outcome
from gatepost_operations.cli.login_output import show_login
from gatepost_operations.cli.options import JsonOption, OperationArgument, TimeoutOption, command_app, examples
from gatepost_operations.cli.output import show_outcome

status_app = command_app()
result_app = command_app()


@status_app.command(
    epilog=examples("gatepost status 0f8fad5b-d9cb-469f-a165-70867728950e", "gatepost status $ID --json | jq -r .state")
)
def status(operation: OperationArgument, *, as_json: JsonOption = False) -> ExitCode:
    """Show the current state of an operation.

    Exit code 0 while it is open and when it is accepted, 3 when it ended otherwise.
    """
    with open_producer() as producer:
        return follow(producer.handle(operation), wait=False, timeout_s=0, as_json=as_json)


@result_app.command(
    epilog=examples(
        "gatepost result 0f8fad5b-d9cb-469f-a165-70867728950e",
        "gatepost result $ID --redeem --json | jq -r .token_set.access_token",
    )
)
def result(
    operation: OperationArgument,
    *,
    redeem: Annotated[bool, typer.Option("--redeem", help="Print a login's token set, and delete it.")] = False,
    timeout: TimeoutOption = 60.0,
    as_json: JsonOption = False,
) -> ExitCode:
    """Wait for an operation's result, and redeem its token set if asked."""
    with open_producer() as producer:
        handle = producer.handle(operation)
        outcome = await_end(handle, timeout)
        if outcome is None:
            show_outcome(handle.outcome(), as_json=as_json)
            return ExitCode.UNEXPECTED
        show_login(producer, handle, outcome, redeem=redeem, as_json=as_json)
        return exit_code_of_outcome(outcome)
