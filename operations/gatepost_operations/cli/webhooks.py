"""`gatepost webhooks`: the endpoints that receive events."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Annotated, Any, Final
from urllib.parse import urlsplit

import typer

from gatepost_core.broker.publishing import build_app
from gatepost_core.errors import FieldError, InvalidCommand, NewerForm, SealError
from gatepost_core.settings import Settings
from gatepost_core.webhooks.endpoints import Endpoint
from gatepost_core.webhooks.events import SUBSCRIBABLE, EventType
from gatepost_core.webhooks.publishing import publish_delivery
from gatepost_operations.cli.connection import open_redis
from gatepost_operations.cli.exit_codes import ExitCode
from gatepost_operations.cli.inputs import confirm, url_from
from gatepost_operations.cli.options import (
    DryRunOption,
    JsonOption,
    Missing,
    SinceOption,
    UntilOption,
    YesOption,
    command_app,
    examples,
)
from gatepost_operations.cli.output import say, show, write, write_json
from gatepost_operations.cli.time_input import read_duration, read_period
from gatepost_operations.formatting import counted, duration_text, in_zone
from gatepost_operations.maintenance.webhooks import Fate, WebhookControl

app = command_app()

EndpointArgument = Annotated[str, typer.Argument(metavar="ID", help="Id of the endpoint, or the beginning of the id.")]

_POLL_S: Final = 0.2
_STATES: Final = {"operator": "disabled", "gone": "disabled: answered 410", "failing": "disabled: failed for a day"}


@app.callback(epilog=examples("gatepost webhooks add https://example.com/gatepost"))
def webhooks() -> None:
    """Send events to other systems, such as the end of a campaign.

    Workers send a signed POST request for each event. If the endpoint does not answer with 2xx, workers repeat the request for up to a day.
    """


@contextmanager
def _control() -> Iterator[tuple[Settings, WebhookControl]]:
    with open_redis() as (settings, client, audit):
        yield settings, WebhookControl(client, settings, audit)


@app.command(
    epilog=examples(
        "gatepost webhooks add https://example.com/gatepost",
        "gatepost webhooks add - --event campaign.finished < url.txt",
    )
)
def add(
    url: Annotated[
        str,
        typer.Argument(metavar="URL", help="The https:// URL of the endpoint; - reads the URL from standard input."),
    ],
    *,
    event: Annotated[
        list[str] | None,
        typer.Option("--event", metavar="TYPE", help="Only events of this type; repeatable [default: all]."),
    ] = None,
    as_json: JsonOption = False,
) -> ExitCode:
    """Add an endpoint, and show its secret once.

    The endpoint gets the events that happen from now on. The receiver needs the secret to verify signatures.
    """
    with _control() as (_, control):
        endpoint, secret = control.add(url_from(url), _types(event))
    document = endpoint.as_json() | {"secret": secret}
    show(document, f"added: {endpoint.id}", f"secret: {secret}", as_json=as_json)
    if not as_json:
        say("Store the secret now; it is not shown again. Try it: gatepost webhooks test " + endpoint.id[:8])
    return ExitCode.DONE


def _types(given: list[str] | None) -> list[EventType]:
    known = {event.value: event for event in SUBSCRIBABLE}
    if unknown := [name for name in given or () if name not in known]:
        raise InvalidCommand([FieldError("event", f"has no type {unknown[0]!r}; there are {', '.join(known)}")])
    return [known[name] for name in dict.fromkeys(given or known)]


@app.command("list", epilog=examples("gatepost webhooks list", "gatepost webhooks list --json | jq '.endpoints[].id'"))
def list_command(*, as_json: JsonOption = False) -> ExitCode:
    """List the endpoints with their states, and count their events.

    Shows only the host of a URL, because the rest may be a secret.
    """
    with _control() as (_, control):
        backlog, now = control.deliveries.backlog(), datetime.now(UTC)
        found = [(one, _host(control, one), backlog.get(one.id)) for one in control.endpoints.list()]
    if as_json:
        documents = [
            one.as_json()
            | {"host": host, "waiting": waiting.waiting if waiting else 0}
            | {"oldest_age_s": round(waiting.age_s(now)) if waiting else 0}
            for one, host, waiting in found
        ]
        write_json({"endpoints": documents})
        return ExitCode.DONE
    for one, host, waiting in found:
        write(f"{one.id}  {host}  {_state(one)}")
        write(f"  events: {', '.join(one.types)}")
        number = waiting.waiting if waiting else 0
        age = f", the oldest for {duration_text(waiting.age_s(now))}" if waiting and number else ""
        write(f"  {one.delivered:,} delivered, {number:,} waiting{age}{_losses(one)}")
    if not found:
        say("There is no endpoint. To add one: gatepost webhooks add https://example.com/gatepost")
    return ExitCode.DONE


def _host(control: WebhookControl, endpoint: Endpoint) -> str:
    try:
        return urlsplit(control.endpoints.target(endpoint.id).url).netloc
    except NewerForm:
        return "(stored by a newer version)"
    except SealError:
        return "(its sealing key is missing)"


def _state(endpoint: Endpoint) -> str:
    if not endpoint.enabled:
        at = f" at {in_zone(endpoint.disabled_at)}" if endpoint.disabled_at else ""
        return f"{_STATES.get(endpoint.disabled_reason or '', 'disabled')}{at}"
    if endpoint.failing_since:
        return f"failing since {in_zone(endpoint.failing_since)} ({endpoint.last_failure})"
    return "enabled"


def _losses(endpoint: Endpoint) -> str:
    lost = f", {endpoint.lost:,} lost" if endpoint.lost else ""
    return f", {endpoint.given_up:,} given up{lost}" if endpoint.given_up else lost


@app.command("test", epilog=examples("gatepost webhooks test 3f2a", "gatepost webhooks test 3f2a --timeout 60 --json"))
def send_test(
    endpoint: EndpointArgument,
    *,
    timeout: Annotated[
        float, typer.Option("--timeout", metavar="SECONDS", min=0, max=600, help="Longest wait for the result.")
    ] = 30.0,
    as_json: JsonOption = False,
) -> ExitCode:
    """Send a test event to one endpoint, and show the result.

    A worker sends the event. If the attempt fails, workers send the event again, like any other event. The exit code is 3 if the endpoint
    did not accept the event in time.
    """
    with _control() as (settings, control):
        before = control.find(endpoint)
        event_id = control.test(before)
        celery = build_app(settings)
        try:
            publish_delivery(celery, before.id)
        finally:
            celery.close()
        fate, ends = Fate.WAITING, time.monotonic() + timeout
        while fate is Fate.WAITING and time.monotonic() < ends:
            time.sleep(_POLL_S)
            fate = control.fate(before, event_id)
        failure = control.find(before.id).last_failure if fate is Fate.FAILED else None
    show(
        {"endpoint": before.id, "result": fate, "failure": failure}, _test_text(before, fate, failure), as_json=as_json
    )
    return ExitCode.DONE if fate is Fate.DELIVERED else ExitCode.NOT_ACCEPTED


def _test_text(endpoint: Endpoint, fate: Fate, failure: str | None) -> str:
    if fate is Fate.FAILED:
        return f"failed: {failure}"
    if fate is Fate.WAITING:
        why = "Is a worker running? See: gatepost doctor" if endpoint.enabled else "The endpoint is disabled."
        return f"waiting: no worker has sent it yet. {why}"
    return "delivered"


@app.command(
    epilog=examples("gatepost webhooks replay 3f2a --since 2h", "gatepost webhooks replay 3f2a --since 2d --dry-run")
)
def replay(
    endpoint: EndpointArgument,
    *,
    since: SinceOption = None,
    until: UntilOption = None,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> ExitCode:
    """Send the events of a time range again.

    Each event keeps its header webhook-id. --since is required. Gatepost keeps events for three days (GATEPOST_WEBHOOK_RETENTION). Events to which no endpoint subscribes are not
    kept.
    """
    start, end = read_period(since, until)
    if start is None:
        raise Missing("--since", "give the start of the range, such as --since 2h")
    with _control() as (_, control):
        found = control.find(endpoint)
        number = control.replay(found.id, start, end, dry_run=dry_run)
    text = f"{counted(number, 'event')} {'would be sent again' if dry_run else 'will be sent again'}"
    show({"endpoint": found.id, "dry_run": dry_run, "events": number}, text, as_json=as_json)
    return ExitCode.DONE


@app.command(epilog=examples("gatepost webhooks rotate 3f2a", "gatepost webhooks rotate 3f2a --overlap 7d"))
def rotate(
    endpoint: EndpointArgument,
    *,
    overlap: Annotated[
        str,
        typer.Option(
            "--overlap",
            metavar="DURATION",
            help="Time for which requests are also signed with the old secret, such as 7d.",
        ),
    ] = "24h",
    as_json: JsonOption = False,
) -> ExitCode:
    """Create a new secret for the signatures, and show it once.

    During the overlap, every request is signed with the old and the new secret. Give the new secret to the receiver in this time.
    """
    with _control() as (_, control):
        found, secret = control.rotate(endpoint, read_duration(overlap, "overlap"))
    document: dict[str, Any] = {"endpoint": found.id, "secret": secret, "overlap": overlap}
    show(document, f"rotated: {found.id}", f"secret: {secret}", as_json=as_json)
    if not as_json:
        say(f"Store the secret now; it is not shown again. The earlier one signs for {overlap} more.")
    return ExitCode.DONE


@app.command(epilog=examples("gatepost webhooks enable 3f2a"))
def enable(endpoint: EndpointArgument, *, as_json: JsonOption = False) -> ExitCode:
    """Enable an endpoint, and send the events that waited for it.

    `gatepost doctor` reports how many events were lost or given up. `enable` sets these numbers to 0.
    """
    with _control() as (_, control):
        before = control.enable(endpoint)
    changed = not before.enabled
    text = "enabled" if changed else "it was enabled; its events are due now"
    show({"endpoint": before.id, "changed": changed}, text, as_json=as_json)
    return ExitCode.DONE


@app.command(epilog=examples("gatepost webhooks disable 3f2a"))
def disable(endpoint: EndpointArgument, *, as_json: JsonOption = False) -> ExitCode:
    """Send nothing to an endpoint.

    The events wait until you enable the endpoint, for at most three days (GATEPOST_WEBHOOK_RETENTION).
    """
    with _control() as (_, control):
        before = control.disable(endpoint)
    show({"endpoint": before.id, "changed": before.enabled}, "disabled", as_json=as_json)
    return ExitCode.DONE


@app.command(epilog=examples("gatepost webhooks remove 3f2a", "gatepost webhooks remove 3f2a --yes"))
def remove(endpoint: EndpointArgument, *, yes: YesOption = False, as_json: JsonOption = False) -> ExitCode:
    """Remove an endpoint, its secrets and its waiting events."""
    with _control() as (_, control):
        found = control.find(endpoint)
        confirm(f"Remove {found.id}, and drop the events that wait for it?", sure=yes)
        control.remove(found.id)
    show({"endpoint": found.id, "removed": True}, "removed", as_json=as_json)
    return ExitCode.DONE
