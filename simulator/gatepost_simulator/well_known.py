"""The discovery documents: JWKS and OpenID configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gatepost_simulator.assertions import ALGORITHMS
from gatepost_simulator.exchange import Answer
from gatepost_simulator.settings import CODE_GRANT, OTP_GRANT

if TYPE_CHECKING:
    from gatepost_simulator.exchange import Request
    from gatepost_simulator.tenant import Tenant

_CACHE = ((b"cache-control", b"public, max-age=15, stale-while-revalidate=15, stale-if-error=86400"),)


def jwks(tenant: Tenant, _request: Request) -> Answer:
    """Return the tenant's public keys."""
    return Answer.of(tenant.keys.jwks(), headers=_CACHE)


def openid_configuration(tenant: Tenant, _request: Request) -> Answer:
    """Return the discovery document; endpoints carry the scheme the simulator serves, the issuer is always https."""
    base = tenant.base_url
    document: dict[str, Any] = {
        "issuer": f"https://{tenant.domain}/",
        "token_endpoint": f"{base}/oauth/token",
        "jwks_uri": f"{base}/.well-known/jwks.json",
        "mtls_endpoint_aliases": {"token_endpoint": f"{base}/oauth/token"},
        "grant_types_supported": [OTP_GRANT, CODE_GRANT],
        "response_types_supported": ["code", "token", "id_token", "id_token token"],
        "scopes_supported": ["openid", "profile", "email", "phone", "offline_access"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256", "HS256"],
        "token_endpoint_auth_methods_supported": [
            "client_secret_basic",
            "client_secret_post",
            "private_key_jwt",
            "tls_client_auth",
            "self_signed_tls_client_auth",
        ],
        "token_endpoint_auth_signing_alg_values_supported": list(ALGORITHMS),
        "claims_supported": ["aud", "auth_time", "email", "email_verified", "exp", "iat", "iss", "name", "sub"],
    }
    return Answer.of(document, headers=_CACHE)
