"""The verbs of `gatepost campaign`, in the order in which one needs them, each with its examples."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from gatepost_operations.cli.campaign import checking, controlling, looking, making, outcomes, sending, watching
from gatepost_operations.cli.options import command_app, examples

if TYPE_CHECKING:
    from collections.abc import Callable

app = command_app()


@app.callback(
    epilog=examples(
        "gatepost campaign check people.csv",
        "gatepost campaign plan people.csv",
        "gatepost campaign send people.csv",
        "gatepost campaign export people --state failed --output failed.ndjson",
        "gatepost campaign retry people --watch",
    )
)
def campaign() -> None:
    """Send to a file of recipients, and account for every one of them."""


_VERBS: Final[tuple[tuple[str, Callable[..., Any], tuple[str, ...]], ...]] = (
    (
        "check",
        checking.check,
        (
            "gatepost campaign check people.csv",
            "gatepost campaign check kunden.csv --column email=Kontakt --encoding cp1252 --region DE",
            "zcat people.jsonl.gz | gatepost campaign check - --json",
        ),
    ),
    (
        "plan",
        checking.plan_command,
        (
            "gatepost campaign plan people.csv",
            "gatepost campaign plan people.csv --window 09:00-18:00 --timezone Europe/Berlin --rate 20",
        ),
    ),
    (
        "send",
        sending.send,
        (
            "gatepost campaign send people.csv",
            "gatepost campaign send people.csv --name spring --skip-invalid --deadline 2d --yes",
            "gatepost campaign send people.csv --dry-run",
        ),
    ),
    (
        "create",
        making.create,
        (
            "gatepost campaign create spring",
            "gatepost campaign create rehearsal --guest-list colleagues.csv --rate 1",
        ),
    ),
    ("add", making.add, ("gatepost campaign add spring people.csv", "gatepost campaign add spring - --skip-invalid")),
    ("start", making.start, ("gatepost campaign start spring", "gatepost campaign start spring --watch")),
    ("status", looking.status, ("gatepost campaign status spring", "gatepost campaign status spring --json")),
    (
        "watch",
        watching.watch_command,
        ("gatepost campaign watch spring", "gatepost campaign watch spring --json | jq -c .counts"),
    ),
    ("list", looking.list_command, ("gatepost campaign list", "gatepost campaign list --json")),
    ("pause", controlling.pause, ("gatepost campaign pause spring",)),
    ("resume", controlling.resume, ("gatepost campaign resume spring --watch",)),
    ("change", controlling.change, ("gatepost campaign change spring --rate 5 --deadline 2d",)),
    ("recount", controlling.recount, ("gatepost campaign recount spring",)),
    ("cancel", controlling.cancel, ("gatepost campaign cancel spring", "gatepost campaign cancel spring --yes")),
    (
        "retry",
        outcomes.retry,
        (
            "gatepost campaign retry spring --dry-run",
            "gatepost campaign retry spring --state exhausted --state expired --deadline 2d --watch",
            "gatepost campaign retry spring --reason not_reached",
        ),
    ),
    (
        "export",
        outcomes.export,
        (
            "gatepost campaign export spring --state failed --output failed.ndjson",
            "gatepost campaign export spring --format csv > everybody.csv",
        ),
    ),
    (
        "show",
        looking.show,
        ("gatepost campaign show spring ana@example.com", "gatepost campaign show spring - --json < address.txt"),
    ),
    ("delete", controlling.delete, ("gatepost campaign delete spring", "gatepost campaign delete $ID --confirm $ID")),
)

for _name, _verb, _lines in _VERBS:
    app.command(_name, epilog=examples(*_lines))(_verb)
