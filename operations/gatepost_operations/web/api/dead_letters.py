"""Dead letters, for the console: list, replay and drop them, one by one or all that match."""

from collections import Counter
from itertools import islice
from typing import Annotated, Final

from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.responses import JSONResponse
from pydantic import Field

from gatepost_core.dead_letters import DeadLetter
from gatepost_core.errors import InvalidCommand
from gatepost_core.points_in_time import PointInTime
from gatepost_operations.maintenance.api_keys import Scope
from gatepost_operations.maintenance.dead_letters import DeadLetterNotFound, Selection
from gatepost_operations.web.api import schemas
from gatepost_operations.web.api.access import Caller, CallerOf
from gatepost_operations.web.api.bodies import Body, BodyModel, read_json
from gatepost_operations.web.api.openapi import answer, json_body, model_body, problems
from gatepost_operations.web.api.problems import Problem, Type

MOST_LETTERS: Final = 500
"""Letters that one request replays or drops: a few seconds."""

router = APIRouter(tags=["oversight"])
Limit = Annotated[int, Query(ge=1, le=500)]
IdOfLetter = Annotated[str, Path(description="The letter's id.", max_length=64)]
_REPLAYED: Final = {200: answer(schemas.Replayed), **problems(Type.NOT_FOUND)}
_DROPPED: Final = {200: answer(schemas.Dropped), **problems(Type.NOT_FOUND)}
_WITH_BODY: Final = problems(Type.CONFLICT, Type.TOO_LARGE, Type.MEDIA)


@router.get("/v1/dead-letters", operation_id="list_dead_letters", responses={200: answer(schemas.DeadLetterPage)})
async def list_dead_letters(
    caller: CallerOf,
    limit: Limit = 100,
    reason: Annotated[str | None, Query(max_length=200, description="Only those whose reason contains this.")] = None,
    since: Annotated[PointInTime | None, Query(description="Only those refused at this time or later.")] = None,
    until: Annotated[PointInTime | None, Query(description="Only those refused at this time or earlier.")] = None,
) -> Response:
    """Return a list of dead letters without their contents, the newest first.

    `reason`, `since` and `until` filter the list. Scope: `console`.
    """
    caller.require(Scope.CONSOLE)
    return await caller.run(_letters, caller, limit, Selection(reason or None, since=since, until=until))


def _letters(caller: Caller, limit: int, selection: Selection) -> Response:
    found = islice(caller.services.dead_letters.letters.select(selection), limit)
    return JSONResponse({"letters": [letter.as_json() for letter in found]})


class Letters(BodyModel):
    """A choice of dead letters, as on the command line. A letter must meet all criteria."""

    reason: Annotated[str, Field(min_length=1, max_length=200)] | None = Field(
        default=None, description="Only letters whose reason contains this text."
    )
    since: PointInTime | None = Field(default=None, description="Only letters refused at this time or later.")
    until: PointInTime | None = Field(default=None, description="Only letters refused at this time or earlier.")
    ids: (
        Annotated[frozenset[Annotated[str, Field(max_length=64)]], Field(min_length=1, max_length=MOST_LETTERS)] | None
    ) = Field(default=None, description="Only these letters.")
    dry_run: bool = Field(default=False, description="Only count what would change.")
    confirmed: Annotated[int, Field(ge=0)] | None = Field(
        default=None, description="`letters` of a dry run. Needed without `dry_run`."
    )

    def chosen(self, caller: Caller, *, doubtful: bool) -> list[DeadLetter]:
        """Return the newest letters that match, if their number is the confirmed one.

        Args:
            caller: the caller.
            doubtful: whether letters count that an interrupted replay may have published already.

        Raises:
            InvalidCommand: the number is not confirmed.
            Problem: there is another number of them now.
        """
        if self.confirmed is None and not self.dry_run:
            raise InvalidCommand([("confirmed", "is missing; give `letters` of a dry run")])
        selection = Selection(self.reason, self.since, self.until, self.ids, doubtful=doubtful)
        found = list(islice(caller.services.dead_letters.letters.select(selection), MOST_LETTERS))
        if not self.dry_run and len(found) != self.confirmed:
            raise Problem(
                Type.CONFLICT,
                "The number of letters has changed. Nothing was done; confirm the new number.",
                more={"letters": len(found)},
            )
        return found


@router.post(
    "/v1/dead-letters/replay",
    operation_id="replay_dead_letters",
    openapi_extra={"requestBody": json_body(model_body(Letters))},
    responses={200: answer(schemas.ReplayedLetters), **_WITH_BODY},
)
async def replay_dead_letters(request: Request, caller: CallerOf) -> Response:
    """Put up to 500 dead letters back on their queues. Send the request twice: first with `dry_run`, then with `confirmed`.

    Scope: `console`.
    """
    caller.require(Scope.CONSOLE)
    return await caller.run(_replay_all, caller, await read_json(request))


def _replay_all(caller: Caller, body: Body) -> Response:
    wanted, control = body.read_as(Letters), caller.services.dead_letters
    named = wanted.ids is not None
    letters = wanted.chosen(caller, doubtful=named)
    act = control.rehearse_all if wanted.dry_run else control.replay_all
    done = act(letters, again=named)
    return JSONResponse({"dry_run": wanted.dry_run, "letters": len(letters), **done.as_json()})


@router.post(
    "/v1/dead-letters/drop",
    operation_id="drop_dead_letters",
    openapi_extra={"requestBody": json_body(model_body(Letters))},
    responses={200: answer(schemas.DroppedLetters), **_WITH_BODY},
)
async def drop_dead_letters(request: Request, caller: CallerOf) -> Response:
    """Delete up to 500 dead letters. Send the request twice: first with `dry_run`, then with `confirmed`.

    Scope: `console`.
    """
    caller.require(Scope.CONSOLE)
    return await caller.run(_drop_all, caller, await read_json(request))


def _drop_all(caller: Caller, body: Body) -> Response:
    wanted = body.read_as(Letters)
    letters = wanted.chosen(caller, doubtful=True)
    dropped = len(letters) if wanted.dry_run else caller.services.dead_letters.drop_all(letters)
    reasons = Counter(letter.reason for letter in letters)
    return JSONResponse(
        {"dry_run": wanted.dry_run, "letters": len(letters), "dropped": dropped, "reasons": dict(reasons)}
    )


@router.post("/v1/dead-letters/{letter_id}/replay", operation_id="replay_dead_letter", responses=_REPLAYED)
async def replay_dead_letter(letter_id: IdOfLetter, caller: CallerOf) -> Response:
    """Put a dead letter back on its queue. Scope: `console`."""
    caller.require(Scope.CONSOLE)
    letters = caller.services.dead_letters
    return await caller.run(lambda: JSONResponse(letters.replay(_one(caller, letter_id)).as_json()))


@router.post("/v1/dead-letters/{letter_id}/drop", operation_id="drop_dead_letter", responses=_DROPPED)
async def drop_dead_letter(letter_id: IdOfLetter, caller: CallerOf) -> Response:
    """Delete a dead letter. Scope: `console`."""
    caller.require(Scope.CONSOLE)
    letters = caller.services.dead_letters
    return await caller.run(lambda: JSONResponse({"dropped": letters.drop(_one(caller, letter_id))}))


def _one(caller: Caller, letter_id: str) -> Selection:
    chosen = Selection(ids=frozenset({letter_id}))
    if not any(caller.services.dead_letters.letters.select(chosen)):
        raise DeadLetterNotFound
    return chosen
