"""Every row of Auth0's error tables has its error class."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gatepost_worker import authentication as auth
from gatepost_worker.authentication import AuthenticationError, Delivery, RateLimits, Remedy
from gatepost_worker.authentication.classify import RULES, classify
from gatepost_worker.authentication.endpoints import Endpoint
from gatepost_worker.authentication.response_bodies import parse_error_body

START, TOKEN = Endpoint.START, Endpoint.TOKEN
NOW = 1_800_000_000.0


def classified(
    endpoint: Endpoint, status: int, body: object = None, limits: RateLimits | None = None
) -> AuthenticationError:
    raw = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    return classify(endpoint, status, parse_error_body(raw), rate_limits=limits or RateLimits(), now_epoch_s=NOW)


def a(code: str, text: str = "", **members: Any) -> dict[str, Any]:
    return {"error": code, "error_description": text, **members}


EXHAUSTED = "You've reached the maximum number of attempts. Please try to login again."
GRANT = "Grant type 'http://auth0.com/oauth/grant-type/passwordless/otp' not allowed for the client."

ROWS: list[tuple[Endpoint, int, object, type[AuthenticationError]]] = [
    # 2.3: start
    (START, 400, a("bad.tenant"), auth.TenantRejected),
    (START, 400, a("invalid_tenant"), auth.TenantRejected),
    (START, 400, a("bad.client_id"), auth.ClientIdRejected),
    (START, 400, a("bad.connection", "Connection does not exist"), auth.ConnectionMisconfigured),
    (START, 400, a("bad.connection", "Connection is disabled"), auth.ConnectionMisconfigured),
    (START, 400, a("bad.connection", "Missing required property: connection"), auth.ConnectionMisconfigured),
    (START, 400, a("bad.connection", "Public signup is disabled"), auth.SignupDisabled),
    (START, 400, a("bad.authParams", "must be an object"), auth.AuthParamsRejected),
    (START, 400, a("bad.request", "the following properties are not allowed: foo"), auth.RequestRejected),
    (START, 400, a("bad.email", "error in email - email format validation failed: x"), auth.RecipientRejected),
    (START, 400, a("bad.phone_number"), auth.RecipientRejected),
    (START, 400, a("bad.send"), auth.SendRejected),
    (
        START,
        400,
        a("sms_provider_error", "The 'To' number is not valid. (Code: 21211)"),
        auth.ProviderRejectedRecipient,
    ),
    (START, 400, a("sms_provider_error", "Region not enabled (Code: 21408)"), auth.ProviderRejectedRecipient),
    (START, 400, a("sms_provider_error", "Queue overflow (Code: 30001)"), auth.ProviderFailed),
    (
        START,
        400,
        a("sms_provider_error", "Unexpected response while calling the SMS gateway: 503"),
        auth.ProviderFailed,
    ),
    (START, 400, a("sms_provider_error"), auth.ProviderFailed),
    (
        START,
        400,
        a("sms_provider_error", "Authentication failed while calling the SMS gateway: 401"),
        auth.ProviderMisconfigured,
    ),
    (START, 400, a("sms_provider_error", "Timeout while calling the SMS gateway: 504"), auth.ProviderTimedOut),
    (START, 401, a("invalid_client"), auth.ClientRejected),
    (START, 401, a("access_denied", "Unauthorized"), auth.ClientRejected),
    (START, 401, None, auth.ClientRejected),
    (START, 403, a("unauthorized_client", "Client authentication is required"), auth.ClientAuthenticationRequired),
    (START, 400, a("unauthorized_client", "not enabled"), auth.ClientNotAuthorized),
    (START, 403, a("unauthorized_client", GRANT), auth.ClientNotAuthorized),
    (START, 400, a("captcha_required"), auth.CaptchaRequired),
    (START, 401, a("requires_verification"), auth.CaptchaRequired),
    (START, 400, a("invalid_captcha"), auth.CaptchaRequired),
    (START, 400, b"Please solve the captcha", auth.CaptchaRequired),
    (START, 429, a("too_many_requests"), auth.RateLimited),
    (START, 429, a("too_many_attempts"), auth.RateLimited),
    (START, 429, b"", auth.RateLimited),
    (START, 500, a("server_error"), auth.ServerFailed),
    (START, 502, b"<html>Bad gateway</html>", auth.ServerFailed),
    (START, 503, b"", auth.TemporarilyUnavailable),
    (START, 504, b"", auth.ServerFailed),
    # 2.4: token
    (TOKEN, 403, a("invalid_grant", "Wrong email or verification code."), auth.CodeRejected),
    (TOKEN, 403, a("invalid_grant", "Wrong phone number or verification code."), auth.CodeRejected),
    (TOKEN, 400, a("invalid_grant"), auth.CodeRejected),
    (TOKEN, 403, a("invalid_grant", "The verification code has expired. Please try to login again."), auth.CodeExpired),
    (TOKEN, 403, a("invalid_grant", EXHAUSTED), auth.CodeAttemptsExhausted),
    (TOKEN, 403, a("unauthorized_client", GRANT, error_uri="https://auth0.com"), auth.ClientNotAuthorized),
    (TOKEN, 401, a("invalid_client"), auth.ClientRejected),
    (TOKEN, 401, a("access_denied", "Unauthorized"), auth.ClientRejected),
    (TOKEN, 400, a("invalid_request", "Missing required parameter: otp"), auth.RequestRejected),
    (TOKEN, 400, a("invalid_request", "the connection was disabled"), auth.ConnectionMisconfigured),
    (TOKEN, 400, a("invalid_scope"), auth.ScopeRejected),
    (TOKEN, 403, a("invalid_scope"), auth.ScopeRejected),
    (TOKEN, 403, a("mfa_required", mfa_token="x"), auth.MfaRequired),
    (TOKEN, 401, a("mfa_required"), auth.MfaRequired),
    (TOKEN, 403, a("access_denied", "Denied by an Action"), auth.AccessDenied),
    (TOKEN, 403, a("unauthorized", "Denied by a Rule"), auth.AccessDenied),
    (TOKEN, 401, a("unauthorized", "user is blocked"), auth.AccessDenied),
    (TOKEN, 401, a("access_denied", "user is blocked"), auth.AccessDenied),
    (TOKEN, 429, a("too_many_attempts"), auth.TooManyAttempts),
    (TOKEN, 429, a("too_many_logins"), auth.TooManyLogins),
    (TOKEN, 429, a("something_new"), auth.TooManyAttempts),
    (TOKEN, 429, a("too_many_requests"), auth.RateLimited),
    (
        TOKEN,
        429,
        {"statusCode": 429, "error": "Too Many Requests", "message": "Global limit has been reached"},
        auth.RateLimited,
    ),
    (TOKEN, 429, b"", auth.RateLimited),
    (TOKEN, 429, b"<html>slow down</html>", auth.RateLimited),
    (TOKEN, 400, a("use_dpop_nonce"), auth.DpopRequired),
    (TOKEN, 400, a("unsupported_grant_type"), auth.GrantTypeUnsupported),
    (TOKEN, 404, a("endpoint_disabled"), auth.EndpointDisabled),
    (TOKEN, 404, b"Not found.", auth.EndpointDisabled),
    (TOKEN, 405, b"", auth.EndpointDisabled),
    (TOKEN, 501, a("unsupported_response_type"), auth.ResponseTypeUnsupported),
    (TOKEN, 500, a("server_error"), auth.ServerFailed),
    (TOKEN, 503, a("temporarily_unavailable"), auth.TemporarilyUnavailable),
    # beside the tables
    (START, 400, a("server_error"), auth.ServerFailed),
    (START, 400, a("temporarily_unavailable"), auth.TemporarilyUnavailable),
    (START, 403, a("endpoint_disabled"), auth.EndpointDisabled),
    (START, 403, a("access_denied"), auth.AccessDenied),
    (START, 302, b"", auth.Redirected),
    (TOKEN, 308, b"", auth.Redirected),
    (START, 407, b"", auth.ProxyFailed),
    (START, 408, b"", auth.ServerFailed),
    (START, 501, b"", auth.ServerFailed),
    (TOKEN, 599, b"", auth.ServerFailed),
    (TOKEN, 403, b"<html>Forbidden by the firewall</html>", auth.NotOfAuth0),
    (START, 418, a("teapot"), auth.Refusal),
    (START, 600, b"", auth.AnswerUnreadable),
    (Endpoint.JWKS, 404, b"", auth.EndpointDisabled),
    (Endpoint.JWKS, 429, b"", auth.RateLimited),
]


@pytest.mark.parametrize(("endpoint", "status", "body", "expected"), ROWS)
def test_each_row_of_the_tables_has_its_class(
    endpoint: Endpoint, status: int, body: object, expected: type[AuthenticationError]
) -> None:
    """One class a cause, and no other."""
    error = classified(endpoint, status, body)

    assert type(error) is expected
    assert error.status == status


def test_every_rule_is_used_by_a_row_of_this_table() -> None:
    """A rule that no row reaches is dead, or shadowed by one above it."""
    used = set()
    for endpoint, status, body, _ in ROWS:
        raw = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        read = parse_error_body(raw)
        used.add(next(index for index, rule in enumerate(RULES) if rule.matches(endpoint, status, read)))

    assert [rule for index, rule in enumerate(RULES) if index not in used] == []


@pytest.mark.parametrize("shape", ["A", "B", "C", "D"])
def test_a_cause_is_found_in_every_shape(shape: str) -> None:
    """The class does not depend on how the body is written."""
    bodies = {
        "A": a("bad.email", "no"),
        "B": {"name": "BadRequestError", "code": "bad.email", "description": {"why": "no"}, "statusCode": 400},
        "C": {"statusCode": 400, "error": "Bad Request", "message": "no", "errorCode": "bad.email"},
        "D": {"error": "bad.email"},
    }

    assert type(classified(START, 400, bodies[shape])) is auth.RecipientRejected


def test_an_address_cannot_steer_the_class() -> None:
    """The text repeats the caller's input, so it only refines a code."""
    tricky = a("bad.email", "error in email - email format validation failed: captcha.sign-up.blocked@code has expired")

    assert type(classified(START, 400, tricky)) is auth.RecipientRejected
    assert type(classified(TOKEN, 403, a("mfa_required", "captcha"))) is auth.MfaRequired


@pytest.mark.parametrize("status", [408, 500, 501, 502, 503, 504, 520, 599])
@pytest.mark.parametrize("endpoint", [START, TOKEN])
def test_a_server_error_is_always_ambiguous(endpoint: Endpoint, status: int) -> None:
    """No body makes a 5xx a definite no."""
    for body in (b"", b"<html>", a("server_error"), a("bad.email"), a("too_many_requests"), a("invalid_grant")):
        error = classified(endpoint, status, body)

        assert error.remedy is Remedy.AMBIGUOUS
        assert error.may_have_taken_effect


@pytest.mark.parametrize("code", ["too_many_attempts", "too_many_logins", "limit_exceeded_somehow"])
def test_a_blocked_login_is_never_a_wait(code: str) -> None:
    """A 429 that is no rate limit is terminal on the token endpoint."""
    error = classified(TOKEN, 429, a(code), RateLimits(retry_after_s=5))

    assert error.remedy is Remedy.NEVER


def test_a_429_carries_the_longer_hint() -> None:
    """The wait is the longer of Retry-After and the time to the refill."""
    limits = RateLimits(retry_after_s=3, reset_epoch_s=NOW + 60)
    error = classified(START, 429, a("too_many_requests"), limits)

    assert error.retry_after_s == 60
    assert error.rate_limits is limits


def test_another_status_carries_retry_after_alone() -> None:
    """The bucket's refill says nothing about when a server is back."""
    error = classified(START, 503, b"", RateLimits(retry_after_s=3, reset_epoch_s=NOW + 60))

    assert error.retry_after_s == 3


def test_an_mfa_challenge_is_handed_on_masked() -> None:
    """The caller continues with the MFA API."""
    body = a("mfa_required", mfa_token="mfa-secret", mfa_requirements={"challenge": [{"type": "otp"}]})
    error = classified(TOKEN, 403, body)

    assert isinstance(error, auth.MfaRequired)
    assert error.mfa_token is not None
    assert error.mfa_token.get_secret_value() == "mfa-secret"
    assert error.mfa_requirements == {"challenge": [{"type": "otp"}]}
    assert "mfa-secret" not in repr(vars(error)) + str(error)


def test_an_mfa_challenge_may_come_without_a_token() -> None:
    """Auth0 sometimes gives none."""
    error = classified(TOKEN, 403, a("mfa_required"))

    assert isinstance(error, auth.MfaRequired)
    assert (error.mfa_token, error.mfa_requirements) == (None, None)


@pytest.mark.parametrize(
    ("text", "code"),
    [("bad number (Code: 21211)", 21211), ("Unexpected response while calling the SMS gateway: 503", 503), ("?", None)],
)
def test_the_providers_own_code_is_kept(text: str, code: int | None) -> None:
    """An operator looks it up at the provider."""
    error = classified(START, 400, a("sms_provider_error", text))

    assert isinstance(error, (auth.ProviderRejectedRecipient, auth.ProviderFailed))
    assert error.provider_code == code


def test_refusals_are_answered() -> None:
    """All but the proxy's refusal, which never reached Auth0."""
    assert {classified(*row[:3]).delivery for row in ROWS if row[1] != 407} == {Delivery.ANSWERED}
    assert classified(START, 407).delivery is Delivery.NOT_SENT
