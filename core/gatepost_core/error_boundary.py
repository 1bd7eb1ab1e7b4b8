"""The boundary around public code: errors leave it without frames, because locals hold personal data and secrets.

An error tracker shows the locals of every frame that it reaches through `__traceback__`, `__cause__` and `__context__`. So an error leaves
a public method with one frame below the caller's: the boundary's own, which has dropped its arguments.
"""

from __future__ import annotations

import asyncio
import inspect
import sys
from functools import wraps
from pathlib import PurePath
from traceback import walk_tb
from types import GeneratorType
from typing import TYPE_CHECKING, Any, Final, ParamSpec, TypeVar

from pydantic import ValidationError

from gatepost_core.errors import GatepostError, Unforeseen

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, AsyncIterator, Callable, Generator, Iterable, Iterator

P = ParamSpec("P")
T = TypeVar("T")

_SPECIAL: Final = ("__init__", "__next__", "__len__", "__enter__", "__exit__", "__aenter__", "__aexit__")
# The interpreter writes their text, and callers act on their class.
_INTERPRETERS: Final = (MemoryError, RecursionError, StopIteration, StopAsyncIteration)
_MOST_PLACES: Final = 10


class Boundary:
    """A decorator for functions, coroutine functions, generators, and all public methods of a class.

    Args:
        known: exceptions whose text holds no personal data and no secret. They leave unchanged. Any other becomes `Unforeseen`, which names
            its class and its place.
    """

    def __init__(self, *known: type[BaseException]) -> None:
        self._known = known

    def __call__(self, target: T) -> T:
        """Put the boundary around a function or a class."""
        around: Any = self._around_class(target) if isinstance(target, type) else self._around(target)
        return around  # type: ignore[no-any-return] # the same type as the target

    def bare(self, error: BaseException) -> BaseException:
        """Return the error to raise in place of this one, without traceback, cause, context and notes."""
        if isinstance(error, _OfCaller):
            return error.theirs()
        left = error if self._is_known(error) else Unforeseen(account(error))
        left.__cause__ = left.__context__ = left.__traceback__ = None
        left.__suppress_context__ = False
        left.__dict__.pop("__notes__", None)
        return left

    def _is_known(self, error: BaseException) -> bool:
        if isinstance(error, BaseExceptionGroup):
            return False
        if isinstance(error, TypeError) and _is_of_the_call(error):
            return True
        return isinstance(error, (*_INTERPRETERS, *self._known)) or not isinstance(error, Exception)

    def _around_class(self, kind: type) -> type:
        for name, member in {"__init__": kind.__init__, **vars(kind)}.items():  # type: ignore[misc] # the class's own
            if name.startswith("_") and name not in _SPECIAL:
                continue
            match member:
                case staticmethod() | classmethod():
                    setattr(kind, name, type(member)(self._around(member.__func__)))
                case property(fget=getter) if getter is not None:
                    setattr(kind, name, property(self._around(getter), member.fset, member.fdel, member.__doc__))
                case _ if inspect.isfunction(member):
                    setattr(kind, name, self._around(member))
        return kind

    def _around(self, function: Any) -> Any:
        if inspect.iscoroutinefunction(function):
            return self._around_coroutine(function)
        if inspect.isasyncgenfunction(function):
            return self._around_async_generator(function)

        @wraps(function)
        def call(*args: Any, **options: Any) -> Any:
            try:
                given = function(*args, **options)
                return self._items(given) if type(given) is GeneratorType else given
            except BaseException as error:  # noqa: BLE001 - the boundary catches everything
                del args, options
                left = self.bare(error)
            raise left

        return call

    def _around_coroutine(self, function: Any) -> Any:
        async def run(given: _Given) -> Any:
            try:
                return await function(*given.args, **given.options)
            except BaseException as error:  # noqa: BLE001 - as above
                del given
                left = self.bare(error)
            raise left

        @wraps(function)
        def call(*args: Any, **options: Any) -> Any:
            # A coroutine that is cancelled before its first step shows its arguments, so the caller's are wrapped.
            coroutine: Any = run(_Given(args, options))
            coroutine.__name__, coroutine.__qualname__ = function.__name__, function.__qualname__
            return coroutine

        return _as_coroutine_function(call)

    def _around_async_generator(self, function: Any) -> Any:
        async def run(given: _Given) -> Any:
            generator = function(*given.args, **given.options)
            try:
                async for item in generator:
                    yield item
            except BaseException as error:  # noqa: BLE001 - as above
                del given
                left = self.bare(error)
            else:
                return
            await generator.aclose()
            raise left

        @wraps(function)
        def call(*args: Any, **options: Any) -> Any:
            return run(_Given(args, options))

        return call

    def _items(self, generator: Generator[Any, Any, Any]) -> Any:
        try:
            return (yield from generator)
        except BaseException as error:  # noqa: BLE001 - as above
            left = self.bare(error)
        raise left


boundary: Final = Boundary(GatepostError)
"""For the functions and classes that an application calls."""
model_boundary: Final = Boundary(GatepostError, ValidationError)
"""For pydantic models that hide their input in errors."""


def account(error: BaseException) -> str:
    """Return an error's class and its places, the latest last. Its text is left out, because it can quote a person."""
    known = getattr(error, "account", None)
    if isinstance(known, str):
        return known
    places = [
        f"{PurePath(frame.f_code.co_filename).name}:{line}"
        for frame, line in walk_tb(error.__traceback__)
        if frame.f_code.co_filename != __file__
    ]
    where = " > ".join(places[-_MOST_PLACES:])
    return f"{type(error).__name__} at {where}" if where else type(error).__name__


def of_caller(error: Exception) -> Exception:
    """Return what carries an error through Gatepost's frames: of the caller's code, or of a method within a boundary."""
    return error if isinstance(error, _OfCaller) else _OfCaller(error)


def items_of_caller(items: Iterable[T]) -> Iterator[T]:
    """Yield the items of a caller's iterable. Errors of the caller's code leave the boundary unchanged."""
    iterator = None
    while True:
        try:
            iterator = iter(items) if iterator is None else iterator
            item = next(iterator)
        except StopIteration:
            return
        except Exception as error:  # noqa: BLE001 - the caller's code may raise anything
            failure = of_caller(error)
            break
        yield item
    raise failure


async def async_items_of_caller(items: AsyncIterable[T]) -> AsyncIterator[T]:
    """Yield the items of a caller's asynchronous iterable. Errors of the caller's code leave the boundary unchanged."""
    iterator = None
    while True:
        try:
            iterator = aiter(items) if iterator is None else iterator
            item = await anext(iterator)
        except StopAsyncIteration:
            return
        except Exception as error:  # noqa: BLE001 - as above
            failure = of_caller(error)
            break
        yield item
    raise failure


def callback_of_caller(callback: Callable[P, None]) -> Callable[P, None]:
    """Wrap a caller's function. Errors of the caller's code leave the boundary unchanged."""

    def call(*args: P.args, **options: P.kwargs) -> None:
        try:
            callback(*args, **options)
        except Exception as error:  # noqa: BLE001 - the caller's code may raise anything
            failure = error
        else:
            return
        raise _OfCaller(failure)

    return call


def _as_coroutine_function(function: Any) -> Any:
    """Mark a function as a coroutine function, for `unittest.mock` and frameworks."""
    if sys.version_info >= (3, 12):
        return inspect.markcoroutinefunction(function)
    function._is_coroutine = asyncio.coroutines._is_coroutine  # type: ignore[attr-defined] # noqa: SLF001 - all that 3.11 has
    return function


class _Given:
    """Arguments without a representation."""

    __slots__ = ("args", "options")

    def __init__(self, args: tuple[Any, ...], options: dict[str, Any]) -> None:
        self.args = args
        self.options = options


class _OfCaller(Exception):
    """Carries an error of the caller's code through Gatepost's frames."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self._error = error

    def theirs(self) -> Exception:
        trace = self._error.__traceback__
        # The frames above this module's are Gatepost's.
        while trace is not None and trace.tb_frame.f_code.co_filename != __file__:
            trace = trace.tb_next
        return self._error.with_traceback(trace and trace.tb_next)


def _is_of_the_call(error: BaseException) -> bool:
    """Return whether the arguments did not fit the function: then the boundary's frame is the only one."""
    return error.__traceback__ is not None and error.__traceback__.tb_next is None
