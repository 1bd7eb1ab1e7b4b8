"""Hooks around every HTTP attempt: before it, after a success, on an error."""

from __future__ import annotations

import traceback
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from gatepost_worker.authentication.causes import Delivery
from gatepost_worker.authentication.errors import AuthenticationError, MiddlewareFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from requests import PreparedRequest

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpResponse:
    """An answer whose body has been read. Printing does not show the body.

    Attributes:
        status: the HTTP status.
        headers: looked up without regard to case.
        body: the whole body.
        sent_at: when the request left, on the monotonic clock.
        received_at: when the answer was complete, on the monotonic clock.
    """

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    sent_at: float | None = None
    received_at: float | None = None

    @property
    def ok(self) -> bool:
        """Whether the status is a success; a redirect is not."""
        return 200 <= self.status < 300  # noqa: PLR2004 - the bounds of RFC 9110's class "successful"


class Middleware:
    """One hook's three places. Derive from it and override what you need; the rest does nothing.

    A request holds the credential and the person: do not log its body. Every attempt of a call passes here, each with its own client
    assertion. Hooks run in list order.
    """

    def before(self, request: PreparedRequest) -> PreparedRequest | None:
        """See the request, or give another in its place, before it is sent."""

    def after(self, request: PreparedRequest, response: HttpResponse) -> HttpResponse | None:
        """See a successful answer, or give another in its place."""

    def on_error(
        self, request: PreparedRequest, error: AuthenticationError | None, response: HttpResponse | None
    ) -> HttpResponse | None:
        """See a failure (`error`) or an answer that is not a success (`response`), or give an answer in its place."""


class MiddlewareChain:
    """The hooks in order. What a hook raises becomes a typed error that knows how far the request got."""

    def __init__(self, hooks: Sequence[Middleware]) -> None:
        self._hooks = tuple(hooks)

    def __bool__(self) -> bool:
        return bool(self._hooks)

    def before(self, request: PreparedRequest) -> PreparedRequest:
        """Return the request as the hooks leave it."""
        for hook in self._hooks:
            request = _guarded(Delivery.NOT_SENT, hook.before, request) or request
        return request

    def after(self, request: PreparedRequest, response: HttpResponse) -> HttpResponse:
        """Return the successful answer as the hooks leave it."""
        for hook in self._hooks:
            response = _guarded(Delivery.ANSWERED, hook.after, request, response) or response
        return response

    def on_error(
        self, request: PreparedRequest, error: AuthenticationError | None, response: HttpResponse | None
    ) -> HttpResponse | None:
        """Return the answer that stands after the hooks have seen the failure; None if there is none."""
        delivery = Delivery.ANSWERED if error is None else error.delivery
        for hook in self._hooks:
            response = _guarded(delivery, hook.on_error, request, error, response) or response
        return response


def _guarded(delivery: Delivery, hook: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    try:
        return hook(*args, **kwargs)
    except AuthenticationError:
        raise
    except Exception as error:  # noqa: BLE001 - a hook is foreign code; what it raises must not hide how far the request got
        failure = MiddlewareFailed(_account(error), delivery=delivery, origin=type(error).__name__)
    raise failure  # outside the handler: the hook's exception may hold the request, so it is not chained


def _account(error: Exception) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    place = f"{PurePath(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "an unknown place"
    return f"A middleware hook raised at {place}; mend or remove the hook."
