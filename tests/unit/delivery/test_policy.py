"""The retry policy, against every row of the failure tables: from Auth0's response to the decision."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tenacity import wait_fixed

from gatepost_core.commands import OnUnknown
from gatepost_core.errors import failure_of
from gatepost_core.kinds import Kind
from gatepost_core.reasons import Reason
from gatepost_core.states import State
from gatepost_worker.authentication import AuthenticationError, Cause, RateLimits, errors, refusals
from gatepost_worker.authentication.classify import classify
from gatepost_worker.authentication.endpoints import Endpoint
from gatepost_worker.authentication.response_bodies import parse_error_body
from gatepost_worker.delivery.policy import (
    REASONS,
    Attempt,
    Dead,
    Decision,
    Deferred,
    RetryAt,
    RetryLimits,
    Unknown,
    decide,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LIMITS = RetryLimits(max_attempts=3)


def attempt(kind: Kind = Kind.SEND_EMAIL, **changes: Any) -> Attempt:
    fields: dict[str, Any] = {"kind": kind, "number": 1, "now": NOW, "deadline": NOW + timedelta(minutes=10)}
    return Attempt(**{**fields, **changes})


def answered(endpoint: Endpoint, status: int, body: Any, retry_after_s: float | None = None) -> AuthenticationError:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    limits = RateLimits(retry_after_s=retry_after_s)
    return classify(endpoint, status, parse_error_body(raw), rate_limits=limits, now_epoch_s=NOW.timestamp())


def oauth(code: str, text: str = "") -> dict[str, str]:
    return {"error": code, "error_description": text}


REJECTED = State.REJECTED
ANYWHERE: list[tuple[int, Any, Decision]] = [
    (302, b"", Unknown(Reason.ANSWER_NOT_UNDERSTOOD)),
    (303, b"<html>See other</html>", Unknown(Reason.ANSWER_NOT_UNDERSTOOD)),
    (400, oauth("extensibility_error", "An Action failed"), Dead(REJECTED, Reason.REFUSED_BY_AUTH0)),
    (401, oauth("custom_error_7"), Dead(REJECTED, Reason.REFUSED_BY_AUTH0)),
    (402, oauth("quota_exceeded"), Dead(REJECTED, Reason.REFUSED_BY_AUTH0)),
    (403, {"code": "insufficient_scope"}, Dead(REJECTED, Reason.REFUSED_BY_AUTH0)),
    (403, {"error": "a sentence, not a code"}, Dead(REJECTED, Reason.REFUSED_BY_AUTH0)),
    (403, b"<html>Forbidden by the firewall</html>", Dead(REJECTED, Reason.ANSWER_NOT_UNDERSTOOD)),
    (403, {"message": "no code"}, Dead(REJECTED, Reason.ANSWER_NOT_UNDERSTOOD)),
]
START = [
    (400, oauth("bad.tenant", "invalid_tenant"), Dead(REJECTED, Reason.TENANT_MISCONFIGURED)),
    (400, oauth("bad.client_id"), Dead(REJECTED, Reason.TENANT_MISCONFIGURED)),
    (400, oauth("bad.connection", "Connection does not exist"), Dead(REJECTED, Reason.CONNECTION_MISCONFIGURED)),
    (400, oauth("bad.connection", "Public signup is disabled"), Dead(REJECTED, Reason.SIGNUP_DISABLED)),
    (400, oauth("bad.authParams", "not an object"), Dead(REJECTED, Reason.REQUEST_REJECTED)),
    (400, oauth("bad.request", "unknown properties"), Dead(REJECTED, Reason.REQUEST_REJECTED)),
    (400, oauth("bad.email", "email format validation failed"), Dead(REJECTED, Reason.RECIPIENT_REJECTED)),
    (400, oauth("bad.phone_number"), Dead(REJECTED, Reason.RECIPIENT_REJECTED)),
    (400, oauth("bad.send"), Dead(REJECTED, Reason.REQUEST_REJECTED)),
    (
        400,
        oauth("sms_provider_error", "Invalid number (Code: 21211)"),
        Dead(REJECTED, Reason.PROVIDER_REJECTED_RECIPIENT),
    ),
    (400, oauth("sms_provider_error", "Not enabled (Code: 21408)"), Dead(REJECTED, Reason.PROVIDER_REJECTED_RECIPIENT)),
    (400, oauth("sms_provider_error", "Something else (Code: 30001)"), Unknown(Reason.PROVIDER_SILENT)),
    (
        400,
        oauth("sms_provider_error", "Unexpected response while calling the SMS gateway: 503"),
        Unknown(Reason.PROVIDER_SILENT),
    ),
    (
        400,
        oauth("sms_provider_error", "Authentication failed while calling the SMS gateway: 401"),
        Dead(REJECTED, Reason.PROVIDER_MISCONFIGURED),
    ),
    (400, oauth("sms_provider_error", "Timeout while calling the SMS gateway: 504"), Unknown(Reason.PROVIDER_SILENT)),
    (401, oauth("invalid_client"), Dead(REJECTED, Reason.CLIENT_REJECTED)),
    (401, oauth("access_denied", "Unauthorized"), Dead(REJECTED, Reason.CLIENT_REJECTED)),
    (403, oauth("unauthorized_client", "Client authentication is required"), Dead(REJECTED, Reason.CLIENT_REJECTED)),
    (403, oauth("unauthorized_client", "Grant type not allowed"), Dead(REJECTED, Reason.CLIENT_NOT_AUTHORIZED)),
    (401, oauth("requires_verification", "captcha"), Dead(REJECTED, Reason.CAPTCHA_REQUIRED)),
    (429, oauth("too_many_requests"), Deferred(timedelta(seconds=7))),
    (429, oauth("too_many_attempts"), Deferred(timedelta(seconds=7))),
    (
        429,
        {"statusCode": 429, "error": "Too Many Requests", "message": "Global limit has been reached"},
        Deferred(timedelta(seconds=7)),
    ),
    (429, b"", Deferred(timedelta(seconds=7))),
    (500, oauth("server_error"), Unknown(Reason.SERVER_FAILED)),
    (502, b"<html>Bad Gateway</html>", Unknown(Reason.SERVER_FAILED)),
    (503, b"", Unknown(Reason.SERVER_FAILED)),
    (504, b"", Unknown(Reason.SERVER_FAILED)),
    *ANYWHERE,
]
TOKEN = [
    *ANYWHERE,
    (403, oauth("invalid_grant", "Wrong email or verification code."), Dead(REJECTED, Reason.CODE_REJECTED)),
    (403, oauth("invalid_grant", "Wrong phone number or verification code."), Dead(REJECTED, Reason.CODE_REJECTED)),
    (403, oauth("invalid_grant", "The verification code has expired. Please try"), Dead(REJECTED, Reason.CODE_EXPIRED)),
    (
        403,
        oauth("invalid_grant", "You've reached the maximum number of attempts."),
        Dead(REJECTED, Reason.CODE_ATTEMPTS_EXHAUSTED),
    ),
    (
        403,
        oauth("unauthorized_client", "Grant type not allowed for the client."),
        Dead(REJECTED, Reason.CLIENT_NOT_AUTHORIZED),
    ),
    (401, oauth("invalid_client"), Dead(REJECTED, Reason.CLIENT_REJECTED)),
    (401, oauth("access_denied", "Unauthorized"), Dead(REJECTED, Reason.CLIENT_REJECTED)),
    (400, oauth("invalid_request", "Missing required parameter: otp"), Dead(REJECTED, Reason.REQUEST_REJECTED)),
    (403, oauth("invalid_scope"), Dead(REJECTED, Reason.REQUEST_REJECTED)),
    (403, {**oauth("mfa_required"), "mfa_token": "t"}, Dead(REJECTED, Reason.MFA_REQUIRED)),
    (403, oauth("access_denied", "denied by an Action"), Dead(REJECTED, Reason.ACCESS_DENIED)),
    (401, oauth("unauthorized", "user is blocked"), Dead(REJECTED, Reason.ACCESS_DENIED)),
    (429, oauth("too_many_attempts"), Dead(REJECTED, Reason.TOO_MANY_ATTEMPTS)),
    (429, oauth("too_many_logins"), Dead(REJECTED, Reason.TOO_MANY_ATTEMPTS)),
    (429, oauth("something_new"), Dead(REJECTED, Reason.TOO_MANY_ATTEMPTS)),
    (429, oauth("too_many_requests"), Deferred(timedelta(seconds=7))),
    (400, oauth("use_dpop_nonce"), Dead(REJECTED, Reason.DPOP_REQUIRED)),
    (400, oauth("unsupported_grant_type"), Dead(REJECTED, Reason.ENDPOINT_DISABLED)),
    (404, oauth("endpoint_disabled"), Dead(REJECTED, Reason.ENDPOINT_DISABLED)),
    (405, b"", Dead(REJECTED, Reason.ENDPOINT_DISABLED)),
    (501, oauth("unsupported_response_type"), Dead(REJECTED, Reason.ENDPOINT_DISABLED)),
    (500, oauth("server_error"), Unknown(Reason.SERVER_FAILED)),
    (503, oauth("temporarily_unavailable"), Unknown(Reason.SERVER_FAILED)),
]


def named(row: tuple[int, Any, Any]) -> str:
    status, body, _ = row
    return f"{status}-{body.get('error') if isinstance(body, dict) else 'raw'}"


@pytest.mark.parametrize(("status", "body", "expected"), START, ids=map(named, START))
def test_every_answer_of_start_has_its_consequence(status: int, body: Any, expected: Any) -> None:
    """A send that was refused ends for its cause; one that may have gone out is not repeated; a 429 waits for the hint."""
    assert decide(answered(Endpoint.START, status, body, retry_after_s=7), attempt(), LIMITS) == expected


@pytest.mark.parametrize(("status", "body", "expected"), TOKEN, ids=map(named, TOKEN))
def test_every_answer_of_token_has_its_consequence(status: int, body: Any, expected: Any) -> None:
    """A code is tried once; a 429 that is not about the quota is the end, although it is a 429."""
    failure = answered(Endpoint.TOKEN, status, body, retry_after_s=7)

    assert decide(failure, attempt(Kind.LOGIN_WITH_EMAIL), LIMITS) == expected


NOT_REACHED = [
    errors.NameNotResolved,
    errors.ConnectFailed,
    errors.ConnectTimedOut,
    errors.TlsFailed,
    errors.ProxyFailed,
    errors.PoolExhausted,
    errors.NotSentInTime,
]
LOST = [
    errors.AnswerTimedOut,
    errors.ConnectionLost,
    errors.AnswerTruncated,
    errors.DeadlineExceeded,
    errors.AnswerUnreadable,
    refusals.ServerFailed,
    refusals.ProviderTimedOut,
]


@pytest.mark.parametrize("failure", NOT_REACHED)
@pytest.mark.parametrize("kind", [Kind.SEND_SMS, Kind.LOGIN_WITH_SMS])
def test_what_surely_did_not_arrive_is_tried_again(failure: type[AuthenticationError], kind: Kind) -> None:
    """Within attempts, sends and logins alike."""
    decision = decide(failure(), attempt(kind), LIMITS)

    assert isinstance(decision, RetryAt)
    assert timedelta() <= decision.wait <= timedelta(seconds=1)


@pytest.mark.parametrize("failure", NOT_REACHED)
def test_attempts_are_bounded(failure: type[AuthenticationError]) -> None:
    """The last one ends the operation as `exhausted`."""
    assert decide(failure(), attempt(number=3), LIMITS) == Dead(State.EXHAUSTED, Reason.NOT_REACHED)


def test_no_retry_is_planned_past_the_deadline() -> None:
    """It would only expire there."""
    late = attempt(deadline=NOW)

    assert decide(errors.ConnectFailed(), late, LIMITS) == Dead(State.EXPIRED, Reason.DEADLINE_PASSED)


@pytest.mark.parametrize(
    "failure", [errors.ConnectFailed(), answered(Endpoint.START, 429, b"", retry_after_s=10)], ids=["backoff", "hint"]
)
def test_what_would_be_tried_at_the_deadline_itself_expires(failure: AuthenticationError) -> None:
    """The last moment for an attempt is the one before."""
    limits = RetryLimits(max_attempts=3, backoff=wait_fixed(10))
    at, after = (attempt(deadline=NOW + timedelta(seconds=10, milliseconds=more)) for more in (0, 1))

    assert decide(failure, at, limits) == Dead(State.EXPIRED, Reason.DEADLINE_PASSED)
    assert isinstance(decide(failure, after, limits), RetryAt | Deferred)


def test_a_deferral_past_the_deadline_expires_at_once() -> None:
    """A code that dies before the quota comes back is not kept waiting."""
    failure = answered(Endpoint.TOKEN, 429, oauth("too_many_requests"), retry_after_s=700)

    assert decide(failure, attempt(Kind.LOGIN_WITH_EMAIL), LIMITS) == Dead(State.EXPIRED, Reason.DEADLINE_PASSED)


@pytest.mark.parametrize("number", [1, 3])
def test_a_429_without_a_hint_asks_the_limiter_again_after_a_second(number: int) -> None:
    """Some answers carry no Retry-After: the limiter's block, not the policy, decides how long all requests wait."""
    failure = answered(Endpoint.START, 429, oauth("too_many_requests"))

    assert decide(failure, attempt(number=number), LIMITS) == Deferred(timedelta(seconds=1))


@pytest.mark.parametrize("failure", LOST)
def test_what_may_have_arrived_is_unknown_by_default(failure: type[AuthenticationError]) -> None:
    """A second send would void the first code."""
    assert isinstance(decide(failure(), attempt(), LIMITS), Unknown)


@pytest.mark.parametrize("failure", LOST)
def test_a_send_is_repeated_only_by_its_callers_choice(failure: type[AuthenticationError]) -> None:
    """`resend` within attempts; then it is `unknown` all the same, because the first may have gone out."""
    chosen = {"on_unknown": OnUnknown.RESEND}

    assert isinstance(decide(failure(), attempt(**chosen), LIMITS), RetryAt)
    assert isinstance(decide(failure(), attempt(**chosen, number=3), LIMITS), Unknown)
    assert isinstance(decide(failure(), attempt(**chosen, deadline=NOW), LIMITS), Unknown)


@pytest.mark.parametrize("failure", LOST)
def test_a_login_is_never_repeated(failure: type[AuthenticationError]) -> None:
    """A login is not repeated even on request: a second exchange spends the code."""
    chosen = attempt(Kind.LOGIN_WITH_EMAIL, on_unknown=OnUnknown.RESEND)

    assert isinstance(decide(failure(), chosen, LIMITS), Unknown)


@pytest.mark.parametrize("failure", [errors.IdTokenInvalid, errors.IdTokenNotVerified])
def test_a_login_that_was_answered_200_is_never_repeated(failure: type[AuthenticationError]) -> None:
    """The code is spent, whatever came of its tokens."""
    assert isinstance(decide(failure(), attempt(Kind.LOGIN_WITH_EMAIL), LIMITS), Dead)


def test_every_cause_has_a_reason_and_every_reason_an_error_and_advice() -> None:
    """Nothing the client raises can be without a consequence, and nothing in the ledger without a sentence."""
    assert set(REASONS) == set(Cause)
    for reason in Reason:
        assert str(failure_of("op", reason)).count(reason.advice) == 1


@pytest.mark.parametrize("failure", LOST)
def test_what_may_have_arrived_leaves_a_doubt(failure: type[AuthenticationError]) -> None:
    """Otherwise a later state of a resent message could claim that nothing was sent."""
    assert REASONS[failure.cause].doubt
