"""Planted secrets and a planted person are searched for in everything the client prints, raises and logs."""

from __future__ import annotations

import logging
import pickle
import traceback
from typing import TYPE_CHECKING, Any

import pytest
import requests
from urllib3.exceptions import MaxRetryError, NewConnectionError

from gatepost_worker.authentication import (
    AuthenticationError,
    Configuration,
    IdTokenInvalid,
    IdTokenNotVerified,
    MfaRequired,
    Passwordless,
    RequestOverrides,
)
from support.scripted_adapter import Answer, ScriptedAdapter
from support.signed_tokens import CLIENT_ID, id_token, private_pem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    MakeClient = Callable[..., tuple[Passwordless, ScriptedAdapter]]

CANARIES = {
    "email": "canary-person@example.com",
    "phone": "+15005559999",
    "code": "918273",
    "secret": "canary-secret-0123456789",
    "access_token": "canary-access",
    "refresh_token": "canary-refresh",
    "mfa_token": "canary-mfa",
    "forwarded_for": "203.0.113.99",
    "proxy": "canary-proxy-password",
    "header": "canary-header",
    "captcha": "canary-captcha",
    "auth_params": "canary-state",
}


def everything_of(error: BaseException) -> Iterator[str]:
    """Give all that a log, a reporter or a debugger would print of an exception, its whole chain included."""
    seen: set[int] = set()
    queue: list[BaseException | None] = [error]
    while queue:
        found = queue.pop()
        if found is None or id(found) in seen:
            continue
        seen.add(id(found))
        queue += [found.__cause__, found.__context__]
        yield repr(found)
        yield str(found)
        yield repr(found.args)
        yield repr(vars(found))
        yield "".join(traceback.TracebackException.from_exception(found, capture_locals=False).format())


def leaks(texts: Iterator[str] | list[str]) -> set[str]:
    printed = "\n".join(texts)
    return {name for name, value in CANARIES.items() if value in printed}


def error_of(call: Callable[[], object]) -> AuthenticationError | None:
    try:
        call()
    except AuthenticationError as error:
        return error
    return None


def holding(request_error: type[requests.RequestException]) -> Exception:
    """Make an exception as requests raises it: it holds the request and names the URL."""
    request = requests.Request("POST", "https://tenant.example.com/", data=dict(CANARIES)).prepare()
    connection: Any = "https://user:canary-proxy-password@proxy"
    pool: Any = None
    lower = MaxRetryError(pool, "/?email=canary-person@example.com", NewConnectionError(connection, CANARIES["proxy"]))
    return request_error(lower, request=request)


ECHO = {
    "error": "bad.email",
    "error_description": f"error in email - email format validation failed: {CANARIES['email']}",
}
SCRIPTS: list[Answer | Exception] = [
    Answer(400, ECHO),
    Answer(400, {"error": CANARIES["email"]}),
    Answer(400, {"code": "bad.phone_number", "description": {"value": CANARIES["phone"]}}),
    Answer(403, {"error": "mfa_required", "mfa_token": CANARIES["mfa_token"]}),
    Answer(502, CANARIES["email"].encode()),
    Answer(200, f"<html>{CANARIES['access_token']}</html>".encode() * 100_000),
    Answer(200, f"<html>{CANARIES['access_token']}</html>".encode()),
    Answer(200, {"access_token": CANARIES["access_token"], "id_token": f"{CANARIES['refresh_token']}.x.y"}),
    *[holding(found) for found in (requests.ReadTimeout, requests.ConnectTimeout, requests.ConnectionError)],
    holding(requests.exceptions.SSLError),
    holding(requests.exceptions.ProxyError),
    holding(requests.exceptions.InvalidURL),
]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: getattr(script, "status", type(script).__name__))
def test_no_failure_tells_a_secret(
    make_client: MakeClient, script: Answer | Exception, caplog: pytest.LogCaptureFixture
) -> None:
    """No secret is in the error, in its causes or in a log line."""
    caplog.set_level(logging.DEBUG)
    client, _ = make_client(
        script,
        client_secret=CANARIES["secret"],
        configuration={
            "headers": {"X-Header": CANARIES["header"]},
            "proxies": {"https": f"http://user:{CANARIES['proxy']}@proxy:3128"},
        },
    )
    overrides = RequestOverrides(headers={"X-More": CANARIES["header"]}, body={"more": CANARIES["captcha"]})
    calls: list[Callable[[], object]] = [
        lambda: client.send_email(
            CANARIES["email"],
            auth_params={"state": CANARIES["auth_params"]},
            captcha=CANARIES["captcha"],
            forwarded_for=CANARIES["forwarded_for"],
            overrides=overrides,
        ),
        lambda: client.send_sms(CANARIES["phone"]),
        lambda: client.login_with_email(CANARIES["email"], CANARIES["code"], overrides=overrides),
        lambda: client.login_with_sms(CANARIES["phone"], CANARIES["code"]),
    ]
    raised = [error for error in map(error_of, calls) if error is not None]

    assert raised
    for error in raised:
        assert leaks(everything_of(error)) == set()
        assert error.__cause__ is None
    assert (
        leaks([repr(client), str(client), repr(overrides), *(record.getMessage() for record in caplog.records)])
        == set()
    )


def test_no_response_prints_its_tokens(make_client: MakeClient) -> None:
    """Nor the claims, which name the person."""
    tokens = {
        "access_token": CANARIES["access_token"],
        "refresh_token": CANARIES["refresh_token"],
        "token_type": "Bearer",
    }
    client, _ = make_client(Answer(body=tokens), Answer(body={"email": CANARIES["email"], "_id": "1"}))
    response = client.login_with_email(CANARIES["email"], CANARIES["code"])
    started = client.send_email(CANARIES["email"])

    assert response.access_token == CANARIES["access_token"]
    assert leaks([repr(response), str(response), repr(started)]) == set()


def test_no_part_of_the_client_prints_its_secret() -> None:
    """Whatever a debugger looks at on the way down."""
    configuration = Configuration(
        headers={"X": CANARIES["header"]},
        proxies={"https": f"http://u:{CANARIES['proxy']}@p"},
        adapter=ScriptedAdapter(),
    )
    client = Passwordless(
        domain="tenant.example.com",
        client_id=CLIENT_ID,
        client_secret=CANARIES["secret"],
        client_assertion_signing_key=private_pem(),
        configuration=configuration,
    )
    parts = [client, *vars(client).values()]
    parts += [part for found in parts[1:] if hasattr(found, "__dict__") for part in vars(found).values()]
    shallow = [repr(part) for part in parts if not isinstance(part, (dict, str, bytes))]

    assert leaks(shallow) == set()
    assert not any("PRIVATE KEY" in text for text in shallow)


def test_an_unverified_login_masks_what_it_keeps(make_client: MakeClient) -> None:
    """The tokens are there for the caller, and for no log."""
    client, _ = make_client(
        Answer(body={"access_token": CANARIES["access_token"], "id_token": id_token()}), Answer(503, b"")
    )
    with pytest.raises(IdTokenNotVerified) as caught:
        client.login_with_email(CANARIES["email"], CANARIES["code"])

    assert caught.value.token_response is not None
    assert leaks(everything_of(caught.value)) == set()
    assert id_token() not in "\n".join(everything_of(caught.value))


def test_an_mfa_token_is_masked_and_there(make_client: MakeClient) -> None:
    """The caller continues with the token."""
    client, _ = make_client(Answer(403, {"error": "mfa_required", "mfa_token": CANARIES["mfa_token"]}))
    with pytest.raises(MfaRequired) as caught:
        client.login_with_email(CANARIES["email"], CANARIES["code"])

    assert caught.value.mfa_token is not None
    assert caught.value.mfa_token.get_secret_value() == CANARIES["mfa_token"]
    assert leaks(everything_of(caught.value)) == set()


def test_an_invalid_id_token_is_not_shown(make_client: MakeClient) -> None:
    """The id_token may belong to another user."""
    client, _ = make_client(Answer(body={"access_token": CANARIES["access_token"], "id_token": "canary-access.b.c"}))
    with pytest.raises(IdTokenInvalid) as caught:
        client.login_with_email(CANARIES["email"], CANARIES["code"])

    assert leaks(everything_of(caught.value)) == set()


def test_the_search_would_find_a_leak() -> None:
    """A test that cannot fail proves nothing."""
    error = holding(requests.ReadTimeout)

    assert "email" in leaks(everything_of(error))
    assert leaks([str(pickle.dumps(CANARIES))]) == set(CANARIES)
