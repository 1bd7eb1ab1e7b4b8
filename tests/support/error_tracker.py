"""What an error tracker sees: sentry-sdk with its defaults, rich's tracebacks with locals, and everything that an error leads to."""

from __future__ import annotations

import io
import json
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from traceback import walk_tb
from typing import TYPE_CHECKING, Any

import sentry_sdk
from rich.console import Console
from rich.traceback import Traceback
from sentry_sdk.transport import Transport

from gatepost_core import error_boundary as producers_boundary
from gatepost_worker.authentication import boundary as clients_boundary

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

    from sentry_sdk.client import BaseClient
    from sentry_sdk.envelope import Envelope

_DSN = "https://key@127.0.0.1/1"
BOUNDARIES = {producers_boundary.__file__, clients_boundary.__file__}


class Keeping(Transport):
    """Keeps the events in place of sending them."""

    def __init__(self, options: dict[str, Any] | None = None) -> None:
        super().__init__(options)
        self.events: list[dict[str, Any]] = []

    def capture_envelope(self, envelope: Envelope) -> None:
        event = envelope.get_event()
        if event is not None:
            self.events.append(json.loads(json.dumps(event, default=str)))


@cache
def _client() -> tuple[BaseClient, Keeping]:
    # Once a process: its integrations take a while to set up.
    transport = Keeping()
    sentry_sdk.init(_DSN, transport=transport)
    return sentry_sdk.get_client(), transport


@contextmanager
def tracking() -> Iterator[list[dict[str, Any]]]:
    """Run sentry-sdk with its defaults, and give the list that its events go to."""
    client, transport = _client()
    transport.events = []
    sentry_sdk.get_global_scope().set_client(client)
    try:
        yield transport.events
    finally:
        sentry_sdk.get_global_scope().set_client(None)


def raised_by(call: Callable[[], Any]) -> BaseException:
    """Return the error of a call; the caller's own frames are this one's and above."""
    try:
        call()
    except BaseException as error:  # noqa: BLE001 - whatever it is, is looked at
        return error
    raise AssertionError("nothing was raised")


def frames_of_others(error: BaseException, own: str) -> list[FrameType]:
    """Return every frame that an error leads to, but for those of the file `own` and of this one."""
    return [frame for frame in _frames(error, set()) if frame.f_code.co_filename not in {own, __file__}]


def frames_of_ours(error: BaseException) -> list[FrameType]:
    """Return the frames of Gatepost that an error leads to, but for those of the boundaries."""
    found = (frame for frame in _frames(error, set()) if frame.f_code.co_filename not in BOUNDARIES)
    return [frame for frame in found if str(frame.f_globals.get("__name__")).startswith("gatepost")]


def shown_of(error: BaseException, own: str) -> str:
    """Return all that Sentry and rich show of an error, without the caller's own frames; and the reprs of all locals."""
    kept = [*frames_of_others(error, own)]
    locals_ = "\n".join(repr(value) for frame in kept for value in frame.f_locals.values())
    with tracking() as events:
        sentry_sdk.capture_exception(error)
    assert events
    return "\n".join([locals_, json.dumps(_without(own, events)), _by_rich(error, own), repr(error), str(error)])


def _frames(error: BaseException | None, seen: set[int]) -> Iterator[FrameType]:
    if error is None or id(error) in seen:
        return
    seen.add(id(error))
    for frame, _ in walk_tb(error.__traceback__):
        yield frame
    for other in (error.__cause__, error.__context__, *getattr(error, "exceptions", ())):
        yield from _frames(other, seen)


def _without(own: str, value: Any) -> Any:
    """Leave the locals of the caller's own frames out of an event."""
    if isinstance(value, list):
        return [_without(own, one) for one in value]
    if not isinstance(value, dict):
        return value
    if value.get("abs_path") in {own, __file__}:
        return {"abs_path": Path(own).name}
    return {name: _without(own, one) for name, one in value.items()}


def _by_rich(error: BaseException, own: str) -> str:
    trace = Traceback.from_exception(
        type(error), error, error.__traceback__, show_locals=True, locals_max_string=None, locals_max_length=None
    )
    for stack in trace.trace.stacks:
        stack.frames[:] = [frame for frame in stack.frames if frame.filename not in {own, __file__}]
    written = io.StringIO()
    Console(file=written, width=10_000).print(trace)
    return written.getvalue()


def assert_bare(error: BaseException, own: str, secrets: list[str]) -> None:
    """Nothing below the caller's own line is reached but the boundary's frame, and nothing that was planted is shown."""
    others = {frame.f_code.co_filename for frame in frames_of_others(error, own)}
    shown = shown_of(error, own)
    assert others <= BOUNDARIES, others - BOUNDARIES
    assert [secret for secret in secrets if secret in shown] == []
    assert error.__cause__ is None
