"""Dead letters without their contents: list, show, put back on the queue, drop. The API does the last two, because it has the keys."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Form, Path, Query, Request
from fastapi.concurrency import run_in_threadpool
from starlette.responses import RedirectResponse, Response

from gatepost_core.dead_letters import DeadLetterIndex, Selection
from gatepost_core.redis.keys import milliseconds
from gatepost_operations.web.console.api import Problem
from gatepost_operations.web.console.context import Console, ConsoleOf
from gatepost_operations.web.console.pages.campaign_actions import local_time
from gatepost_operations.web.console.rendering import Link, render
from gatepost_operations.web.console.security.operators import Level, require

LINK: Final = Link("Dead letters", "/dead-letters")
router: Final = APIRouter(prefix="/dead-letters", dependencies=[require(Level.READ_ONLY)])
LetterId = Annotated[str, Path(pattern=r"^[0-9a-f-]{36}$")]
_PAGE: Final = 50
# As the API takes them.
_MOST_AT_ONCE: Final = 500
_LONGEST_TIME: Final = 40


@dataclass(frozen=True, slots=True)
class Filter:
    """A filter as the operator typed it: a part of the reason, and a time range in the console's local time."""

    reason: Annotated[str, Query(max_length=200)] = ""
    since: Annotated[str, Query(max_length=_LONGEST_TIME)] = ""
    until: Annotated[str, Query(max_length=_LONGEST_TIME)] = ""

    @property
    def query(self) -> dict[str, str]:
        """The filled fields."""
        return {name: value for name, value in asdict(self).items() if value}

    @property
    def selection(self) -> Selection:
        """The letters that match.

        Raises:
            Problem: a time cannot be read.
        """
        return Selection(self.reason or None, since=_time(self.since, "since"), until=_time(self.until, "until"))


def _time(given: str, field: str) -> datetime | None:
    text = local_time(given, field)
    return None if text is None else datetime.fromisoformat(text)


def _form_filter(
    reason: Annotated[str, Form(max_length=200)] = "",
    since: Annotated[str, Form(max_length=_LONGEST_TIME)] = "",
    until: Annotated[str, Form(max_length=_LONGEST_TIME)] = "",
) -> Filter:
    return Filter(reason, since, until)


FilterOf = Annotated[Filter, Depends()]
FormFilter = Annotated[Filter, Depends(_form_filter)]
Confirmed = Annotated[int, Form(ge=0)]


@router.get("")
def list_letters(
    request: Request,
    console: ConsoleOf,
    wanted: FilterOf,
    before: Annotated[int | None, Query(ge=0, le=99_999_999_999_999)] = None,
    done: str = "",
) -> Response:
    """Show dead letters, the newest first."""
    index, selection = _index(console), wanted.selection
    if before is not None:
        selection = replace(selection, until=datetime.fromtimestamp(before / 1000, UTC))
    found = index.list(_PAGE + 1, selection)
    shown = found[:_PAGE]
    following = milliseconds(shown[-1].at) - 1 if len(found) > _PAGE else None
    return render(
        request,
        "dead_letters/list.html.j2",
        letters=shown,
        total=len(index),
        wanted=wanted,
        following=following,
        done=done,
    )


@router.get("/replay", dependencies=[require(Level.OPERATOR)])
def ask_to_replay_all(request: Request, console: ConsoleOf, wanted: FilterOf) -> Response:
    """Ask before all messages that match are put back."""
    return _ask(request, console, "replay", wanted)


@router.get("/drop", dependencies=[require(Level.ADMIN)])
def ask_to_drop_all(request: Request, console: ConsoleOf, wanted: FilterOf) -> Response:
    """Ask before all messages that match are deleted."""
    return _ask(request, console, "drop", wanted)


@router.post("/replay", dependencies=[require(Level.OPERATOR)])
async def replay_all(request: Request, console: ConsoleOf, wanted: FormFilter, confirmed: Confirmed) -> Response:
    """Put back the messages that match and that workers can now accept. One that may be back already is left out."""
    return await _act_on_all(request, console, "replay", wanted, confirmed)


@router.post("/drop", dependencies=[require(Level.ADMIN)])
async def drop_all(request: Request, console: ConsoleOf, wanted: FormFilter, confirmed: Confirmed) -> Response:
    """Delete the messages that match."""
    return await _act_on_all(request, console, "drop", wanted, confirmed)


@router.get("/{letter_id}")
def show_letter(request: Request, console: ConsoleOf, letter_id: LetterId) -> Response:
    """Show one dead letter."""
    letter = _index(console).find(letter_id)
    return render(request, "dead_letters/letter.html.j2", letter=letter, replayed=None)


@router.post("/{letter_id}/replay", dependencies=[require(Level.OPERATOR)])
async def replay(request: Request, console: ConsoleOf, letter_id: LetterId) -> Response:
    """Put a message back on its queue, if workers can now accept it."""
    answer = await _act(request, console, letter_id, "replay")
    if answer.get("replayed"):
        return RedirectResponse("/dead-letters?done=replay", 303)
    letter = await run_in_threadpool(_index(console).find, letter_id)
    return render(request, "dead_letters/letter.html.j2", status=409, letter=letter, replayed=answer)


@router.get("/{letter_id}/drop", dependencies=[require(Level.ADMIN)])
def ask_to_drop(request: Request, console: ConsoleOf, letter_id: LetterId) -> Response:
    """Ask before a message is deleted."""
    return render(request, "dead_letters/drop.html.j2", letter=_index(console).find(letter_id))


@router.post("/{letter_id}/drop", dependencies=[require(Level.ADMIN)])
async def drop(request: Request, console: ConsoleOf, letter_id: LetterId) -> Response:
    """Delete a message."""
    await _act(request, console, letter_id, "drop")
    return RedirectResponse("/dead-letters?done=drop", 303)


def _ask(
    request: Request, console: Console, action: str, wanted: Filter, *, changed: bool = False, **values: Any
) -> Response:
    number = _matching(console, action, wanted)
    shown = {"action": action, "wanted": wanted, "number": number, "changed": changed, "done": None} | values
    return render(request, "dead_letters/all.html.j2", status=409 if changed else 200, **shown)


async def _act_on_all(request: Request, console: Console, action: str, wanted: Filter, confirmed: int) -> Response:
    """Let the API act on the messages, if their number is still the confirmed one, and show the numbers."""
    selection = wanted.selection
    times = {"since": selection.since, "until": selection.until}
    values = {"reason": selection.reason, **{name: at and at.isoformat() for name, at in times.items()}}
    try:
        answer = await console.api_of(request).call(
            "POST", f"/v1/dead-letters/{action}", json={**values, "confirmed": confirmed}
        )
    except Problem as problem:
        if problem.status != HTTPStatus.CONFLICT:
            raise
        return await run_in_threadpool(_ask, request, console, action, wanted, changed=True)
    done = {"done": answer.get("replayed", answer.get("dropped", 0)), "flaws": answer.get("flaws", {})}
    return await run_in_threadpool(_ask, request, console, action, wanted, **done)


def _matching(console: Console, action: str, wanted: Filter) -> int:
    """Return the number of messages that match. One that may be back already is put back only by itself."""
    selection = replace(wanted.selection, doubtful=action == "drop")
    return len(_index(console).list(_MOST_AT_ONCE, selection))


async def _act(request: Request, console: Console, letter_id: str, action: str) -> Mapping[str, Any]:
    answer: Mapping[str, Any] = await console.api_of(request).call("POST", f"/v1/dead-letters/{letter_id}/{action}")
    return answer or {}


def _index(console: Console) -> DeadLetterIndex:
    return DeadLetterIndex(console.redis, console.keys, lifetime_s=console.settings.dead_letter_lifetime)
