"""The client's retries are off by default, bounded, and repeat only requests that were surely not carried out."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
import requests

from gatepost_worker.authentication import (
    AnswerTimedOut,
    AuthenticationError,
    ConfigurationError,
    ConnectFailed,
    RateLimited,
    RetryPolicy,
)
from support.scripted_adapter import Answer
from support.signed_tokens import private_pem

if TYPE_CHECKING:
    from collections.abc import Callable

    from gatepost_worker.authentication import Passwordless
    from support.scripted_adapter import ScriptedAdapter

    MakeClient = Callable[..., tuple[Passwordless, ScriptedAdapter]]

EMAIL = "user@example.com"
OFF = {"retry": RetryPolicy(max_retries=5)}
ON = {"retry": RetryPolicy(enabled=True, backoff=timedelta(seconds=1), max_wait=timedelta(seconds=30))}
TOO_MANY = {"error": "too_many_requests"}


def test_retries_are_off_by_default(make_client: MakeClient) -> None:
    """Giving the count alone leaves them off."""
    for configuration in ({}, OFF):
        client, adapter = make_client(Answer(429, TOO_MANY), configuration=configuration)
        with pytest.raises(RateLimited):
            client.send_email(EMAIL)

        assert len(adapter.sent) == 1


def test_a_429_is_repeated_after_the_servers_hint(make_client: MakeClient, slept: list[float]) -> None:
    """Never earlier; at most the backoff later, so that a fleet does not come back at once."""
    client, adapter = make_client(Answer(429, TOO_MANY, {"Retry-After": "7"}), Answer(), configuration=ON)

    assert client.send_email(EMAIL).status == 200
    assert len(adapter.sent) == 2
    assert 7 <= slept[0] <= 8


def test_without_a_hint_the_wait_is_tenacitys_backoff(make_client: MakeClient, slept: list[float]) -> None:
    """Exponential, with full jitter."""
    client, _ = make_client(Answer(429, TOO_MANY), configuration=ON)
    with pytest.raises(RateLimited):
        client.send_email(EMAIL)

    assert len(slept) == 3
    assert all(0 <= wait <= limit for wait, limit in zip(slept, (1, 2, 4), strict=True))


def test_the_count_is_bounded(make_client: MakeClient) -> None:
    """Ten at most; the last failure is raised."""
    policy = RetryPolicy(enabled=True, max_retries=10)
    client, adapter = make_client(Answer(429, TOO_MANY), configuration={"retry": policy})
    with pytest.raises(RateLimited):
        client.send_email(EMAIL)

    assert len(adapter.sent) == 11
    for count in (-1, 11):
        with pytest.raises(ConfigurationError):
            RetryPolicy(max_retries=count)


def test_a_hint_beyond_the_longest_wait_is_raised(make_client: MakeClient, slept: list[float]) -> None:
    """A thread is not put to sleep for an hour."""
    client, adapter = make_client(Answer(429, TOO_MANY, {"Retry-After": "3600"}), configuration=ON)
    with pytest.raises(RateLimited) as caught:
        client.send_email(EMAIL)

    assert (len(adapter.sent), slept) == (1, [])
    assert caught.value.retry_after_s == 3600


def test_what_surely_did_not_arrive_is_repeated(make_client: MakeClient) -> None:
    """One budget for both kinds."""
    script = (ConnectionRefusedError(), requests.exceptions.ConnectTimeout(), Answer(429, TOO_MANY), Answer())
    client, adapter = make_client(*script, configuration=ON)

    assert client.send_email(EMAIL).status == 200
    assert len(adapter.sent) == 4
    spent, _ = make_client(*[ConnectionRefusedError()] * 5, configuration=ON)
    with pytest.raises(ConnectFailed):
        spent.send_email(EMAIL)


@pytest.mark.parametrize(
    "step",
    [
        requests.exceptions.ReadTimeout(),
        ConnectionResetError(),
        Answer(500, b""),
        Answer(503, b"", {"Retry-After": "1"}),
        Answer(400, {"error": "bad.email"}),
        Answer(400, {"error": "sms_provider_error", "error_description": "Timeout while calling the SMS gateway: 504"}),
        Answer(401, {"error": "invalid_client"}),
        Answer(302, b""),
    ],
)
def test_nothing_else_is_repeated(make_client: MakeClient, step: Answer | Exception) -> None:
    """A second message voids the first code."""
    client, adapter = make_client(step, Answer(), configuration=ON)
    with pytest.raises(AuthenticationError):
        client.send_email(EMAIL)

    assert len(adapter.sent) == 1


@pytest.mark.parametrize(
    "step",
    [
        Answer(429, {"error": "too_many_attempts"}, {"Retry-After": "1"}),
        Answer(429, {"error": "unheard_of"}),
        Answer(403, {"error": "invalid_grant"}),
        Answer(200, b"<html>"),
        Answer(503, b""),
    ],
)
def test_a_login_that_was_answered_is_not_repeated(make_client: MakeClient, step: Answer) -> None:
    """But for the rate limit alone."""
    client, adapter = make_client(step, configuration=ON)
    with pytest.raises(AuthenticationError):
        client.login_with_email(EMAIL, "123456")

    assert len(adapter.sent) == 1


def test_every_attempt_has_a_new_assertion(make_client: MakeClient) -> None:
    """Auth0 refuses a second use."""
    client, adapter = make_client(
        Answer(429, TOO_MANY),
        Answer(429, TOO_MANY),
        Answer(),
        configuration=ON,
        client_assertion_signing_key=private_pem(),
    )
    client.send_email(EMAIL)

    assert len({sent.json["client_assertion"] for sent in adapter.sent}) == 3


def test_a_timeout_is_raised_as_it_is(make_client: MakeClient) -> None:
    """No wrapper of the retrying library around it."""
    client, _ = make_client(requests.exceptions.ReadTimeout(), configuration=ON)
    with pytest.raises(AnswerTimedOut):
        client.send_email(EMAIL)
