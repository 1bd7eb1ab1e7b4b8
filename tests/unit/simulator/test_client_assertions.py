"""Client assertions: valid ones, and every reason for a refusal."""

from __future__ import annotations

from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import OctKey, RSAKey

from gatepost_simulator.assertions import AssertionRefusedError, Assertions, public_key

NOW = 1_000_000.0
AUDIENCE = "https://tenant.example/"
KEY = RSAKey.generate_key(2048)
STRANGER = RSAKey.generate_key(2048)
PUBLIC = public_key(KEY.as_pem(private=False).decode())


def assertion(key: Any = KEY, alg: str = "RS256", **changes: Any) -> str:
    claims = {"iss": "app", "sub": "app", "aud": AUDIENCE, "jti": "one", "iat": NOW, "exp": NOW + 60, **changes}
    claims = {name: value for name, value in claims.items() if value is not None}
    return jwt.encode({"alg": alg}, claims, key, algorithms=[alg])


def verify(verifier: Assertions, value: str, *, now: float = NOW, replay_allowed: bool = False) -> None:
    verifier.verify(value, client_id="app", keys=[PUBLIC], audiences=[AUDIENCE], now=now, replay_allowed=replay_allowed)


@pytest.mark.parametrize("alg", ["RS256", "RS384", "PS256"])
def test_accepts_each_allowed_algorithm(alg: str) -> None:
    """The three algorithms that Auth0 documents pass."""
    verifier = Assertions()
    verify(verifier, assertion(alg=alg))

    with pytest.raises(AssertionRefusedError, match="jti"):
        verify(verifier, assertion(alg=alg))


def test_accepts_any_of_several_keys_and_a_list_of_audiences() -> None:
    """During a rotation a client has two keys; aud may be a list."""
    verifier = Assertions()
    verifier.verify(
        assertion(aud=["https://elsewhere.example/", AUDIENCE]),
        client_id="app",
        keys=[public_key(STRANGER.as_pem(private=False).decode()), PUBLIC],
        audiences=[AUDIENCE],
        now=NOW,
        replay_allowed=False,
    )

    with pytest.raises(AssertionRefusedError, match="no registered key"):
        verifier.verify(
            assertion(jti="two"), client_id="app", keys=[], audiences=[AUDIENCE], now=NOW, replay_allowed=False
        )


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"aud": "https://tenant.example"}, "aud"),
        ({"aud": None}, "aud"),
        ({"iss": "other"}, "iss and sub"),
        ({"sub": "other"}, "iss and sub"),
        ({"jti": None}, "jti"),
        ({"jti": "x" * 65}, "jti"),
        ({"exp": NOW + 301}, "lives longer"),
        ({"exp": NOW - 1}, "exp"),
        ({"exp": None}, "exp"),
        ({"iat": NOW + 11}, "iat is in the future"),
        ({"nbf": NOW + 11}, "nbf is in the future"),
        ({"padding": "x" * 2048}, "longer than 2048"),
    ],
)
def test_refuses_claims_that_break_a_rule(changes: dict[str, Any], reason: str) -> None:
    """Each rule of the assertion has its own reason."""
    with pytest.raises(AssertionRefusedError, match=reason):
        verify(Assertions(), assertion(**changes))


@pytest.mark.parametrize(
    "value",
    [
        assertion(STRANGER),
        assertion(alg="RS512"),
        jwt.encode({"alg": "HS256"}, {"iss": "app"}, OctKey.import_key("s" * 32), algorithms=["HS256"]),
        "not.a.jwt",
        "",
    ],
)
def test_refuses_what_no_registered_key_signed(value: str) -> None:
    """A stranger's key, an algorithm off the list and a text that is no JWT are refused alike."""
    with pytest.raises(AssertionRefusedError, match="no registered key verifies"):
        verify(Assertions(), value)


def test_skew_of_ten_seconds_is_forgiven() -> None:
    """An iat up to ten seconds ahead passes."""
    verifier = Assertions()
    verify(verifier, assertion(iat=NOW + 9))

    with pytest.raises(AssertionRefusedError):
        verify(verifier, assertion(iat=NOW + 9))


def test_replay_can_be_allowed() -> None:
    """In the lenient reading the same assertion works again."""
    verifier = Assertions()
    value = assertion()
    verify(verifier, value, replay_allowed=True)
    verify(verifier, value, replay_allowed=True)

    with pytest.raises(AssertionRefusedError, match="used before"):
        verify(verifier, value)


def test_a_jti_is_forgotten_once_its_assertion_has_expired() -> None:
    """Memory holds the assertions of some minutes; an old one is refused by its exp instead."""
    verifier = Assertions()
    for number in range(50):
        verify(verifier, assertion(jti=f"n{number}"))
    for number in range(50):
        verify(verifier, assertion(jti=f"m{number}", iat=NOW + 600, exp=NOW + 660), now=NOW + 600)

    assert len(verifier._seen) == 50
