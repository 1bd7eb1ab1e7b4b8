"""An id_token is checked claim by claim, by value."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from joserfc.jwk import RSAKey

from gatepost_worker.authentication import ConfigurationError, IdTokenInvalid
from gatepost_worker.authentication.id_token import Expectations, IdTokenValidator
from gatepost_worker.authentication.jwks import SigningKeys
from support.signed_tokens import CLIENT_ID, ISSUER, NOW, hs256_token, id_token, jwks, signing_key

if TYPE_CHECKING:
    from collections.abc import Callable

PUBLIC = signing_key().as_pem(private=False).decode()
SECRET = "a secret with an umlaut: ü, long enough for HS256"


@pytest.fixture
def validator() -> IdTokenValidator:
    """RS256, with the usual leeway."""
    return make_validator()


def make_validator(
    algorithm: str = "RS256", secret: str | None = None, fetch: Callable[[], bytes] = jwks, leeway: int = 60
) -> IdTokenValidator:
    keys = SigningKeys(lambda _: fetch(), clock=lambda: 0.0, sleep=lambda _: None)
    return IdTokenValidator(
        issuer=ISSUER,
        algorithm=algorithm,
        secret=secret,
        keys=keys,
        leeway=timedelta(seconds=leeway),
        clock=lambda: NOW,
    )


def expect(**changes: Any) -> Expectations:
    return Expectations(**{"client_id": CLIENT_ID, **changes})


def test_a_good_token_gives_its_claims(validator: IdTokenValidator) -> None:
    """All of them, custom ones too."""
    claims = validator.validate(id_token(name="Someone"), expect())

    assert claims["sub"] == "email|1"
    assert claims["name"] == "Someone"


BAD_CLAIMS: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("iss", {"iss": "https://other.example.com/"}, {}),
    ("iss", {"iss": ISSUER.rstrip("/")}, {}),
    ("iss", {"iss": [ISSUER]}, {}),
    ("iss", {"iss": None}, {}),
    ("sub", {"sub": None}, {}),
    ("sub", {"sub": ""}, {}),
    ("sub", {"sub": 7}, {}),
    ("aud", {"aud": None}, {}),
    ("aud", {"aud": "other"}, {}),
    ("aud", {"aud": ["other"]}, {}),
    ("aud", {"aud": {"client-1": 1}}, {}),
    ("aud", {"aud": f"{CLIENT_ID}-more"}, {}),
    ("azp", {"aud": [CLIENT_ID, "api"]}, {}),
    ("azp", {"aud": [CLIENT_ID, "api"], "azp": "other"}, {}),
    ("azp", {"aud": [CLIENT_ID, "api"], "azp": [CLIENT_ID, "other"]}, {}),
    ("aud", {"aud": [CLIENT_ID, 7]}, {}),
    ("exp", {"exp": None}, {}),
    ("exp", {"exp": "1900000000"}, {}),
    ("exp", {"exp": True}, {}),
    ("exp", {"exp": NOW - 60}, {}),
    ("exp", {"exp": float("inf")}, {}),
    ("exp", {"exp": float("nan")}, {}),
    ("iat", {"iat": None}, {}),
    ("iat", {"iat": "now"}, {}),
    ("iat", {"iat": True}, {}),
    ("iat", {"iat": NOW + 61}, {}),
    ("nbf", {"nbf": NOW + 61}, {}),
    ("nbf", {"nbf": "soon"}, {}),
    ("nbf", {"nbf": False}, {}),
    ("nonce", {}, {"nonce": "n1"}),
    ("nonce", {"nonce": "n2"}, {"nonce": "n1"}),
    ("nonce", {"nonce": "n1"}, {}),
    ("nonce", {"nonce": ["n1"]}, {"nonce": "n1"}),
    ("auth_time", {}, {"max_age": timedelta(seconds=60)}),
    ("auth_time", {"auth_time": "then"}, {"max_age": timedelta(seconds=60)}),
    ("auth_time", {"auth_time": True}, {"max_age": timedelta(seconds=60)}),
    ("auth_time", {"auth_time": float("inf")}, {"max_age": timedelta(seconds=60)}),
    ("auth_time", {"auth_time": float("nan")}, {"max_age": timedelta(seconds=60)}),
    ("auth_time", {"auth_time": -(10**400)}, {"max_age": timedelta(seconds=60)}),
    ("auth_time", {"auth_time": NOW - 121}, {"max_age": timedelta(seconds=60)}),
    ("auth_time", {"auth_time": NOW - 61}, {"max_age": timedelta(0)}),
    ("org_id", {}, {"organization": "org_1"}),
    ("org_id", {"org_id": "org_2"}, {"organization": "org_1"}),
    ("org_id", {"org_id": "ORG_1"}, {"organization": "org_1"}),
    ("org_id", {"org_id": ["org_1"]}, {"organization": "org_1"}),
    ("org_id", {"org_name": "org_1"}, {"organization": "org_1"}),
    ("org_name", {}, {"organization": "acme"}),
    ("org_name", {"org_name": "other"}, {"organization": "acme"}),
    ("org_name", {"org_name": 1}, {"organization": "acme"}),
    ("org_name", {"org_id": "acme"}, {"organization": "acme"}),
]


@pytest.mark.parametrize(("claim", "changes", "expected"), BAD_CLAIMS)
def test_a_bad_claim_is_named(
    validator: IdTokenValidator, claim: str, changes: dict[str, Any], expected: dict[str, Any]
) -> None:
    """The claim's name and never its value."""
    with pytest.raises(IdTokenInvalid) as caught:
        validator.validate(id_token(**changes), expect(**expected))

    assert caught.value.claim == claim


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"exp": NOW - 59}, {}),
        ({"iat": NOW + 60}, {}),
        ({"nbf": NOW + 60}, {}),
        ({"aud": [CLIENT_ID]}, {}),
        ({"aud": [CLIENT_ID, "api"], "azp": CLIENT_ID}, {}),
        ({"nonce": "n1"}, {"nonce": "n1"}),
        ({"auth_time": NOW - 120}, {"max_age": timedelta(seconds=60)}),
        ({"auth_time": NOW}, {"max_age": timedelta(0)}),
        ({"org_id": "org_1"}, {"organization": "org_1"}),
        ({"org_name": "acme"}, {"organization": "ACME"}),
        ({"org_name": "Acme"}, {"organization": "acme"}),
    ],
)
def test_what_is_within_bounds_passes(
    validator: IdTokenValidator, changes: dict[str, Any], expected: dict[str, Any]
) -> None:
    """Leeway on both sides; organization names without regard to case."""
    assert validator.validate(id_token(**changes), expect(**expected))["iss"] == ISSUER


def test_no_leeway_can_be_asked_for() -> None:
    """The leeway is a setting, not a constant."""
    with pytest.raises(IdTokenInvalid):
        make_validator(leeway=0).validate(id_token(exp=NOW), expect())


def test_a_foreign_signature_does_not_verify(validator: IdTokenValidator) -> None:
    """The key id is right, the key is not."""
    forged = id_token(key=RSAKey.generate_key(2048, {"kid": "key-1"}))
    with pytest.raises(IdTokenInvalid) as caught:
        validator.validate(forged, expect())

    assert caught.value.claim == "signature"


def test_a_changed_payload_does_not_verify(validator: IdTokenValidator) -> None:
    """The claims are covered by the signature."""
    head, _, signature = id_token().split(".")
    _, payload, _ = id_token(sub="email|2").split(".")
    with pytest.raises(IdTokenInvalid) as caught:
        validator.validate(f"{head}.{payload}.{signature}", expect())

    assert caught.value.claim == "signature"


@pytest.mark.parametrize("token", ["", "x", "a.b", "a.b.c", "....", "é.é.é", "eyJhbGciOiJub25lIn0.e30."])
def test_what_is_no_signed_jwt_is_refused(validator: IdTokenValidator, token: str) -> None:
    """`none` is no algorithm."""
    with pytest.raises(IdTokenInvalid) as caught:
        validator.validate(token, expect())

    assert caught.value.claim == "alg"


def test_hs256_is_refused_where_rs256_is_expected(validator: IdTokenValidator) -> None:
    """Or a public key could serve as a secret."""
    with pytest.raises(IdTokenInvalid) as caught:
        validator.validate(hs256_token(PUBLIC), expect())

    assert caught.value.claim == "alg"


def test_rs256_is_refused_where_hs256_is_expected() -> None:
    """The configuration chooses the key's source."""
    with pytest.raises(IdTokenInvalid) as caught:
        make_validator("HS256", SECRET).validate(id_token(), expect())

    assert caught.value.claim == "alg"


def test_hs256_takes_the_secrets_utf8_bytes() -> None:
    """Not base64-decoded."""
    validator = make_validator("HS256", SECRET)

    assert validator.validate(hs256_token(SECRET), expect())["sub"] == "email|1"
    with pytest.raises(IdTokenInvalid):
        validator.validate(hs256_token(SECRET + "x"), expect())


def test_a_token_without_a_key_id_takes_the_only_key(validator: IdTokenValidator) -> None:
    """With more than one key it is refused."""
    assert validator.validate(id_token(kid=None), expect())["iss"] == ISSUER
    with pytest.raises(IdTokenInvalid) as caught:
        make_validator(fetch=lambda: jwks("key-1", "key-2")).validate(id_token(kid=None), expect())

    assert caught.value.claim == "kid"


@pytest.mark.parametrize(
    ("algorithm", "secret"), [("ES256", None), ("none", None), ("HS256", None), ("HS256", ""), ("HS256", PUBLIC)]
)
def test_an_unusable_algorithm_is_refused_at_once(algorithm: str, secret: str | None) -> None:
    """Before anything is sent."""
    with pytest.raises(ConfigurationError):
        make_validator(algorithm, secret)


def test_no_value_of_a_claim_is_in_the_message(validator: IdTokenValidator) -> None:
    """A subject or a nonce is a person's."""
    with pytest.raises(IdTokenInvalid) as caught:
        validator.validate(id_token(nonce="secret-nonce", sub="email|canary"), expect(nonce="other-nonce"))

    assert caught.value.__context__ is None
    assert not {"secret-nonce", "other-nonce", "canary"} & set(str(caught.value).replace("'", " ").split())
