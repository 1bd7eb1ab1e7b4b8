"""Keys, JWKS documents and id_tokens for tests, made with cryptography and joserfc."""

from __future__ import annotations

import base64
import hmac
import json
from functools import cache
from typing import Any

from joserfc import jwt
from joserfc.jwk import RSAKey

ISSUER = "https://tenant.example.com/"
CLIENT_ID = "client-1"
NOW = 1_800_000_000


@cache
def signing_key(kid: str = "key-1") -> RSAKey:
    """Make one RSA key for each id, once."""
    return RSAKey.generate_key(2048, {"kid": kid, "use": "sig"})


def private_pem(kid: str = "assertion") -> str:
    """Return a private key as PKCS#8 PEM."""
    return signing_key(kid).as_pem(private=True).decode()


def jwks(*kids: str) -> bytes:
    """Return the JWKS document of those keys."""
    return json.dumps({"keys": [signing_key(kid).as_dict(private=False) for kid in kids or ("key-1",)]}).encode()


def claims(**changes: Any) -> dict[str, Any]:
    """Return good claims, changed; None takes one away."""
    good = {"iss": ISSUER, "sub": "email|1", "aud": CLIENT_ID, "iat": NOW, "exp": NOW + 3600}
    return {name: value for name, value in {**good, **changes}.items() if value is not None}


def id_token(
    *, kid: str | None = "key-1", key: RSAKey | None = None, header: dict[str, Any] | None = None, **changes: Any
) -> str:
    """Return an RS256 id_token."""
    head = {"alg": "RS256", **({"kid": kid} if kid else {}), **(header or {})}
    return jwt.encode(head, claims(**changes), key or signing_key(kid or "key-1"), algorithms=[head["alg"]])


def hs256_token(secret: str, **changes: Any) -> str:
    """Return an HS256 id_token, signed by hand: joserfc refuses some secrets that an attacker would use."""
    head, payload = (_encode(json.dumps(part).encode()) for part in ({"alg": "HS256"}, claims(**changes)))
    signature = hmac.digest(secret.encode(), f"{head}.{payload}".encode(), "sha256")
    return f"{head}.{payload}.{_encode(signature)}"


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
