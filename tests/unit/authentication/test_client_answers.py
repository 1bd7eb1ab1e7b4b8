"""The results of calls: responses, tokens, typed errors, the probe."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
import requests

from gatepost_worker.authentication import (
    AnswerTimedOut,
    AnswerUnreadable,
    CodeRejected,
    ConnectFailed,
    CredentialCheck,
    Delivery,
    IdTokenInvalid,
    IdTokenNotVerified,
    RateLimited,
    RateLimits,
    Redirected,
    RequestOverrides,
    StartResponseUnreadable,
    TokenResponse,
    TokenResponseUnreadable,
    Unforeseen,
)
from support.scripted_adapter import Answer
from support.signed_tokens import CLIENT_ID, NOW, hs256_token, id_token, jwks

if TYPE_CHECKING:
    from collections.abc import Callable

    from gatepost_worker.authentication import Passwordless
    from support.scripted_adapter import ScriptedAdapter

    MakeClient = Callable[..., tuple[Passwordless, ScriptedAdapter]]

EMAIL = "user@example.com"
LIMITS = {"X-RateLimit-Limit": "50", "X-RateLimit-Remaining": "49", "X-RateLimit-Reset": str(NOW + 60)}


def tokens(**members: object) -> Answer:
    return Answer(
        body={"access_token": "opaque", "token_type": "bearer", "expires_in": 86400, **members}, headers=LIMITS
    )


def test_a_start_gives_what_auth0_says(make_client: MakeClient) -> None:
    """Email and SMS each in their words, and the quota."""
    client, _ = make_client(
        Answer(body={"_id": "6492", "email": EMAIL, "email_verified": False}, headers=LIMITS),
        Answer(201, {"_id": "6493", "phone_number": "+1", "phone_verified": True, "request_language": "de"}),
    )
    email, sms = client.send_email(EMAIL), client.send_sms("+1")

    assert (email.status, email.id, email.email_verified, email.phone_verified) == (200, "6492", False, None)
    assert (email.rate_limits.limit, email.rate_limits.remaining) == (50, 49)
    assert (sms.status, sms.id, sms.phone_verified, sms.request_language) == (201, "6493", True, "de")
    assert EMAIL not in repr(email)


NOT_A_START = [
    *(b"", b"{}", b"OK", b"null", b"[]", b'"accepted"', b"<html>Sign in to the Wi-Fi</html>", b"\xff", b"[" * 100_000),
    *(
        b'{"error": "please log in"}',
        b'{"_id": 7, "email": "user@example.com"}',
        b'{"_id": "1"}',
        b'{"email": "user@example.com"}',
    ),
    *(
        b'{"_id": "", "email": "user@example.com"}',
        b'{"_id": "1", "email": null}',
        b'[{"_id": "1", "email": "user@example.com"}]',
    ),
    b'{"_id": "1", "email": "user@example.com", "error": "server_error"}',
]


@pytest.mark.parametrize("status", [200, 201, 202, 204, 206])
@pytest.mark.parametrize("body", NOT_A_START)
def test_a_success_that_is_not_auth0s_may_have_been_carried_out(
    make_client: MakeClient, body: bytes, status: int
) -> None:
    """A captive portal, a challenge page or a proxy may answer a start with a success; Auth0 may have sent a message."""
    client, _ = make_client(Answer(status, body))
    with pytest.raises(StartResponseUnreadable) as caught:
        client.send_email(EMAIL)

    assert (caught.value.status, caught.value.delivery) == (status, Delivery.ANSWERED)
    assert caught.value.may_have_taken_effect


@pytest.mark.parametrize(
    "body",
    [
        b'{"_id":"5f85d07a2c673038a807254c","email":"user@domain.com","email_verified":false}',
        b'{"_id":"6492b5a75bedeae7449299fa","phone_number":"+123456789","phone_verified":true}',
        b'{"_id":"5f85d99a2c673038a8111f5f","phone_number":"+16511234567","phone_verified":false,"request_language":null}',
        b'{"_id":"1","email":"user@example.com"}',
        b'{"_id":"1","email":"user@example.com","email_verified":"yes","new_member":{}}',
    ],
)
def test_every_recorded_success_is_accepted(make_client: MakeClient, body: bytes) -> None:
    """As real tenants answered; what else the object holds does not matter."""
    client, _ = make_client(Answer(200, body))

    assert client.send_email(EMAIL).id == json.loads(body)["_id"]


def test_a_login_gives_the_tokens(make_client: MakeClient) -> None:
    """`token_type` normalised; without an id_token there are no claims and no keys are fetched."""
    client, adapter = make_client(tokens(refresh_token="refresh", scope="email"))
    response = client.login_with_email(EMAIL, "123456")

    assert (response.access_token, response.token_type, response.expires_in) == ("opaque", "Bearer", 86400)
    assert (response.refresh_token, response.scope, response.id_token, response.claims) == (
        "refresh",
        "email",
        None,
        None,
    )
    assert response.rate_limits.remaining == 49
    assert len(adapter.sent) == 1


@pytest.mark.parametrize(
    ("given", "expected"), [("3600", 3600), (3600.0, 3600), (None, None), ("soon", None), (True, None)]
)
def test_expires_in_is_a_number_or_nothing(make_client: MakeClient, given: object, expected: int | None) -> None:
    """A string of digits is a number too."""
    client, _ = make_client(tokens(expires_in=given))

    assert client.login_with_email(EMAIL, "123456").expires_in == expected


def test_a_login_verifies_the_id_token(make_client: MakeClient) -> None:
    """The keys come from the tenant's JWKS, once."""
    client, adapter = make_client(tokens(id_token=id_token()), Answer(body=jwks()), tokens(id_token=id_token()))
    first = client.login_with_email(EMAIL, "123456")
    second = client.login_with_email(EMAIL, "654321")

    assert first.claims is not None
    assert second.claims is not None
    assert first.claims["sub"] == second.claims["sub"] == "email|1"
    assert [str(sent.request.url) for sent in adapter.sent] == [
        "https://tenant.example.com/oauth/token",
        "https://tenant.example.com/.well-known/jwks.json",
        "https://tenant.example.com/oauth/token",
    ]
    assert (adapter.sent[1].request.method, adapter.sent[1].request.body) == ("GET", None)


def test_a_login_verifies_by_the_secret_where_configured(make_client: MakeClient) -> None:
    """HS256 needs no JWKS."""
    secret = "a-secret-of-at-least-thirty-two-bytes!"
    client, adapter = make_client(
        tokens(id_token=hs256_token(secret)), client_secret=secret, id_token_signing_alg="HS256"
    )

    assert client.login_with_email(EMAIL, "123456").claims is not None
    assert len(adapter.sent) == 1


def test_the_effective_client_id_is_the_expected_audience(make_client: MakeClient) -> None:
    """A token for the client is not a token for another one."""
    client, _ = make_client(tokens(id_token=id_token(aud="client-2")), Answer(body=jwks()), tokens(id_token=id_token()))

    assert client.login_with_email(EMAIL, "1", overrides=RequestOverrides(body={"client_id": "client-2"})).claims
    with pytest.raises(IdTokenInvalid):
        client.login_with_email(EMAIL, "1", client_id="client-2")


def test_what_is_asked_of_the_id_token_reaches_its_check(make_client: MakeClient) -> None:
    """Organization, nonce and max_age."""
    good = id_token(org_id="org_1", nonce="n", auth_time=NOW)
    client, adapter = make_client(tokens(id_token=good), Answer(body=jwks()), tokens(id_token=good))

    asked = {"organization": "org_1", "nonce": "n", "max_age": timedelta(minutes=5)}
    assert client.login_with_sms("+1", "1", **asked).claims  # type: ignore[arg-type]  # three types in one dict
    assert "organization" not in adapter.sent[0].form
    with pytest.raises(IdTokenInvalid) as caught:
        client.login_with_sms("+1", "1", organization="org_2", nonce="n")
    assert caught.value.claim == "org_id"


@pytest.mark.parametrize("asked", [{"organization": "org_1"}, {"nonce": "n"}, {"max_age": timedelta(minutes=5)}])
def test_what_only_an_id_token_can_answer_needs_one(make_client: MakeClient, asked: dict[str, object]) -> None:
    """A missing token must not pass for a checked one."""
    client, _ = make_client(tokens())
    with pytest.raises(IdTokenInvalid) as caught:
        client.login_with_email(EMAIL, "123456", **asked)  # type: ignore[arg-type]  # as above

    assert caught.value.claim == "presence"


@pytest.mark.parametrize(
    "body", [b"", b"{}", b"<html>", b"[]", b'{"access_token": ""}', b'{"access_token": 1}', b'{"id_token": "x"}']
)
def test_a_login_without_tokens_is_a_spent_code(make_client: MakeClient, body: bytes) -> None:
    """Answered, and never to be repeated."""
    client, adapter = make_client(Answer(200, body, LIMITS))
    with pytest.raises(TokenResponseUnreadable) as caught:
        client.login_with_email(EMAIL, "123456")

    assert caught.value.delivery is Delivery.ANSWERED
    assert caught.value.status == 200
    assert caught.value.rate_limits is not None
    assert len(adapter.sent) == 1


def test_after_a_200_only_the_key_fetch_is_repeated(make_client: MakeClient, slept: list[float]) -> None:
    """The code is spent; a second token call would burn it."""
    client, adapter = make_client(tokens(id_token=id_token()), Answer(503, b""), Answer(503, b""), Answer(body=jwks()))

    assert client.login_with_email(EMAIL, "123456").claims is not None
    assert [str(sent.request.url).rpartition("/")[2] for sent in adapter.sent] == ["token", *["jwks.json"] * 3]
    assert len(slept) == 2


def test_when_the_keys_cannot_be_had_the_tokens_are_kept(make_client: MakeClient) -> None:
    """The caller decides; `verify` can make up for it without a token call."""
    failed = requests.exceptions.ConnectionError("down")
    client, adapter = make_client(tokens(id_token=id_token()), failed, failed, failed, Answer(body=jwks()))
    with pytest.raises(IdTokenNotVerified) as caught:
        client.login_with_email(EMAIL, "123456")
    kept = caught.value.token_response

    assert kept is not None
    assert (kept.access_token, kept.claims) == ("opaque", None)
    assert caught.value.delivery is Delivery.ANSWERED
    assert "opaque" not in repr(kept) + repr(caught.value) + str(caught.value)
    assert client.verify(kept).claims is not None
    assert [str(sent.request.url).rpartition("/")[2] for sent in adapter.sent] == ["token", *["jwks.json"] * 4]


def test_a_later_check_can_be_for_another_client(make_client: MakeClient) -> None:
    """The client id given is the audience, as it was for the login."""
    client, _ = make_client(Answer(body=jwks()))
    kept = TokenResponse(
        access_token="opaque", token_type="Bearer", rate_limits=RateLimits(), id_token=id_token(aud="client-2")
    )

    assert client.verify(kept, client_id="client-2").claims is not None
    with pytest.raises(IdTokenInvalid) as caught:
        client.verify(kept)
    assert caught.value.claim == "aud"


def test_an_invalid_id_token_carries_the_quota_and_no_tokens(make_client: MakeClient) -> None:
    """What cannot be trusted is not handed on."""
    client, _ = make_client(tokens(id_token=id_token(iss="https://evil/")), Answer(body=jwks()))
    with pytest.raises(IdTokenInvalid) as caught:
        client.login_with_email(EMAIL, "123456")

    assert (caught.value.claim, caught.value.status) == ("iss", 200)
    assert caught.value.rate_limits is not None
    assert caught.value.rate_limits.remaining == 49


def test_a_refusal_carries_status_code_and_quota(make_client: MakeClient) -> None:
    """Everything a policy and a limiter need."""
    body = {"error": "invalid_grant", "error_description": "Wrong email or verification code."}
    client, _ = make_client(Answer(403, body, LIMITS))
    with pytest.raises(CodeRejected) as caught:
        client.login_with_email(EMAIL, "123456")
    error = caught.value

    assert (error.status, error.code, error.delivery) == (403, "invalid_grant", Delivery.ANSWERED)
    assert error.rate_limits is not None
    assert (error.rate_limits.limit, error.rate_limits.reset_epoch_s) == (50, NOW + 60)
    assert error.retry_after_s is None


def test_a_rate_limit_carries_its_hint(make_client: MakeClient) -> None:
    """The longer of the two."""
    client, _ = make_client(Answer(429, {"error": "too_many_requests"}, {**LIMITS, "Retry-After": "7"}))
    with pytest.raises(RateLimited) as caught:
        client.send_email(EMAIL)

    assert caught.value.retry_after_s == 60


def test_redirects_are_not_followed(make_client: MakeClient) -> None:
    """A 3xx is an error, as in node-auth0."""
    client, adapter = make_client(Answer(302, b"", {"Location": "https://elsewhere.example.com/"}))
    with pytest.raises(Redirected):
        client.send_email(EMAIL)

    assert len(adapter.sent) == 1


def test_a_giant_answer_is_cut(make_client: MakeClient) -> None:
    """No answer of Auth0's is near 1 MiB."""
    client, _ = make_client(Answer(200, b"x" * (2 << 20)))
    with pytest.raises(AnswerUnreadable) as caught:
        client.send_email(EMAIL)

    assert caught.value.status == 200
    assert caught.value.may_have_taken_effect


def test_failures_of_a_foreign_adapter_are_typed(make_client: MakeClient) -> None:
    """Its exceptions decide which error is raised."""
    client, _ = make_client(
        requests.exceptions.ReadTimeout(), requests.exceptions.ConnectTimeout(), ConnectionRefusedError()
    )
    with pytest.raises(AnswerTimedOut) as lost:
        client.send_email(EMAIL)
    with pytest.raises(Exception, match="connect timeout") as unsent:
        client.send_email(EMAIL)
    with pytest.raises(ConnectFailed):
        client.send_email(EMAIL)

    assert lost.value.delivery is Delivery.MAYBE_SENT
    assert getattr(unsent.value, "delivery", None) is Delivery.NOT_SENT


def test_a_bug_is_not_dressed_up_as_a_failure_of_the_network(make_client: MakeClient) -> None:
    """An unexpected exception is reported by its class and place, without its text."""
    client, _ = make_client(ZeroDivisionError(EMAIL))
    with pytest.raises(Unforeseen, match=r"ZeroDivisionError at .*scripted_adapter\.py") as fault:
        client.send_email(EMAIL)

    assert EMAIL not in str(fault.value)


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (400, {"error": "bad.connection", "error_description": "does not exist"}, CredentialCheck.ACCEPTED),
        (400, {"error": "bad.email"}, CredentialCheck.ACCEPTED),
        (401, {"error": "invalid_client"}, CredentialCheck.REJECTED),
        (
            403,
            {"error": "unauthorized_client", "error_description": "Client authentication is required"},
            CredentialCheck.REJECTED,
        ),
        (400, {"error": "bad.client_id"}, CredentialCheck.REJECTED),
        (429, {"error": "too_many_requests"}, CredentialCheck.UNKNOWN),
        (503, b"", CredentialCheck.UNKNOWN),
        (302, b"", CredentialCheck.UNKNOWN),
        (403, b"<html>", CredentialCheck.UNKNOWN),
    ],
)
def test_the_probe_reads_quota_and_credential(
    make_client: MakeClient, status: int, body: bytes | dict[str, object], expected: CredentialCheck
) -> None:
    """From a start that is refused on purpose."""
    client, _ = make_client(Answer(status, body, LIMITS))
    probe = client.probe_start()

    assert (probe.credentials, probe.status) == (expected, status)
    assert probe.rate_limits is not None
    assert probe.rate_limits.remaining == 49


def test_the_probe_names_nobody_and_no_real_connection(make_client: MakeClient) -> None:
    """Nothing can be sent."""
    client, adapter = make_client(Answer(400, {"error": "bad.connection"}))
    client.probe_start()

    assert adapter.sent[0].json == {
        "client_id": CLIENT_ID,
        "connection": "gatepost.probe:no-such-connection",
        "client_secret": "s3cret",
    }


def test_the_probe_raises_where_no_answer_came(make_client: MakeClient) -> None:
    """There is nothing to read then."""
    client, _ = make_client(requests.exceptions.ReadTimeout())
    with pytest.raises(AnswerTimedOut):
        client.probe_start()
