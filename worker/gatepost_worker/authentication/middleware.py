"""Hooks around every HTTP attempt: before it, after a success, and on an error."""

from __future__ import annotations

import traceback
from pathlib import PurePath
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from gatepost_worker.authentication.error_attributes import Delivery
from gatepost_worker.authentication.errors import AuthenticationError, MiddlewareFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from requests import PreparedRequest

    from gatepost_worker.authentication.responses import HttpResponse

P = ParamSpec("P")
R = TypeVar("R")


class Middleware:
    """The hooks of one middleware. Derive from it and override some of them; the others do nothing.

    A request holds the credential and personal data: do not log its body. Hooks run for every attempt of a call, each of which has its own
    client assertion. Several middlewares run in list order.
    """

    def before(self, request: PreparedRequest) -> PreparedRequest | None:
        """Read, change or replace a request before it is sent. The client writes `Content-Length`, and refuses other framing headers."""

    def after(self, request: PreparedRequest, response: HttpResponse) -> HttpResponse | None:
        """Read or replace a successful response."""

    def on_error(
        self, request: PreparedRequest, error: AuthenticationError | None, response: HttpResponse | None
    ) -> HttpResponse | None:
        """Read a failure (`error`) or a response that is not a success (`response`), or return a response in its place."""


def send_with_hooks(
    hooks: Sequence[Middleware], request: PreparedRequest, send: Callable[[PreparedRequest], HttpResponse]
) -> HttpResponse:
    """Send a request through the hooks, and return the response that they leave.

    Args:
        hooks: the middlewares, in order.
        request: the request.
        send: sends it.

    Raises:
        MiddlewareFailed: a hook raised; the error says how far the request got.
        AuthenticationError: there is no response.
    """
    for hook in hooks:
        request = _call(Delivery.NOT_SENT, hook.before, request) or request
    failure: AuthenticationError | None = None
    response: HttpResponse | None = None
    try:
        response = send(request)
    except AuthenticationError as error:
        failure = error
    if response is not None and response.ok:
        for hook in hooks:
            response = _call(Delivery.ANSWERED, hook.after, request, response) or response
        return response
    delivery = Delivery.ANSWERED if failure is None else failure.delivery
    for hook in hooks:
        response = _call(delivery, hook.on_error, request, failure, response) or response
    if response is None:
        raise failure or AuthenticationError
    return response


def _call(delivery: Delivery, hook: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    try:
        return hook(*args, **kwargs)
    except AuthenticationError:
        raise
    except Exception as error:  # noqa: BLE001 - a hook can raise anything, and the error must still say how far the request got
        frames = traceback.extract_tb(error.__traceback__)
        place = f"{PurePath(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "an unknown place"
        name = type(error).__name__
    message = f"A middleware hook raised an error at {place}; fix or remove the hook."
    raise MiddlewareFailed(
        message, delivery=delivery, origin=name
    )  # outside the handler: the error may hold the request
