"""The verbs of `gatepost campaign`, in the order of use, each with its examples."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gatepost_operations.cli.campaign import check, control, create, plan, results, retry, sample, send, status, watch
from gatepost_operations.cli.options import command_app, examples, listed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

app = command_app()


@app.callback(
    epilog=examples(
        "gatepost campaign check people.csv",
        "gatepost campaign plan people.csv",
        "gatepost campaign test people.csv --to me@example.com",
        "gatepost campaign send people.csv",
    )
)
def campaign() -> None:
    """Send to the recipients in a file, and record the outcome of each."""


def _verb(name: str, verb: Callable[..., Any], *lines: str, codes: Sequence[str] = ()) -> None:
    exit_codes = listed("Exit codes:", *codes) if codes else ""
    app.command(name, epilog=exit_codes + examples(*lines))(verb)


_verb(
    "check",
    check.check,
    "gatepost campaign check people.csv",
    "gatepost campaign check kunden.csv --column email=Kontakt --region DE",
    "zcat people.jsonl.gz | gatepost campaign check - --json",
)
_verb(
    "plan",
    plan.plan_command,
    "gatepost campaign plan people.csv",
    "gatepost campaign plan people.csv --hours 09:00-18:00 --timezone Asia/Tokyo",
)
_verb(
    "test",
    sample.send_test,
    "gatepost campaign test people.csv --to me@example.com",
    "gatepost campaign test people.csv --to +34600000001 --rows 3",
)
_verb(
    "send",
    send.send,
    "gatepost campaign send people.csv",
    "gatepost campaign send people.csv --name spring --deadline 2d --yes",
    "gatepost campaign send people.csv --dry-run",
)
_verb(
    "create",
    create.create,
    "gatepost campaign create spring",
    "gatepost campaign create rehearsal --guest-list colleagues.csv --rate 1",
)
_verb("add", create.add, "gatepost campaign add spring people.csv", "gatepost campaign add spring - --skip-invalid")
_verb("start", create.start, "gatepost campaign start spring", "gatepost campaign start spring --watch")
_verb(
    "status",
    status.status,
    "gatepost campaign status spring",
    "gatepost campaign status spring --json",
    codes=(
        "0  the campaign is a draft, is running, or was paused by an operator",
        "0  the campaign has ended, and all recipients are accepted or suppressed",
        "1  the counts do not add up, or stored batches are damaged",
        "3  the campaign has ended with other outcomes",
        "4  workers cannot send a batch, for example because a key is missing",
        "4  a worker paused the campaign, because Auth0 refused the credential",
        "   or the connection",
        "5  a worker paused the campaign for another reason, or",
        "   `gatepost recover` paused it",
    ),
)
_verb(
    "watch",
    watch.watch_command,
    "gatepost campaign watch spring",
    "gatepost campaign watch spring --json | jq -c .counts",
    codes=(
        "0    all recipients are accepted or suppressed, or the campaign is being",
        "     deleted",
        "1    the counts do not add up, the campaign is gone, or Redis does not",
        "     answer",
        "3    the campaign has ended with other outcomes",
        "4    a worker paused the campaign, because Auth0 refused the credential",
        "     or the connection",
        "5    a worker paused the campaign for another reason, or",
        "     `gatepost recover` paused it",
        "130  Ctrl-C",
    ),
)
_verb("list", status.list_command, "gatepost campaign list", "gatepost campaign list --json")
_verb("pause", control.pause, "gatepost campaign pause spring")
_verb("resume", control.resume, "gatepost campaign resume spring --watch")
_verb("change", control.change, "gatepost campaign change spring --rate 5 --deadline 2d")
_verb("recount", control.recount, "gatepost campaign recount spring")
_verb("cancel", control.cancel, "gatepost campaign cancel spring", "gatepost campaign cancel spring --yes")
_verb(
    "retry",
    retry.retry,
    "gatepost campaign retry spring --dry-run",
    "gatepost campaign retry spring --state expired --deadline 2d --watch",
    "gatepost campaign retry spring --reason not_reached",
)
_verb(
    "export",
    results.export,
    "gatepost campaign export spring --state failed --output failed.ndjson",
    "gatepost campaign export spring --format csv > everybody.csv",
)
_verb(
    "show",
    status.show_recipient,
    "gatepost campaign show spring ana@example.com",
    "gatepost campaign show spring - --json < address.txt",
    codes=(
        "0  the recipient is accepted, or has no final state yet",
        "1  the campaign does not have the recipient",
        "3  the recipient has another final state",
    ),
)
_verb("delete", control.delete, "gatepost campaign delete spring", "gatepost campaign delete $ID --confirm $ID")
