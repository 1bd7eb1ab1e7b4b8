"""Hooks run before a request, after a success and on an error, in order, and may replace the response."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import requests

from gatepost_worker.authentication import (
    AnswerTimedOut,
    AuthenticationError,
    Cause,
    CodeRejected,
    Delivery,
    HttpResponse,
    Middleware,
    MiddlewareFailed,
    RateLimited,
    Remedy,
    RetryPolicy,
)
from support.scripted_adapter import STARTED, Answer

if TYPE_CHECKING:
    from collections.abc import Callable

    from requests import PreparedRequest

    from gatepost_worker.authentication import Passwordless
    from support.scripted_adapter import ScriptedAdapter

    MakeClient = Callable[..., tuple[Passwordless, ScriptedAdapter]]

EMAIL = "user@example.com"


class Recorder(Middleware):
    """Records the requests and responses it sees."""

    def __init__(self, name: str, log: list[str]) -> None:
        self.name = name
        self.log = log

    def before(self, request: PreparedRequest) -> None:
        request.headers[f"X-{self.name}"] = "seen"
        self.log.append(f"{self.name} before")

    def after(self, _: PreparedRequest, response: HttpResponse) -> None:
        self.log.append(f"{self.name} after {response.status}")

    def on_error(self, _: PreparedRequest, error: AuthenticationError | None, response: HttpResponse | None) -> None:
        self.log.append(f"{self.name} error {error.cause if error else response and response.status}")


class Substitute(Middleware):
    """Puts an answer in place of every failure and of every success."""

    def __init__(self, *, after: HttpResponse | None = None, on_error: HttpResponse | None = None) -> None:
        self._after = after
        self._on_error = on_error

    def after(self, *_: object) -> HttpResponse | None:
        return self._after

    def on_error(self, *_: object) -> HttpResponse | None:
        return self._on_error


class Careless(Middleware):
    """Raises in one place."""

    def __init__(self, place: str) -> None:
        self.place = place

    def _strike(self, place: str, request: PreparedRequest) -> None:
        if place == self.place:
            raise KeyError(request.body)

    def before(self, request: PreparedRequest) -> None:
        self._strike("before", request)

    def after(self, request: PreparedRequest, *_: object) -> None:
        self._strike("after", request)

    def on_error(self, request: PreparedRequest, *_: object) -> None:
        self._strike("on_error", request)


def test_hooks_run_in_list_order(make_client: MakeClient) -> None:
    """Before in order, after in order."""
    log: list[str] = []
    client, adapter = make_client(configuration={"middleware": [Recorder("one", log), Recorder("two", log)]})
    client.send_email(EMAIL)

    assert log == ["one before", "two before", "one after 200", "two after 200"]
    assert adapter.sent[0].request.headers["X-two"] == "seen"


def test_a_refusal_and_a_failure_both_go_to_on_error(make_client: MakeClient) -> None:
    """The one as a response, the other as an error; `after` sees neither."""
    log: list[str] = []
    client, _ = make_client(
        Answer(403, {"error": "invalid_grant"}),
        requests.exceptions.ReadTimeout(),
        configuration={"middleware": [Recorder("one", log)]},
    )
    with pytest.raises(CodeRejected):
        client.login_with_email(EMAIL, "123456")
    with pytest.raises(AnswerTimedOut):
        client.login_with_email(EMAIL, "123456")

    assert log == ["one before", "one error 403", "one before", "one error answer_timed_out"]


def test_on_error_may_put_an_answer_in_place(make_client: MakeClient) -> None:
    """A success ends the call, another refusal is classified."""
    good = HttpResponse(status=200, headers={}, body=b'{"_id": "substitute", "email": "x"}')
    client, _ = make_client(
        requests.exceptions.ReadTimeout(), configuration={"middleware": [Substitute(on_error=good)]}
    )
    other = HttpResponse(status=429, headers={"Retry-After": "5"}, body=b"")
    refused, _ = make_client(Answer(500, b""), configuration={"middleware": [Substitute(on_error=other)]})

    assert client.send_email(EMAIL).id == "substitute"
    with pytest.raises(RateLimited) as caught:
        refused.send_email(EMAIL)
    assert caught.value.retry_after_s == 5


def test_after_may_put_an_answer_in_place(make_client: MakeClient) -> None:
    """And the next hook sees it."""
    log: list[str] = []
    other = HttpResponse(status=201, headers={}, body=STARTED)
    client, _ = make_client(configuration={"middleware": [Substitute(after=other), Recorder("two", log)]})

    assert client.send_email(EMAIL).status == 201
    assert log == ["two before", "two after 201"]


def test_a_refusal_that_after_puts_in_place_is_classified(make_client: MakeClient) -> None:
    """The call fails as if Auth0 had refused it."""
    refusal = HttpResponse(status=429, headers={}, body=b"")
    client, _ = make_client(configuration={"middleware": [Substitute(after=refusal)]})

    with pytest.raises(RateLimited):
        client.send_email(EMAIL)


def test_hooks_see_every_attempt(make_client: MakeClient) -> None:
    """Each attempt is a separate request."""
    log: list[str] = []
    client, _ = make_client(
        Answer(429, {"error": "too_many_requests"}),
        Answer(),
        configuration={"middleware": [Recorder("one", log)], "retry": RetryPolicy(enabled=True)},
    )
    client.send_email(EMAIL)

    assert log == ["one before", "one error 429", "one before", "one after 200"]


@pytest.mark.parametrize(
    ("place", "answer", "delivery", "remedy"),
    [
        ("before", Answer(), Delivery.NOT_SENT, Remedy.AFTER_FIX),
        ("after", Answer(), Delivery.ANSWERED, Remedy.AMBIGUOUS),
        ("on_error", Answer(500, b""), Delivery.ANSWERED, Remedy.AMBIGUOUS),
        ("on_error", requests.exceptions.ReadTimeout(), Delivery.MAYBE_SENT, Remedy.AMBIGUOUS),
        ("on_error", ConnectionRefusedError(), Delivery.NOT_SENT, Remedy.AFTER_FIX),
    ],
)
def test_a_hook_that_raises_does_not_hide_how_far_the_request_got(
    make_client: MakeClient, place: str, answer: Answer | Exception, delivery: Delivery, remedy: Remedy
) -> None:
    """Its exception may hold the request, so only its name and place are kept."""
    client, _ = make_client(answer, configuration={"middleware": [Careless(place)]})
    with pytest.raises(MiddlewareFailed) as caught:
        client.send_email(EMAIL)

    assert (caught.value.cause, caught.value.delivery, caught.value.origin) == (
        Cause.MIDDLEWARE_FAILED,
        delivery,
        "KeyError",
    )
    assert caught.value.remedy is remedy
    assert caught.value.may_have_taken_effect is (remedy is Remedy.AMBIGUOUS)
    assert "test_middleware_hooks.py:" in str(caught.value)
    assert EMAIL not in str(caught.value)
    assert caught.value.__context__ is None
    assert caught.value.__cause__ is None
