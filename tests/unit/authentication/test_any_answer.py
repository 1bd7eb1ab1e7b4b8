"""Any response gives a result that can be sealed, or an `AuthenticationError` that shows none of it."""

from __future__ import annotations

import base64
import json
import math
from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from gatepost.errors import InvalidCommand
from gatepost_core.commands import parse_command
from gatepost_core.identifiers import REVEAL
from gatepost_core.outcomes import MfaChallenge, TokenSet
from gatepost_worker.authentication import AuthenticationError, Passwordless, TokenResponse
from gatepost_worker.authentication.classify import classify
from gatepost_worker.authentication.endpoints import Endpoint
from gatepost_worker.authentication.jwks import parse_jwks
from gatepost_worker.authentication.rate_limits import parse_rate_limits
from gatepost_worker.authentication.refusals import MfaRequired
from gatepost_worker.authentication.response_bodies import parse_error_body, parse_token_response
from gatepost_worker.delivery.calls import carry_out, token_set_of
from support.any_command import FOREIGN
from support.any_json import MARK, TEXTS, VALUES, given_or_refused
from support.examples import examples
from support.scripted_adapter import Answer, ScriptedAdapter
from support.signed_tokens import id_token

if TYPE_CHECKING:
    from collections.abc import Callable

    Clients = Callable[..., tuple[Passwordless, ScriptedAdapter]]

LOGIN = {"kind": "login_with_email", "email": f"{MARK}@example.com".lower(), "code": "914377"}
SEND = {"kind": "send_email", "email": "guest@example.com"}
HEADERS = st.dictionaries(
    st.sampled_from(
        ["X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset", "Retry-After", "Date", "Auth0-RateLimit"]
    ),
    st.one_of(
        st.text(max_size=30),
        st.from_regex(r"[0-9 .,;=qrt\"-]{0,40}", fullmatch=True),
        st.sampled_from(
            [
                "Fri, 15 Jan 2027 08:00:00 GMT",
                "Fri, 15 Jan 0000 08:00:00 -9999",
                "Fri, 99 Jan 2027 99:99:99 GMT",
                "client;q=10;t=1;r=9",
                "client;q=" + "9" * 250,
                "9" * 15,
            ]
        ),
    ),
)
STATUSES = st.one_of(st.sampled_from([200, 201, 204, 302, 400, 401, 403, 404, 429, 500, 503]), st.integers(100, 999))
MEMBERS = st.dictionaries(
    st.sampled_from(
        [
            *("error", "error_description", "code", "description", "message", "errorCode", "name", "statusCode"),
            *("mfa_token", "mfa_requirements", "access_token", "id_token", "refresh_token", "token_type"),
            *("expires_in", "scope", "_id"),
        ]
    ),
    st.one_of(VALUES, st.sampled_from(["invalid_grant", "mfa_required", "sms_provider_error", "bad.email", "x.y.z"])),
    max_size=6,
)
BODIES = st.one_of(
    st.binary(max_size=60),
    MEMBERS.map(lambda members: json.dumps(members).encode()),
    VALUES.map(lambda value: json.dumps(value).encode()),
    MEMBERS.map(lambda members: json.dumps({"access_token": f"{MARK}.token", **members}).encode()),
    st.sampled_from([b"[" * 20_000, b'{"error":' * 3_000, b'{"access_token":"x","expires_in":1e999}']),
)


def signed(name: str, value: Any) -> str:
    """Return a token of the tenant with one claim changed; an empty text where joserfc would not write it."""
    try:
        return id_token(**{name: value})
    except (ValueError, RecursionError):
        return ""


def part(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


ID_TOKENS = st.one_of(
    TEXTS,
    st.builds(lambda head, claims: f"{part(head)}.{part(claims)}.{part(MARK)}", VALUES, VALUES),
    st.builds(
        signed,
        st.sampled_from(["iss", "sub", "aud", "azp", "exp", "iat", "nbf", "auth_time", "nonce", "org_id", "org_name"]),
        VALUES,
    ),
    st.builds(lambda text: f"{base64.urlsafe_b64encode(text).decode().rstrip('=')}.e30.x", st.just(b"[" * 20_000)),
)


@settings(
    deadline=None,
    max_examples=examples(100),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.sampled_from([SEND, LOGIN]), STATUSES, HEADERS, BODIES)
@example(LOGIN, 200, {}, b'{"access_token":"x","expires_in":1e999}')
@example(LOGIN, 200, {}, b'{"access_token":"x","expires_in":NaN}')
@example(LOGIN, 200, {}, b'{"access_token":"x","expires_in":"%s"}' % (b"9" * 5000))
def test_any_answer_is_a_response_or_a_typed_error(
    make_client: Clients, command: dict[str, Any], status: int, headers: dict[str, str], body: bytes
) -> None:
    """Nothing else is raised after the bytes have left: it would lose an answer that is in hand."""
    client, _ = make_client(Answer(status, body, headers))

    response = given_or_refused(lambda: carry_out(parse_command(command), client), AuthenticationError)
    assert response is None or MARK not in repr(response)


@settings(
    deadline=None,
    max_examples=examples(100),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(ID_TOKENS)
@example(id_token(exp=10**400))
@example(id_token(iat=float("nan")))
def test_any_id_token_is_verified_or_refused(make_client: Clients, token: str) -> None:
    """A validated token response can be sealed for its caller."""
    client, _ = make_client(Answer(200, {"access_token": "x", "id_token": token}), Answer(200, b"not a key in sight"))

    given_or_refused(lambda: carry_out(parse_command(LOGIN), client), AuthenticationError)


@settings(deadline=None, max_examples=examples(100))
@given(st.dictionaries(st.sampled_from(["access_token", "refresh_token", "scope", "token_type"]), TEXTS))
def test_any_token_set_can_be_sealed_and_read_again(members: dict[str, str]) -> None:
    """Half of a surrogate pair is JSON, and is no UTF-8."""
    found = parse_token(members)
    tokens = None if found is None else token_set_of(found)

    assert tokens is None or TokenSet.model_validate_json(tokens.model_dump_json(context=REVEAL)) == tokens


def parse_token(members: dict[str, str]) -> TokenResponse | None:
    limits = parse_rate_limits({}, now_epoch_s=0.0)
    body = json.dumps({"access_token": "x", **members}).encode()
    return given_or_refused(lambda: parse_token_response(200, body, limits), AuthenticationError)


@settings(deadline=None, max_examples=examples(100))
@given(BODIES | st.lists(VALUES).map(lambda keys: json.dumps({"keys": keys}).encode()))
@example(b'{"keys":[{"kty":"RSA","n":"AA","e":"AQAB","kid":"Mark-51c2"}]}')
@example(b'{"keys":[{"kty":"RSA","n":"","e":""}]}')
def test_any_key_document_gives_keys_or_is_refused(document: bytes) -> None:
    """A tenant's keys come over the network like everything else."""
    given_or_refused(lambda: parse_jwks(document), AuthenticationError)


@settings(deadline=None, max_examples=examples(100))
@given(HEADERS)
def test_any_headers_give_a_finite_quota(headers: dict[str, str]) -> None:
    """The limiter computes with the values; an unreadable one counts as absent."""
    limits = parse_rate_limits(headers, now_epoch_s=1_800_000_000.0)
    numbers = [limits.limit, limits.remaining, limits.reset_epoch_s, limits.retry_after_s, limits.wait_s(0.0)]

    assert all(number is None or (math.isfinite(number) and number >= 0) for number in numbers)


@settings(
    deadline=None,
    max_examples=examples(100),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(FOREIGN)
def test_any_accepted_command_becomes_one_request(make_client: Clients, document: dict[str, Any]) -> None:
    """An accepted value has no line break for a header, and a body can contain it."""
    client, adapter = make_client(Answer(200, {"access_token": "x"}))
    command = given_or_refused(lambda: parse_command(document), InvalidCommand)
    if command is None:
        return
    given_or_refused(lambda: carry_out(command, client), AuthenticationError)

    assert len(adapter.sent) <= 1
    assert not any(
        "\n" in str(value) or "\r" in str(value) for sent in adapter.sent for value in sent.request.headers.values()
    )


@settings(deadline=None, max_examples=examples(100))
@given(st.sampled_from(Endpoint), STATUSES, BODIES, VALUES)
@example(Endpoint.TOKEN, 403, b"", f"{MARK}\ud800")
@example(Endpoint.TOKEN, 403, b"", float("nan"))
@example(Endpoint.START, 200, json.dumps({"error": MARK}).encode(), None)
def test_any_refusal_is_classified_and_a_challenge_can_be_sealed(
    endpoint: Endpoint, status: int, body: bytes, value: Any
) -> None:
    """One row of the table always matches, and the data of a second factor can be sealed."""
    challenge = json.dumps({"error": "mfa_required", "mfa_token": value, "mfa_requirements": {"challenge": value}})
    for answer in (body, challenge.encode()):
        limits = parse_rate_limits({}, now_epoch_s=0.0)
        error = classify(endpoint, status, parse_error_body(answer), rate_limits=limits, now_epoch_s=0.0)
        assert MARK not in f"{error!r} {error} {error.description!r}"
        if isinstance(error, MfaRequired):
            sealed = MfaChallenge(mfa_token=error.mfa_token, mfa_requirements=error.mfa_requirements)
            assert MfaChallenge.model_validate_json(sealed.model_dump_json(context=REVEAL)) == sealed
