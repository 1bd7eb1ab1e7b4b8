"""Every public method is inside the boundary, at almost no cost."""

from __future__ import annotations

import asyncio
import inspect
import timeit
from typing import TYPE_CHECKING, Any
from unittest.mock import AsyncMock, create_autospec

import pytest

import gatepost
from gatepost.campaigns.suppression import Suppressions
from gatepost.errors import GatepostError, Unforeseen
from gatepost_core import commands, outcomes, settings
from gatepost_core.dead_letters import DeadLetters
from gatepost_core.error_boundary import account, boundary, items_of_caller
from gatepost_core.sealing import Key, Keyring
from gatepost_operations.files import check, rows
from gatepost_operations.maintenance.dead_letters import DeadLetterControl
from gatepost_operations.maintenance.erasure import Erasure
from gatepost_operations.maintenance.key_rotation import Rotation
from gatepost_worker.authentication import Passwordless
from gatepost_worker.bulk.sweep import CampaignSweep
from gatepost_worker.bulk.task import BatchRunner
from gatepost_worker.delivery.runner import Runner
from gatepost_worker.submission import Submissions
from gatepost_worker.upkeep.reconciler import Reconciler
from support.error_tracker import BOUNDARIES, assert_bare, raised_by, shown_of

if TYPE_CHECKING:
    from collections.abc import Iterator

SECRET = "canary-q7x2v9"
# Values without methods that check or do anything. A row holds a person, and its repr masks it.
_VALUES = {
    "Campaign",
    "Channel",
    "Completion",
    "Enqueued",
    "Outcome",
    "Reason",
    "Row",
    "SendingHours",
    "State",
    "SuppressionReason",
}
PLAIN = {*_VALUES, "CampaignConflict", "CampaignNotFound"}
CLASSES = [
    *(getattr(gatepost, name) for name in gatepost.__all__ if name not in PLAIN and name[0].isupper()),
    *(commands.SendEmail, commands.SendSms, commands.LoginWithEmail, commands.LoginWithSms),
    *(Suppressions, Erasure, DeadLetterControl, DeadLetters, Rotation, Key, Keyring, rows.RowReader),
    *(Passwordless, Submissions, Runner, BatchRunner, Reconciler, CampaignSweep),
]
FUNCTIONS = [
    *(commands.build, commands.parse_command, commands.load_command, outcomes.load_redeemable),
    *(settings.load_settings, rows.read_rows, check.check_file),
]


def public_functions(kind: type) -> dict[str, Any]:
    found = {}
    for name in ("__init__", "__enter__", "__exit__", "__aenter__", "__aexit__", *vars(kind)):
        member = inspect.getattr_static(kind, name, None)
        member = member.fget if isinstance(member, property) else getattr(member, "__func__", member)
        if inspect.isfunction(member) and (not name.startswith("_") or name.startswith("__")):
            found[name] = member
    return found


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_every_public_method_lies_within_the_boundary(kind: type) -> None:
    """A method that is added next year does so too."""
    shows = {"__repr__", "__str__", "__iter__", "__eq__", "__hash__", "__post_init__", "__setattr__", "__delattr__"}
    outside = [
        name
        for name, function in public_functions(kind).items()
        if name not in shows | {"__replace__", "__pydantic_init_subclass__", "settings_customise_sources"}
        and function.__code__.co_filename not in BOUNDARIES
    ]

    assert outside == []


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.__name__)
def test_every_public_function_lies_within_the_boundary(function: Any) -> None:
    """Those that take a person or a secret."""
    assert function.__code__.co_filename in BOUNDARIES


@boundary
def fail(error: BaseException, held: str) -> str:
    try:
        int(held)
    except ValueError:
        raise error  # noqa: B904 - chained on purpose


@boundary
def give(error: BaseException, held: str) -> Iterator[str]:
    yield held
    raise error


@boundary
async def fail_awaited(error: BaseException, held: str) -> str:
    try:
        int(held)
    except ValueError as cause:
        raise error from cause


@pytest.mark.parametrize(
    ("error", "left"),
    [
        (GatepostError("known"), GatepostError),
        (KeyError(SECRET), Unforeseen),
        (ExceptionGroup(SECRET, [GatepostError("known")]), Unforeseen),
        (BaseExceptionGroup(SECRET, [KeyboardInterrupt()]), Unforeseen),
        (KeyboardInterrupt(), KeyboardInterrupt),
        (MemoryError(), MemoryError),
        (GeneratorExit(), GeneratorExit),
    ],
    ids=lambda one: getattr(one, "__name__", type(one).__name__),
)
@pytest.mark.parametrize(
    "call",
    [
        fail,
        lambda *given: list(give(*given)),
        lambda *given: fail_awaited(*given).send(None),
    ],
    ids=["a function", "a generator", "a coroutine"],
)
def test_an_error_leaves_without_frames_causes_and_notes(call: Any, error: BaseException, left: type) -> None:
    """A known one as it is, any other by its class and its places."""
    error.add_note(SECRET)
    came = raised_by(lambda: call(error, SECRET))

    assert type(came) is left
    assert not hasattr(came, "__notes__")
    assert_bare(came, __file__, [SECRET])


def test_a_task_that_is_cancelled_before_its_first_step_shows_nobody() -> None:
    """Its arguments are only in the coroutine itself; `wait_for` chains its error to that."""

    async def time_out() -> None:
        await asyncio.wait_for(fail_awaited(KeyError(), SECRET), 0)

    error = raised_by(lambda: asyncio.run(time_out()))

    assert type(error) is TimeoutError
    assert SECRET not in shown_of(error, __file__)


def test_a_loop_may_end_early() -> None:
    """The rest of a generator is left in peace."""
    seen = []
    for item in give(KeyError(), SECRET):
        seen.append(item)
        break

    assert seen == [SECRET]


def test_an_unforeseen_error_names_its_places() -> None:
    """By file and line, so that it can be reported."""
    error = raised_by(lambda: fail(KeyError(SECRET), SECRET))

    assert "KeyError at test_boundary.py:" in str(error)
    assert account(error).startswith("KeyError at test_boundary.py:")


def test_a_callers_own_error_keeps_its_causes() -> None:
    """The caller's error keeps its own cause."""

    def own() -> Iterator[str]:
        yield "first"
        try:
            int("x")
        except ValueError as cause:
            raise LookupError("mine") from cause

    @boundary
    def consume(items: Iterator[str]) -> list[str]:
        return list(items_of_caller(items))

    error = raised_by(lambda: consume(own()))

    assert type(error) is LookupError
    assert isinstance(error.__cause__, ValueError)


def test_the_boundary_costs_less_than_a_microsecond_or_so() -> None:
    """A row of a campaign takes two hundred of them and passes it once."""

    def nothing() -> None:
        return None

    within: Any = boundary(nothing)
    bare, bounded = (min(timeit.repeat(call, number=10_000, repeat=5)) / 10_000 for call in (nothing, within))

    assert bounded - bare < 10e-6


def test_a_method_that_is_awaited_can_be_told_from_others() -> None:
    """A double made from the class is awaited where the class is."""
    assert isinstance(create_autospec(gatepost.AsyncProducer).send_email, AsyncMock)
