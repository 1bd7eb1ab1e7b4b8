"""Signing keys, and the token set of a login: id_token with its faults, access token, refresh token."""

from __future__ import annotations

import base64
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import orjson
from joserfc import jwt
from joserfc.jwk import OctKey, RSAKey

from gatepost_simulator.faults import TokenFault

if TYPE_CHECKING:
    from gatepost_simulator.profiles import Profile
    from gatepost_simulator.settings import Client, Organization

_BITS = 2048
_FAR_S = 100_000
_NO_SECRET = "what HS256 signs with for a client without a secret"  # noqa: S105 - not a credential


@dataclass(frozen=True, slots=True)
class Grant:
    """The grant of a login."""

    client: Client
    profile: Profile
    scope: str
    audience: str = ""
    organization: Organization | None = None
    nonce: str = ""
    auth_time: float = 0.0
    refresh: bool = False
    fault: TokenFault = TokenFault.NONE

    def has(self, scope: str) -> bool:
        """Return whether a scope was granted."""
        return scope in self.scope.split()


class TokenIssuer:
    """Makes tokens for one domain.

    Args:
        domain: The issuer is `https://{domain}/`.
        access_token_lifetime_s: Seconds, sent as `expires_in`.
        id_token_lifetime_s: Seconds from `iat` to `exp` of the id_token.
    """

    def __init__(self, domain: str, access_token_lifetime_s: float, id_token_lifetime_s: float) -> None:
        self._issuer = f"https://{domain}/"
        self._access_lifetime_s = int(access_token_lifetime_s)
        self._id_lifetime_s = int(id_token_lifetime_s)

    def token_set(self, grant: Grant, key: RSAKey, now: float) -> dict[str, Any]:
        """Return the members of a successful token response, `scope` and `token_type` left to the caller."""
        members: dict[str, Any] = {"access_token": self._access_token(grant, key, now)}
        if grant.refresh:
            members["refresh_token"] = "v1." + secrets.token_urlsafe(48)
        if grant.has("openid") and grant.fault is not TokenFault.NO_ID_TOKEN:
            members["id_token"] = self._id_token(grant, key, now)
        members["expires_in"] = self._access_lifetime_s
        return members

    def _access_token(self, grant: Grant, key: RSAKey, now: float) -> str:
        """An opaque token, or a JWT where an API was asked for."""
        if not grant.audience:
            return secrets.token_urlsafe(24)
        claims = {
            "iss": self._issuer,
            "sub": grant.profile.subject,
            "aud": grant.audience,
            "iat": int(now),
            "exp": int(now) + self._access_lifetime_s,
            "scope": grant.scope,
            "azp": grant.client.client_id,
        }
        return jwt.encode({"alg": "RS256", "kid": key.kid, "typ": "at+jwt"}, claims, key)

    def _id_token(self, grant: Grant, key: RSAKey, now: float) -> str:
        claims = _profile_claims(grant, now)
        claims |= {
            "iss": self._issuer,
            "aud": grant.client.client_id,
            "iat": int(now),
            "exp": int(now) + self._id_lifetime_s,
            "sub": grant.profile.subject,
            "sid": secrets.token_urlsafe(24),
            "auth_time": int(grant.auth_time or now),
        }
        if grant.nonce:
            claims["nonce"] = grant.nonce
        if grant.organization is not None:
            claims |= {"org_id": grant.organization.id, "org_name": grant.organization.name}
        _spoil(claims, grant.fault, now)
        return _signed(claims, grant, key)


def _profile_claims(grant: Grant, now: float) -> dict[str, Any]:
    profile = grant.profile
    is_email = profile.strategy == "email"
    claims: dict[str, Any] = {}
    if grant.has("profile"):
        nickname = profile.identifier.partition("@")[0]
        updated = datetime.fromtimestamp(now, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        claims |= {"nickname": nickname, "name": profile.identifier, "updated_at": updated}
    if grant.has("email") and is_email:
        claims |= {"email": profile.identifier, "email_verified": profile.verified}
    if grant.has("phone") and not is_email:
        claims |= {"phone_number": profile.identifier, "phone_number_verified": profile.verified}
    return claims


def _spoil(claims: dict[str, Any], fault: TokenFault, now: float) -> None:
    """Change the claims as the fault requires."""
    changes: dict[TokenFault, dict[str, Any]] = {
        TokenFault.BAD_ISS: {"iss": "https://someone-else.example/"},
        TokenFault.BAD_AUD: {"aud": "someone-else"},
        TokenFault.EXPIRED: {"iat": int(now) - _FAR_S, "exp": int(now) - _FAR_S // 2},
        TokenFault.NO_EXP: {"exp": None},
        TokenFault.NO_IAT: {"iat": None},
        TokenFault.FUTURE_IAT: {"iat": int(now) + _FAR_S, "exp": int(now) + 2 * _FAR_S},
        TokenFault.FUTURE_NBF: {"nbf": int(now) + _FAR_S},
        TokenFault.NO_SUB: {"sub": None},
        TokenFault.NONCE: {"nonce": "another-nonce"},
        TokenFault.NO_AZP: {"aud": [claims["aud"], "https://api.example/"]},
        TokenFault.BAD_AZP: {"aud": [claims["aud"], "https://api.example/"], "azp": "someone-else"},
        TokenFault.BAD_ORG: {"org_id": "org_someoneelse", "org_name": "someone-else"},
        TokenFault.NO_ORG: {"org_id": None, "org_name": None},
        TokenFault.OLD_AUTH_TIME: {"auth_time": int(now) - 10 * _FAR_S},
        TokenFault.NO_AUTH_TIME: {"auth_time": None},
    }
    for name, value in changes.get(fault, {}).items():
        if value is None:
            claims.pop(name, None)
        else:
            claims[name] = value


def _signed(claims: dict[str, Any], grant: Grant, key: RSAKey) -> str:
    kid = key.kid
    match grant.fault:
        case TokenFault.NOT_A_JWT:
            return "this-is-not-a-jwt"
        case TokenFault.ALG_NONE:
            return f"{_segment({'alg': 'none', 'typ': 'JWT'})}.{_segment(claims)}."
        case TokenFault.UNKNOWN_KID:
            key, kid = RSAKey.generate_key(2048), "a-kid-that-no-jwks-has"
        case TokenFault.BAD_SIGNATURE:
            key = RSAKey.generate_key(2048)
    if grant.fault is TokenFault.HS256 or grant.client.signing_alg == "HS256":
        return _hs256(claims, grant.client)
    return jwt.encode({"alg": "RS256", "kid": kid}, claims, key)


def _hs256(claims: dict[str, Any], client: Client) -> str:
    """Sign with the secret's UTF-8 bytes, as Auth0 does (never base64-decoded)."""
    secret = client.client_secret.get_secret_value() if client.client_secret else _NO_SECRET
    return jwt.encode({"alg": "HS256"}, claims, OctKey.import_key(secret.encode()), algorithms=["HS256"])


def _segment(document: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(orjson.dumps(document)).rstrip(b"=").decode()


class SigningKeys:
    """As at Auth0, the next key is published before its use, and a replaced one until it is revoked."""

    def __init__(self) -> None:
        self._keys = [_new_key(), _new_key()]

    @property
    def current(self) -> RSAKey:
        """The key that signs."""
        return self._keys[0]

    def rotate(self, *, revoke: bool = False, prepublished: bool = True) -> RSAKey:
        """Sign with the next key from now on.

        Args:
            revoke: Take the replaced key out of the JWKS at once.
            prepublished: Use the key that the JWKS already shows; False takes one that no cache can know.

        Returns:
            The new current key.
        """
        replaced, following, *older = self._keys
        fresh = _new_key()
        current, upcoming = (following, fresh) if prepublished else (fresh, following)
        self._keys = [current, upcoming, *([] if revoke else [replaced]), *older]
        return current

    def jwks(self) -> dict[str, list[dict[str, object]]]:
        """Return the JSON Web Key Set."""
        return {"keys": [{**key.as_dict(private=False), "use": "sig", "alg": "RS256"} for key in self._keys]}


def _new_key() -> RSAKey:
    key = RSAKey.generate_key(_BITS)
    key.ensure_kid()
    return key
