"""Errors of the Authentication client show an error tracker neither a person nor a credential: every method, every failure."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import requests
import urllib3

from gatepost_worker import authentication as a
from support.error_tracker import assert_bare, raised_by
from support.scripted_adapter import Answer, ScriptedAdapter
from support.signed_tokens import CLIENT_ID, NOW

if TYPE_CHECKING:
    from collections.abc import Callable

NAME = "canary-q7x2v9"
EMAIL = f"{NAME}@example.com"
PHONE = "+447700900847"
CODE = "canary914377"
SECRET = "canary-secret-k3w8"
TOKEN = "canary-token-9s1x"
SECRETS = [NAME, PHONE, CODE, SECRET, TOKEN]

CALLS: dict[str, list[str]] = {
    "send_email": [EMAIL],
    "send_sms": [PHONE],
    "login_with_email": [EMAIL, CODE],
    "login_with_sms": [PHONE, CODE],
}
STEPS: dict[str, Any] = {
    "refused": Answer(400, {"error": "bad.email", "error_description": EMAIL}),
    "a wrong code": Answer(403, {"error": "invalid_grant", "error_description": f"{CODE} of {EMAIL}"}),
    "another factor": Answer(403, {"error": "mfa_required", "mfa_token": TOKEN}),
    "an unlisted code": Answer(403, {"error": "custom_error_7", "error_description": EMAIL}),
    "rate limited": Answer(429, {"error": "too_many_requests"}),
    "a server's failure": Answer(500, EMAIL.encode()),
    "a redirect": Answer(302, b"", {"Location": f"https://x/?login_hint={EMAIL}"}),
    "a giant answer": Answer(200, f"{TOKEN} ".encode() * 100_000),
    "a time-out": requests.exceptions.ReadTimeout(EMAIL, request=requests.Request("POST", "https://x", data=CODE)),
    "no connection": requests.exceptions.ConnectionError(
        EMAIL, request=requests.Request("POST", "https://x", data=CODE)
    ),
    "urllib3's own": urllib3.exceptions.ProtocolError(EMAIL, OSError(CODE)),
    "the system's own": OSError(5, EMAIL),
    "a value": ValueError(EMAIL),
    "a bug": KeyError(EMAIL),
    "a group": ExceptionGroup(EMAIL, [ValueError(CODE)]),
    "no memory": MemoryError(),
    "too deep": RecursionError(),
    "interrupted": KeyboardInterrupt(),
}


@pytest.fixture
def client_of() -> Callable[..., a.Passwordless]:
    def make(*script: Any, **given: Any) -> a.Passwordless:
        return a.Passwordless(
            domain="tenant.example.com",
            client_id=CLIENT_ID,
            client_secret=SECRET,
            configuration=a.Configuration(adapter=Raising(*script), trust_env=False, **given),
            clock=lambda: NOW,
            sleep=lambda _: None,
        )

    return make


class Raising(ScriptedAdapter):
    """Raises from within a handler whose exception has seen the request, as urllib3 under requests does."""

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:  # type: ignore[override] # as its base
        try:
            json.loads(f"{request.body!r} is no JSON")
        except ValueError:
            return super().send(request, **options)


@pytest.mark.parametrize("kind", STEPS)
@pytest.mark.parametrize("method", CALLS)
@pytest.mark.parametrize("retries", [False, True], ids=["once", "with retries"])
def test_a_call_that_fails_shows_nobody(
    client_of: Callable[..., a.Passwordless], method: str, kind: str, *, retries: bool
) -> None:
    """Whatever Auth0, the network or a bug makes of it."""
    client = client_of(STEPS[kind], retry=a.RetryPolicy(enabled=retries))
    error = raised_by(lambda: getattr(client, method)(*CALLS[method]))

    expected = (a.AuthenticationError, a.Unforeseen, MemoryError, RecursionError, KeyboardInterrupt)
    assert isinstance(error, expected)
    assert_bare(error, __file__, SECRETS)


@pytest.mark.parametrize(
    ("body", "asked"),
    [
        (f"<html>{TOKEN}".encode(), {}),
        ({"access_token": TOKEN, "token_type": "Bearer", "id_token": TOKEN}, {}),
        ({"access_token": TOKEN, "token_type": "Bearer"}, {"nonce": TOKEN}),
        ({"access_token": TOKEN, "token_type": "Bearer"}, {"organization": EMAIL}),
        ({"access_token": {TOKEN: 1}}, {}),
    ],
)
def test_tokens_that_cannot_be_used_are_not_shown(
    client_of: Callable[..., a.Passwordless], body: Any, asked: dict[str, str]
) -> None:
    """Auth0 answered 200, and the code is spent."""
    error = raised_by(lambda: client_of(Answer(200, body)).login_with_email(EMAIL, CODE, **asked))

    assert isinstance(error, a.LoginUnusable)
    assert_bare(error, __file__, SECRETS)


class Broken(a.Middleware):
    """A hook that raises from within a handler."""

    def __init__(self, error: BaseException) -> None:
        self._error = error

    def before(self, request: requests.PreparedRequest) -> None:
        try:
            json.loads(request.body or "")
        except ValueError:
            raise self._error  # noqa: B904 - chained on purpose
        raise self._error


@pytest.mark.parametrize(
    "error",
    [ValueError(EMAIL), a.NotAttempted("mine"), KeyboardInterrupt(), MemoryError()],
    ids=lambda e: type(e).__name__,
)
@pytest.mark.parametrize("method", CALLS)
def test_a_hook_that_fails_shows_nobody(
    client_of: Callable[..., a.Passwordless], method: str, error: BaseException
) -> None:
    """It has seen the whole request."""
    client = client_of(Answer(), middleware=[Broken(error)])
    came = raised_by(lambda: getattr(client, method)(*CALLS[method]))

    assert_bare(came, __file__, SECRETS)


WRONG: dict[str, tuple[list[Any], dict[str, Any], type[BaseException]]] = {
    "blank": ([" ", CODE], {}, a.RequiredError),
    "no text": ([None, CODE], {}, a.RequiredError),
    "an unknown keyword": ([EMAIL, CODE], {"nickname": NAME}, TypeError),
    "a header that cannot be sent": ([EMAIL, CODE], {"language": f"{NAME}\n"}, a.RequestUnsendable),
    "a member that is no JSON": ([EMAIL, CODE], {"overrides": a.RequestOverrides(body={"x": object()})}, a.Unforeseen),
}


@pytest.mark.parametrize("kind", WRONG)
@pytest.mark.parametrize("method", CALLS)
def test_arguments_that_cannot_be_used_show_nobody(
    client_of: Callable[..., a.Passwordless], method: str, kind: str
) -> None:
    """Programming errors too."""
    args, options, expected = WRONG[kind]
    given = args[: len(CALLS[method])]
    if kind == "a member that is no JSON" and method.startswith("login"):
        pytest.skip("a form takes any text of an object")
    error = raised_by(lambda: getattr(client_of(Answer()), method)(*given, **options))

    assert type(error) is expected
    assert_bare(error, __file__, SECRETS)


@pytest.mark.parametrize(
    "given",
    [
        {"domain": f"https://{NAME}@"},
        {"client_assertion_signing_key": f"-----BEGIN PRIVATE KEY-----{SECRET}"},
        {"client_assertion_signing_alg": "none", "client_assertion_signing_key": SECRET},
        {"id_token_signing_alg": "none"},
        {"clock_tolerance": SECRET},
        {"configuration": a.Configuration(ca_bundle="/nowhere", base_url=f"https://{NAME}:{SECRET}@[")},
        {"unknown": SECRET},
    ],
    ids=lambda given: next(iter(given)),
)
def test_a_client_that_cannot_be_made_shows_no_credential(given: dict[str, Any]) -> None:
    """Its frames hold the secret and the signing key."""
    fields: dict[str, Any] = {"domain": "tenant.example.com", "client_id": CLIENT_ID, "client_secret": SECRET, **given}
    error = raised_by(lambda: a.Passwordless(**fields))

    assert_bare(error, __file__, SECRETS)
