"""Single operations: the options that sends and logins share, waiting and output; `gatepost status`, `result` and `cancel`."""

import json
from dataclasses import dataclass
from typing import Annotated, Any, Final

import typer
from joserfc import jws

from gatepost.handles import Handle
from gatepost_core.blocks import ACCEPT_OPERATIONS
from gatepost_core.errors import MfaRequired, NotFinished, OperationFailed, Rejected, WrongRedeemToken, said
from gatepost_core.outcomes import Outcome, TokenSet
from gatepost_core.states import State
from gatepost_operations.cli.connection import open_producer
from gatepost_operations.cli.exit_codes import ExitCode, Refused, exit_code_of_outcome
from gatepost_operations.cli.inputs import deadline_in, given_only, json_object, reference_from
from gatepost_operations.cli.options import JsonOption, TenantOption, command_app, examples, listed
from gatepost_operations.cli.output import say, write, write_json
from gatepost_operations.maintenance.cancellation import NotCancelled, cancel_operation

status_app = command_app()
result_app = command_app()
cancel_app = command_app()

# `sub` is Auth0's id of the user. The claims that name the person (email, phone_number, name) stay sealed.
_NO_REFERENCE: Final = (
    "An operation's id does not open the result of a login. Give - in its place, and the reference on standard input: gatepost login "
    "--reference-file writes it."
)
_SHOWN_CLAIMS: Final = ("iss", "sub", "aud", "org_id", "iat", "exp")

OperationArgument = Annotated[str, typer.Argument(metavar="OPERATION", help="Id of the operation.")]
ReferenceArgument = Annotated[
    str,
    typer.Argument(
        metavar="OPERATION", help="Id of the operation, or - to read the reference of a login from standard input."
    ),
]
TimeoutOption = Annotated[
    float,
    typer.Option(
        "--timeout", metavar="SECONDS", min=0, help="Longest wait for the result. The operation continues afterwards."
    ),
]


@dataclass(frozen=True, kw_only=True)
class CommandOptions:
    """The fields that all sends and logins have."""

    tenant: TenantOption = None
    client_ip: Annotated[
        str | None,
        typer.Option("--client-ip", metavar="IP", help="The person's IP address, for Auth0's attack protection."),
    ] = None
    extra: Annotated[
        str | None, typer.Option("--extra", metavar="JSON|@FILE", help="Further fields for the body of the request.")
    ] = None
    headers: Annotated[
        str | None,
        typer.Option(
            "--headers",
            metavar="JSON|@FILE",
            help="HTTP headers for the request. AUTH0_ALLOWED_HEADERS must list them.",
        ),
    ] = None
    deadline: Annotated[
        float | None,
        typer.Option(
            "--deadline", metavar="SECONDS", min=0.001, help="Make no request to Auth0 after this many seconds."
        ),
    ] = None
    idempotency_key: Annotated[
        str | None,
        typer.Option(
            "--idempotency-key",
            metavar="KEY",
            help="If you repeat the command with the same key, it sends nothing, and returns the first operation.",
        ),
    ] = None

    def fields(self, **others: Any) -> dict[str, Any]:
        """Return the given fields, these and the command's others, as a producer takes them.

        Raises:
            InvalidCommand: one of them is malformed.
        """
        objects = {name: json_object(getattr(self, name), name) for name in ("extra", "headers")}
        read = {**objects, "deadline": deadline_in(self.deadline)}
        return given_only({**others, **vars(self), **read})


@dataclass(frozen=True, kw_only=True)
class WaitOptions:
    """How long a command waits, and how it prints."""

    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Wait for the operation's result.")] = True
    timeout: TimeoutOption = 60.0
    as_json: JsonOption = False


@status_app.command(
    epilog=listed(
        "Exit codes:",
        "0  the operation is accepted, or has not ended yet",
        "3  the operation has ended with another state",
        "4  Auth0 refused the client, the grant or the connection",
    )
    + examples("gatepost status 0f8fad5b-d9cb-469f-a165-70867728950e", "gatepost status $ID --json | jq -r .state")
)
def status(operation: OperationArgument, *, as_json: JsonOption = False) -> ExitCode:
    """Show the current state of an operation."""
    with open_producer() as producer:
        outcome = producer.handle(operation).outcome()
        _show_state(outcome, as_json=as_json)
        return exit_code_of_outcome(outcome)


@result_app.command(
    epilog=examples(
        "gatepost result 0f8fad5b-d9cb-469f-a165-70867728950e",
        "gatepost result - --redeem --json < reference.txt | jq .token_set",
    )
)
def result(
    operation: ReferenceArgument,
    *,
    redeem: Annotated[
        bool,
        typer.Option(
            "--redeem", help="Print the token set of a login, and delete it from Redis. This works only once."
        ),
    ] = False,
    timeout: TimeoutOption = 60.0,
    as_json: JsonOption = False,
) -> ExitCode:
    """Wait for the result of an operation, or get the tokens of a login.

    To get the tokens of a login, give --redeem and the reference of the login. `gatepost login --reference-file` writes the reference to a
    file. It is a secret, so give it on standard input.
    """
    reference = reference_from(operation)
    with open_producer() as producer:
        waiting = WaitOptions(timeout=timeout, as_json=as_json)
        return follow(producer.handle(reference), waiting, redeem=redeem)


@cancel_app.command(
    epilog=listed(
        "Exit codes:",
        "0  cancelled",
        "3  unknown: Auth0 may have carried out an earlier request",
        "5  not cancelled: a request is under way, or the operation has ended",
    )
    + examples("gatepost cancel 0f8fad5b-d9cb-469f-a165-70867728950e")
)
def cancel(operation: OperationArgument, *, as_json: JsonOption = False) -> ExitCode:
    """Cancel a send or login that waits in a queue."""
    with open_producer() as producer:
        handle = producer.handle(operation)
        # Before the act: a text that names no operation may be anything, and the audit log must not keep it.
        handle.outcome()
        try:
            with producer.campaigns.audit.act("operation.cancel", operation_id=handle.operation_id):
                outcome = cancel_operation(handle)
        except NotCancelled as refused:
            raise Refused(str(refused)) from None
        _show_state(outcome, as_json=as_json)
    return ExitCode.DONE if outcome.state is State.CANCELLED else exit_code_of_outcome(outcome)


def follow(handle: Handle, waiting: WaitOptions, *, redeem: bool = False) -> ExitCode:
    """Wait for an operation as long as asked, show it, and return the exit code.

    Raises:
        NothingToRedeem: the token set was redeemed before, it has expired, or the operation is not a login.
        WrongRedeemToken: the handle has no redeem token, or a wrong one.
    """
    outcome = _ended(handle, waiting.timeout) if waiting.wait else handle.outcome()
    if outcome is None:
        _show_state(handle.outcome(), as_json=waiting.as_json)
        return ExitCode.UNEXPECTED
    name, document = _redeemed(handle, outcome) if redeem else ("claims", _claims(handle, outcome))
    if waiting.as_json:
        write_json(outcome.as_json() | ({} if document is None else {name: document}))
    elif redeem and document is not None:
        # The tokens are the data: alone on stdout, so that a pipe gets JSON.
        say(f"{outcome.operation_id} {outcome.state.value}")
        write(*json.dumps(document, indent=2).split("\n"))
    else:
        _show_state(outcome, as_json=False)
        write(*(f"  {claim} {value}" for claim, value in (document or {}).items()))
    return exit_code_of_outcome(outcome)


def _ended(handle: Handle, timeout_s: float) -> Outcome | None:
    try:
        return handle.wait(timeout_s)
    except NotFinished:
        say(f"gatepost: not finished after {timeout_s:g} s; it continues: gatepost status {handle.operation_id}")
        return None
    except KeyboardInterrupt:
        say(f"gatepost: interrupted; the operation continues: gatepost status {handle.operation_id}")
        raise


def _show_state(outcome: Outcome, *, as_json: bool) -> None:
    if as_json:
        write_json(outcome.as_json())
        return
    write(" ".join(part for part in (outcome.operation_id, outcome.state.value, outcome.reason) if part))
    if outcome.reason is not None:
        code = f" ({said(outcome.reason, outcome.detail)})" if outcome.detail else ""
        say(f"{outcome.reason.advice}{code}")
    if outcome.blocked is not None:
        say(f"A worker returned it to the queue. {outcome.blocked.sentence(ACCEPT_OPERATIONS)}")


def _redeemed(handle: Handle, outcome: Outcome) -> tuple[str, dict[str, Any] | None]:
    if outcome.kind.is_login and handle.reference == handle.operation_id:
        raise WrongRedeemToken(_NO_REFERENCE)
    try:
        return "token_set", handle.open_result(outcome).revealed()
    except MfaRequired as failure:
        return "mfa_challenge", failure.challenge.revealed()
    except OperationFailed as failure:
        words = failure.description if isinstance(failure, Rejected) else None
        return "denial", None if words is None else {"description": words.get_secret_value()}


def _claims(handle: Handle, outcome: Outcome) -> dict[str, Any] | None:
    tokens = handle.look_at_result() if outcome.state is State.ACCEPTED else None
    if not isinstance(tokens, TokenSet):
        return None
    claims: dict[str, Any] = {}
    if tokens.id_token is not None:
        # The worker verified it before it was sealed, so this needs no key of the tenant.
        claims = json.loads(jws.extract_compact(tokens.id_token.get_secret_value().encode()).payload)
    shown: dict[str, Any] = {name: claims[name] for name in _SHOWN_CLAIMS if name in claims}
    return shown | {"scope": tokens.scope, "expires_in": tokens.expires_in}
