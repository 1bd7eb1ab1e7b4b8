"""Removes the frames from errors that leave the client: their locals hold personal data and credentials.

An error tracker shows the locals of every frame that it reaches through `__traceback__`, `__cause__` and `__context__`. An error that
leaves a public method therefore has one frame below the caller's: the boundary's, which has deleted its arguments.
`gatepost_core.error_boundary` does the same for the rest of Gatepost; the client imports nothing of it.
"""

from __future__ import annotations

import inspect
from functools import wraps
from pathlib import PurePath
from traceback import walk_tb
from typing import Any, Final, TypeVar

from gatepost_worker.authentication.errors import AuthenticationError, Unforeseen

K = TypeVar("K", bound=type)

_SPECIAL: Final = ("__init__", "__enter__", "__exit__")
# The interpreter writes the text of the last two, and callers act on their class.
_UNCHANGED: Final = (AuthenticationError, MemoryError, RecursionError)
_MOST_PLACES: Final = 10


def boundary(kind: K) -> K:
    """Wrap a class's public methods in the boundary."""
    for name, member in list(vars(kind).items()):
        if inspect.isfunction(member) and (not name.startswith("_") or name in _SPECIAL):
            setattr(kind, name, _around(member))
    return kind


def bare(error: BaseException) -> BaseException:
    """Return the error to raise in place of another, without traceback, cause, context and notes."""
    unchanged = isinstance(error, _UNCHANGED) or not isinstance(error, Exception) or _is_of_the_call(error)
    left = error if unchanged and not isinstance(error, BaseExceptionGroup) else Unforeseen(_account(error))
    left.__cause__ = left.__context__ = left.__traceback__ = None
    left.__suppress_context__ = False
    left.__dict__.pop("__notes__", None)
    return left


def _around(method: Any) -> Any:
    @wraps(method)
    def call(*args: Any, **options: Any) -> Any:
        try:
            return method(*args, **options)
        except BaseException as error:  # noqa: BLE001 - every error must pass the boundary
            del args, options
            left = bare(error)
        raise left

    return call


def _is_of_the_call(error: BaseException) -> bool:
    """Return whether the interpreter refused the arguments of the call: the boundary's frame is then the only one."""
    return isinstance(error, TypeError) and error.__traceback__ is not None and error.__traceback__.tb_next is None


def _account(error: BaseException) -> str:
    places = [
        f"{PurePath(frame.f_code.co_filename).name}:{line}"
        for frame, line in walk_tb(error.__traceback__)
        if frame.f_code.co_filename != __file__
    ]
    return f"{type(error).__name__} at {' > '.join(places[-_MOST_PLACES:])}"
