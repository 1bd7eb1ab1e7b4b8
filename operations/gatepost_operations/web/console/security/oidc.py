"""Signs operators in at an identity provider: OpenID Connect, the code flow with PKCE, state and nonce."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import requests
from authlib.common.errors import AuthlibBaseError
from authlib.integrations.requests_client import OAuth2Session
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from gatepost_core.safe_text import visible
from gatepost_operations.web.console.security.operators import Operator
from gatepost_operations.web.console.security.pending_sign_ins import PendingSignIns, derived
from gatepost_operations.web.console.security.refusals import NoRole, ProviderAway, SignInFailed

if TYPE_CHECKING:
    from collections.abc import Callable

    from redis import Redis

    from gatepost_core.redis.keys import RedisKeys
    from gatepost_operations.web.console.security.operators import Level
    from gatepost_operations.web.console.security.settings import ConsoleSettings

CALLBACK: Final = "/sign-in/callback"
"""The path to which the provider returns the browser. Register it there."""
_TIMEOUT_S: Final = 10
_METADATA_S: Final = 3600
# No `none`, and no HMAC: its key is the client's secret.
_ALGORITHMS: Final = [
    "RS256",
    "RS384",
    "RS512",
    "PS256",
    "PS384",
    "PS512",
    "ES256",
    "ES384",
    "ES512",
    "EdDSA",
    "Ed25519",
]
_LEEWAY_S: Final = 60
_LONGEST_NAME: Final = 200


@dataclass(frozen=True, slots=True)
class Finished:
    """The end of a sign-in: the operator, and the path of the page that was asked for."""

    operator: Operator
    path: str


class IdentityProvider:
    """One provider. Its metadata is read when the first operator signs in, and again every hour.

    Args:
        settings: the configuration, with an issuer.
        client: a connection to Redis.
        keys: the names in this Redis.
    """

    def __init__(self, settings: ConsoleSettings, client: Redis, keys: RedisKeys) -> None:
        self._settings = settings
        self._issuer = settings.oidc_issuer or ""
        self._pending = PendingSignIns(client, keys)
        self._metadata: tuple[float, dict[str, Any]] = (0.0, {})

    def begin(self, browser: str, callback: str, path: str) -> str:
        """Return the URL at the provider to which the browser goes.

        Args:
            browser: the secret in the cookie of the browser that signs in.
            callback: the URL to which the provider returns the browser.
            path: the page that was asked for.

        Raises:
            ProviderAway: the provider does not answer.
        """
        metadata = self._read_metadata()
        state = self._pending.add(browser, path)
        with self._session(callback) as session:
            url, _ = session.create_authorization_url(
                metadata["authorization_endpoint"],
                state=state,
                nonce=derived(browser, state, "nonce"),
                code_verifier=derived(browser, state, "verifier"),
            )
        return str(url)

    def finish(self, browser: str, callback: str, answer: Mapping[str, str]) -> Finished:
        """Return the operator whom the provider names.

        Args:
            browser: the secret in the cookie of the browser.
            callback: the same URL as for `begin`.
            answer: the query with which the browser returned.

        Raises:
            SignInFailed: the sign-in was begun in another browser, took too long, was refused, or the token is not valid.
            NoRole: the account has none of the configured roles.
            ProviderAway: the provider does not answer.
        """
        state = answer.get("state", "")
        path = self._pending.take(browser, state)
        metadata = self._read_metadata()
        if (
            answer.get(
                "iss", self._issuer if not metadata.get("authorization_response_iss_parameter_supported") else ""
            )
            != self._issuer
        ):
            raise SignInFailed("The answer came from another identity provider. Try again.")
        if "code" not in answer:
            raise SignInFailed("The identity provider did not sign you in. Try again.")
        with self._session(callback) as session:
            claims = self._claims(session, metadata, answer["code"], browser, state)
        return Finished(self._operator(claims), path)

    def _claims(
        self, session: OAuth2Session, metadata: Mapping[str, Any], code: str, browser: str, state: str
    ) -> dict[str, Any]:
        """Exchange the code, and return the claims of the id_token, with those of the userinfo endpoint if the role is there."""
        try:
            tokens = session.fetch_token(
                metadata["token_endpoint"],
                code=code,
                code_verifier=derived(browser, state, "verifier"),
                grant_type="authorization_code",
                timeout=_TIMEOUT_S,
            )
        except (AuthlibBaseError, requests.RequestException, ValueError) as failure:
            refused = isinstance(failure, AuthlibBaseError)
            problem = SignInFailed("The identity provider refused the code. Try again.") if refused else ProviderAway()
        else:
            claims = self._validated(str(tokens.get("id_token", "")), metadata, derived(browser, state, "nonce"))
            if claim(claims, self._settings.oidc_role_claim) is None and (
                endpoint := metadata.get("userinfo_endpoint")
            ):
                about = self._json(session.get, endpoint)
                # Another subject's claims must not count (OpenID Connect Core 5.3.2).
                claims = claims | about if about.get("sub") == claims["sub"] else claims
            return claims
        raise problem

    def _validated(self, id_token: str, metadata: Mapping[str, Any], nonce: str) -> dict[str, Any]:
        """Return the claims of an id_token (OpenID Connect Core 3.1.3.7)."""
        client_id = self._settings.oidc_client_id or ""
        rules = jwt.JWTClaimsRegistry(
            now=int(time.time()),
            leeway=_LEEWAY_S,
            iss={"essential": True, "value": self._issuer},
            aud={"essential": True, "value": client_id},
            sub={"essential": True},
            exp={"essential": True},
            iat={"essential": True},
            nonce={"essential": True, "value": nonce},
        )
        try:
            keys = KeySet.import_key_set(self._json(requests.get, metadata["jwks_uri"]))  # type: ignore[arg-type]
            claims = jwt.decode(id_token, keys, algorithms=_ALGORITHMS).claims
            rules.validate(claims)
        except (JoseError, ValueError):
            claims = {}
        audience = claims.get("aud")
        others = isinstance(audience, list) and len(audience) > 1
        if not claims or claims.get("azp", None if others else client_id) != client_id:
            raise SignInFailed(
                "The identity provider's token is not valid for this console. Check GATEPOST_CONSOLE_OIDC_CLIENT_ID and the clock."
            )
        return dict(claims)

    def _operator(self, claims: Mapping[str, Any]) -> Operator:
        level = level_in(claim(claims, self._settings.oidc_role_claim), self._settings.roles())
        if level is None:
            raise NoRole
        subject = str(claims["sub"])
        name = claim(claims, self._settings.oidc_name_claim)
        # An address that its owner did not verify could be another operator's.
        is_usable = isinstance(name, str) and name.strip() and claims.get("email_verified", True) is not False
        return Operator(visible(str(name) if is_usable else subject)[:_LONGEST_NAME], level, f"oidc:{subject}")

    def _read_metadata(self) -> dict[str, Any]:
        """Return the provider's metadata (OpenID Connect Discovery)."""
        read_at, metadata = self._metadata
        if not metadata or time.time() - read_at > _METADATA_S:
            metadata = self._json(requests.get, f"{self._issuer.rstrip('/')}/.well-known/openid-configuration")
            wanted = ("authorization_endpoint", "token_endpoint", "jwks_uri")
            scheme = urlsplit(self._issuer).scheme
            if metadata.get("issuer") != self._issuer or not all(
                str(metadata.get(name)).startswith(f"{scheme}://") for name in wanted
            ):
                raise ProviderAway("The identity provider's metadata does not fit GATEPOST_CONSOLE_OIDC_ISSUER.")
            self._metadata = (time.time(), metadata)
        return metadata

    def _json(self, get: Callable[..., requests.Response], url: str) -> dict[str, Any]:
        try:
            answer = get(url, timeout=_TIMEOUT_S, verify=self._verify, allow_redirects=False)
            answer.raise_for_status()
            document = answer.json()
        except (requests.RequestException, ValueError, AuthlibBaseError):
            document = None
        if not isinstance(document, dict):
            raise ProviderAway
        return document

    @property
    def _verify(self) -> str | bool:
        bundle = self._settings.oidc_ca_bundle
        return True if bundle is None else str(bundle.expanduser())

    def _session(self, callback: str) -> OAuth2Session:
        secret = self._settings.oidc_client_secret
        methods = self._metadata[1].get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
        session = OAuth2Session(
            self._settings.oidc_client_id,
            None if secret is None else secret.get_secret_value(),
            token_endpoint_auth_method="client_secret_basic"
            if "client_secret_basic" in methods
            else "client_secret_post",
            scope=self._settings.oidc_scopes,
            redirect_uri=callback,
            code_challenge_method="S256",
        )
        session.verify = self._verify
        return session


def claim(claims: Mapping[str, Any], name: str) -> Any:
    """Return a claim; None if it is missing.

    Args:
        claims: the claims.
        name: its name, such as `roles` or `https://gatepost.example/roles`; or a path such as `realm_access.roles`.
    """
    if name in claims:
        return claims[name]
    found: Any = claims
    for part in name.split("."):
        if not isinstance(found, Mapping) or part not in found:
            return None
        found = found[part]
    return found


def level_in(value: Any, roles: Mapping[str, Level]) -> Level | None:
    """Return the highest access level that a claim gives; None if it gives none.

    Args:
        value: the claim: one role, or a list of roles. Other values give none.
        roles: the access level of each role.
    """
    values = value if isinstance(value, list) else [value]
    return max((roles[one] for one in values if isinstance(one, str) and one in roles), default=None)
