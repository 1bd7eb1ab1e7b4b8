"""`gatepost dead-letters`: the messages that no worker could accept."""

from collections import Counter
from typing import Annotated, Any

import typer

from gatepost_core.dead_letters import DeadLetter, Selection
from gatepost_operations.cli.connection import read_settings
from gatepost_operations.cli.exit_codes import ExitCode
from gatepost_operations.cli.inputs import confirm
from gatepost_operations.cli.options import JsonOption, SinceOption, UntilOption, command_app, examples
from gatepost_operations.cli.output import say, write, write_json
from gatepost_operations.cli.time_input import read_period
from gatepost_operations.formatting import counted, in_zone
from gatepost_operations.maintenance.dead_letters import DeadLetterControl, Replayed, Sizes

app = command_app()

ReasonOption = Annotated[
    str | None, typer.Option("--reason", metavar="TEXT", help="Only dead letters whose reason contains this text.")
]
IdOption = Annotated[list[str] | None, typer.Option("--id", metavar="ID", help="Only this dead letter; repeatable.")]
DoItOption = Annotated[bool, typer.Option("--yes", "-y", help="Apply the change.")]


@app.callback(epilog=examples("gatepost dead-letters replay --reason task --yes"))
def dead_letters() -> None:
    """Show, replay and delete queue messages that no worker could accept."""


@app.command(
    "list",
    epilog=examples(
        "gatepost dead-letters list --since 2h", "gatepost dead-letters list --reason 'no such task' --json"
    ),
)
def list_letters(
    *,
    reason: ReasonOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    limit: Annotated[int, typer.Option("--limit", metavar="N", min=1, help="Maximum number of dead letters.")] = 100,
    as_json: JsonOption = False,
) -> ExitCode:
    """List dead letters, the newest first, with their reasons."""
    selection = _selection(reason, since, until, None)
    with DeadLetterControl(read_settings()) as control:
        found, total = control.letters.list(limit, selection), len(control.letters)
    if as_json:
        write_json({"total": total, "dead_letters": [letter.as_json() for letter in found]})
        return ExitCode.DONE
    if found:
        write(*map(_line, found))
    say(f"{counted(len(found), 'dead letter')} of {total:,}" if total else "There are no dead letters.")
    return ExitCode.DONE


@app.command(
    epilog=examples(
        "gatepost dead-letters show 0b3f8f5e-5f0e-4c5e-9d38-0f8f0f3a7c11",
        "gatepost dead-letters show 0b3f8f5e-5f0e-4c5e-9d38-0f8f0f3a7c11 --reveal",
    )
)
def show(
    letter: Annotated[str, typer.Argument(metavar="ID", help="The dead letter's id.")],
    *,
    reveal: Annotated[
        bool, typer.Option("--reveal", help="Show the whole message in clear. The audit log records this.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before revealing.")] = False,
    as_json: JsonOption = False,
) -> ExitCode:
    """Show a dead letter's queue, time and reason, and the sizes of its headers and body.

    With --reveal, shows the whole message, which may contain an address or a code.
    """
    with DeadLetterControl(read_settings()) as control:
        found = control.letters.find(letter)
        if reveal:
            confirm("Show the whole message in clear?", sure=yes)
            document = found.as_json() | {"message": control.reveal(found)}
            write_json(document)
        else:
            _show(found, control.outline(found), as_json=as_json)
    return ExitCode.DONE


@app.command(
    epilog=examples(
        "gatepost dead-letters replay --reason 'no such task'", "gatepost dead-letters replay --since 2h --yes"
    )
)
def replay(
    *,
    reason: ReasonOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    letter: IdOption = None,
    yes: DoItOption = False,
    as_json: JsonOption = False,
) -> ExitCode:
    """Put messages back on their queues, if workers can now accept them.

    Without --yes, changes nothing and shows the effect. The exit code is 5 if workers still cannot accept some of the messages.
    """
    selection = _selection(reason, since, until, letter)
    with DeadLetterControl(read_settings()) as control:
        done = control.replay(selection) if yes else control.rehearse(selection)
    if as_json:
        write_json({"dry_run": not yes, **done.as_json()})
    else:
        _show_replayed(done, yes=yes)
    return ExitCode.REFUSED if done.refused or done.interrupted else ExitCode.DONE


@app.command(
    epilog=examples("gatepost dead-letters drop --reason 'the envelope'", "gatepost dead-letters drop --until 7d --yes")
)
def drop(
    *,
    reason: ReasonOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    letter: IdOption = None,
    yes: DoItOption = False,
    as_json: JsonOption = False,
) -> ExitCode:
    """Delete dead letters.

    Without --yes, deletes nothing and shows the effect.
    """
    selection = _selection(reason, since, until, letter)
    with DeadLetterControl(read_settings()) as control:
        reasons = Counter(letter.reason for letter in control.letters.select(selection))
        number = control.drop(selection) if yes else sum(reasons.values())
    if as_json:
        write_json({"dry_run": not yes, "dropped": number, "reasons": dict(reasons)})
        return ExitCode.DONE
    write(f"{counted(number, 'dead letter')} {'dropped' if yes else 'would be dropped'}")
    for text, times in reasons.most_common():
        say(f"  {times:,}: {text}")
    if number and not yes:
        say("To drop them, add --yes")
    return ExitCode.DONE


def _line(letter: DeadLetter) -> str:
    note = " (possibly replayed)" if letter.published_perhaps else ""
    return f"{letter.id}  {in_zone(letter.at)}  {letter.queue}  {letter.reason}{note}"


def _selection(reason: str | None, since: str | None, until: str | None, ids: list[str] | None) -> Selection:
    return Selection(reason, *read_period(since, until), frozenset(ids) if ids else None)


def _show(letter: DeadLetter, outline: Sizes, *, as_json: bool) -> None:
    sizes: dict[str, Any] = {"headers": outline.headers, "other_headers": outline.other_headers, "body": outline.body}
    if as_json:
        write_json(letter.as_json() | {"sizes": sizes})
        return
    write(f"{letter.id} {letter.queue} {in_zone(letter.at)}")
    write(letter.reason)
    for name, size in outline.headers.items():
        write(f"  header {name}: {size:,} B")
    if outline.other_headers:
        write(f"  {counted(outline.other_headers, 'other header')}")
    write(f"  body: {outline.body:,} B" if outline.body else "  body: not stored")
    say("To see the whole message in clear, add --reveal")


def _show_replayed(done: Replayed, *, yes: bool) -> None:
    write(f"{counted(done.replayed, 'dead letter')} {'replayed' if yes else 'would be replayed'}")
    for text, times in done.refused.most_common():
        say(f"  {times:,} refused: {text}")
    if done.interrupted:
        say(f"  {done.interrupted:,} possibly replayed before; replay each with --id, or drop it")
    if done.gone:
        say(f"  {done.gone:,} no longer there")
    if done.replayed and not yes:
        say("To replay them, add --yes")
