"""Token sets: the claims of a valid id_token, and each way in which it can be wrong."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OctKey
from pydantic import SecretStr

from gatepost_simulator.faults import TokenFault
from gatepost_simulator.profiles import Profile
from gatepost_simulator.settings import Client, Organization
from gatepost_simulator.tokens import Grant, SigningKeys, TokenIssuer

NOW = 1_000_000.0
SECRET = "a secret that is long enough for HS256"
KEYS = SigningKeys()
ISSUER = TokenIssuer("tenant.example", access_token_lifetime_s=86_400, id_token_lifetime_s=36_000)


def grant(fault: TokenFault = TokenFault.NONE, strategy: str = "email", **changes: Any) -> Grant:
    client = Client(client_id="app", client_secret=SecretStr(SECRET))
    identifier = "ada@example.com" if strategy == "email" else "+12015550123"
    profile = Profile("abc123", strategy, strategy, identifier, verified=True)
    fields = {"client": client, "profile": profile, "scope": "openid profile email phone", "fault": fault, **changes}
    return Grant(**fields)


def token_set(asked: Grant) -> dict[str, Any]:
    return ISSUER.token_set(asked, KEYS.current, NOW)


def claims_of(token: str) -> dict[str, Any]:
    claims: dict[str, Any] = json.loads(_decoded(token.split(".")[1]))
    return claims


def header_of(token: str) -> dict[str, Any]:
    header: dict[str, Any] = json.loads(_decoded(token.split(".", maxsplit=1)[0]))
    return header


def _decoded(segment: str) -> bytes:
    return base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4))


def test_a_good_id_token_verifies_and_names_the_user() -> None:
    """Signature, issuer, audience, subject and times are those of Auth0."""
    token = jwt.decode(token_set(grant())["id_token"], KEYS.current, algorithms=["RS256"])

    assert token.header["kid"] == KEYS.current.kid
    assert token.claims["iss"] == "https://tenant.example/"
    assert (token.claims["aud"], token.claims["sub"]) == ("app", "email|abc123")
    assert (token.claims["iat"], token.claims["exp"]) == (NOW, NOW + 36_000)
    assert (token.claims["email"], token.claims["email_verified"]) == ("ada@example.com", True)


def test_a_phone_user_has_a_phone_claim() -> None:
    """SMS users are `sms|id` and have a number instead of an address."""
    claims = claims_of(token_set(grant(strategy="sms"))["id_token"])

    assert claims["sub"] == "sms|abc123"
    assert claims["phone_number"] == "+12015550123"
    assert "email" not in claims


def test_scopes_decide_what_is_issued() -> None:
    """No openid: no id_token. No email scope: no address in it."""
    bare = token_set(grant(scope="read:things"))
    plain = token_set(grant(scope="openid"))

    assert "id_token" not in bare
    assert "email" not in claims_of(plain["id_token"])


def test_an_audience_earns_a_jwt_and_none_an_opaque_token() -> None:
    """Access tokens for an API are JWTs that name it."""
    opaque = token_set(grant())["access_token"]
    for_api = token_set(grant(audience="https://api.example/"))["access_token"]

    assert opaque.count(".") == 0
    assert claims_of(for_api)["aud"] == "https://api.example/"


def test_refresh_token_organization_and_nonce_are_there_when_granted() -> None:
    """The scopes that were requested and allowed appear."""
    members = token_set(grant(refresh=True, nonce="n", organization=Organization(id="org_1", name="acme")))
    claims = claims_of(members["id_token"])

    assert members["refresh_token"]
    assert (claims["nonce"], claims["org_id"], claims["org_name"]) == ("n", "org_1", "acme")


def test_hs256_clients_get_tokens_signed_with_their_secret() -> None:
    """The secret's UTF-8 bytes are the key."""
    client = Client(client_id="app", client_secret=SecretStr(SECRET), signing_alg="HS256")
    token = token_set(grant(client=client))["id_token"]

    assert jwt.decode(token, OctKey.import_key(SECRET.encode()), algorithms=["HS256"]).claims["aud"] == "app"


@pytest.mark.parametrize(
    ("fault", "claim", "value"),
    [
        (TokenFault.BAD_ISS, "iss", "https://someone-else.example/"),
        (TokenFault.BAD_AUD, "aud", "someone-else"),
        (TokenFault.NO_EXP, "exp", None),
        (TokenFault.NO_IAT, "iat", None),
        (TokenFault.FUTURE_IAT, "iat", NOW + 100_000),
        (TokenFault.FUTURE_NBF, "nbf", NOW + 100_000),
        (TokenFault.NO_SUB, "sub", None),
        (TokenFault.NONCE, "nonce", "another-nonce"),
        (TokenFault.NO_AZP, "azp", None),
        (TokenFault.BAD_AZP, "azp", "someone-else"),
        (TokenFault.BAD_ORG, "org_id", "org_someoneelse"),
        (TokenFault.NO_ORG, "org_id", None),
        (TokenFault.OLD_AUTH_TIME, "auth_time", 0),
        (TokenFault.NO_AUTH_TIME, "auth_time", None),
    ],
)
def test_a_claim_can_be_wrong_under_a_good_signature(fault: TokenFault, claim: str, value: object) -> None:
    """One claim is spoilt, the signature stays good: only a check of that claim can notice."""
    organization = Organization(id="org_1", name="acme")
    claims = jwt.decode(token_set(grant(fault, organization=organization))["id_token"], KEYS.current).claims

    assert claims.get(claim) == value


def test_an_expired_token_is_long_past() -> None:
    """Expiry is beyond any tolerance."""
    claims = claims_of(token_set(grant(TokenFault.EXPIRED))["id_token"])

    assert claims["iat"] < claims["exp"] < NOW - 3600


@pytest.mark.parametrize(
    "fault", [TokenFault.BAD_SIGNATURE, TokenFault.UNKNOWN_KID, TokenFault.HS256, TokenFault.ALG_NONE]
)
def test_a_signature_can_be_wrong(fault: TokenFault) -> None:
    """The tenant's key does not verify it."""
    token = token_set(grant(fault))["id_token"]

    with pytest.raises(JoseError):
        jwt.decode(token, KEYS.current, algorithms=["RS256"])


def test_headers_of_wrong_signatures() -> None:
    """An unknown kid is really unknown, a bad signature hides behind the real one."""
    published = {key["kid"] for key in KEYS.jwks()["keys"]}
    unknown = header_of(token_set(grant(TokenFault.UNKNOWN_KID))["id_token"])["kid"]
    forged = header_of(token_set(grant(TokenFault.BAD_SIGNATURE))["id_token"])["kid"]

    assert unknown not in published
    assert forged == KEYS.current.kid
    assert header_of(token_set(grant(TokenFault.ALG_NONE))["id_token"])["alg"] == "none"


def test_the_id_token_can_be_missing_or_no_jwt() -> None:
    """Two more ways a response can be wrong."""
    assert "id_token" not in token_set(grant(TokenFault.NO_ID_TOKEN))
    assert "." not in token_set(grant(TokenFault.NOT_A_JWT))["id_token"]


def test_rotation_uses_the_published_key_next() -> None:
    """As on a tenant, the JWKS shows the next key before it signs, and the old one after."""
    keys = SigningKeys()
    first, second = (key["kid"] for key in keys.jwks()["keys"])
    keys.rotate()
    published = [key["kid"] for key in keys.jwks()["keys"]]

    assert keys.current.kid == second
    assert first in published
    assert len(published) == 3


def test_rotation_can_surprise() -> None:
    """A key that was never published, and the old one revoked at once."""
    keys = SigningKeys()
    before = {key["kid"] for key in keys.jwks()["keys"]}
    old = keys.current.kid
    keys.rotate(revoke=True, prepublished=False)
    after = {key["kid"] for key in keys.jwks()["keys"]}

    assert keys.current.kid not in before
    assert old not in after


def test_the_jwks_holds_no_private_part() -> None:
    """Only public members are published."""
    for key in KEYS.jwks()["keys"]:
        assert {"kty", "n", "e", "kid", "use", "alg"} == set(key)
