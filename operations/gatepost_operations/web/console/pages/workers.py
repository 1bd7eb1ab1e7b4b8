"""Workers and queues."""

from typing import Final

from fastapi import APIRouter, Request
from starlette.responses import Response

from gatepost_core.errors import Unavailable
from gatepost_operations.planning.workers import START_WORKER, queues_by_worker
from gatepost_operations.web.console.context import ConsoleOf
from gatepost_operations.web.console.fleet import read_fleet
from gatepost_operations.web.console.rendering import Link, render
from gatepost_operations.web.console.security.operators import Level, require

LINK: Final = Link("Workers", "/workers")
_ANSWER_WITHIN_S: Final = 2
router: Final = APIRouter(prefix="/workers", dependencies=[require(Level.READ_ONLY)])


@router.get("")
def workers(request: Request, console: ConsoleOf) -> Response:
    """Show the queues and the upkeep."""
    fleet = read_fleet(console.redis, console.keys, console.settings)
    return render(request, "workers/workers.html.j2", fleet=fleet)


@router.get("/answers")
def answers(request: Request, console: ConsoleOf) -> Response:
    """Ask the workers. Takes two seconds, so the page loads it afterwards."""
    found: dict[str, list[str]] = {}
    problem = ""
    try:
        found = queues_by_worker(console.settings, answer_within_s=_ANSWER_WITHIN_S)
    except Unavailable as failure:
        problem = str(failure)
    name = "workers/_answers.html.j2" if "hx-request" in request.headers else "workers/answers.html.j2"
    return render(request, name, workers=found, problem=problem, start_worker=START_WORKER)
