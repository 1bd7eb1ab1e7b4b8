"""What the console accepts from an identity provider, and what it refuses."""

from __future__ import annotations

import base64
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest
from joserfc import jwt
from joserfc.jwk import RSAKey
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.requests import Request  # noqa: TC002 - Starlette calls it
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from gatepost_core.redis.keys import RedisKeys
from gatepost_operations.web.console.security.oidc import IdentityProvider
from gatepost_operations.web.console.security.operators import Level
from gatepost_operations.web.console.security.refusals import NoRole, ProviderAway, SignInFailed
from gatepost_operations.web.console.security.settings import ConsoleSettings
from support.console_server import WebServer

if TYPE_CHECKING:
    from collections.abc import Iterator

    import redis

KEY = RSAKey.generate_key(2048, {"kid": "one"})
OTHER_KEY = RSAKey.generate_key(2048, {"kid": "one"})
BROWSER = "the secret in the browser's cookie"
CALLBACK = "http://127.0.0.1/sign-in/callback"


class Provider:
    """An identity provider whose answers a test changes."""

    def __init__(self) -> None:
        self.url = ""
        self.metadata: dict[str, Any] = {}
        self.claims: dict[str, Any] = {}
        self.about: dict[str, Any] = {}
        self.nonce = ""
        self.key, self.header = KEY, {"alg": "RS256", "kid": "one"}
        self.exchanges: list[tuple[str, dict[str, list[str]]]] = []

    def app(self) -> Starlette:
        """Return it as an ASGI app."""
        return Starlette(
            routes=[
                Route("/.well-known/openid-configuration", self._metadata),
                Route("/keys", self._keys),
                Route("/token", self._token, methods=["POST"]),
                Route("/about", lambda _: JSONResponse(self.about)),
            ]
        )

    def _metadata(self, _: Request) -> Response:
        paths = {"authorization_endpoint": "auth", "token_endpoint": "token", "jwks_uri": "keys"}
        found = {"issuer": self.url, **{name: f"{self.url}/{path}" for name, path in paths.items()}}
        return JSONResponse({**found, "userinfo_endpoint": f"{self.url}/about", **self.metadata})

    def _keys(self, _: Request) -> Response:
        return JSONResponse({"keys": [KEY.as_dict(private=False)]})

    async def _token(self, request: Request) -> Response:
        self.exchanges.append((request.headers.get("authorization", ""), parse_qs((await request.body()).decode())))
        now = int(time.time())
        claims = {"iss": self.url, "aud": "console", "sub": "7", "iat": now, "exp": now + 60, "nonce": self.nonce}
        claims = {name: value for name, value in {**claims, **self.claims}.items() if value is not None}
        token = jwt.encode(self.header, claims, self.key, algorithms=["RS256", "HS256", "none"])
        return JSONResponse({"access_token": "opaque", "token_type": "Bearer", "id_token": token})


@pytest.fixture
def provider() -> Iterator[Provider]:
    """A provider over HTTP."""
    made = Provider()
    with WebServer(made.app()) as server:  # type: ignore[arg-type] # any ASGI app
        made.url = server.url
        yield made


@pytest.fixture
def client(provider: Provider, redis_client: redis.Redis) -> IdentityProvider:
    """The console's side."""
    access = ConsoleSettings(
        oidc_issuer=provider.url,
        oidc_client_id="console",
        oidc_client_secret=SecretStr("s3cret"),
        oidc_role_claim="realm.roles",
        oidc_operator=("team",),
        oidc_admin=("leads",),
    )
    return IdentityProvider(access, redis_client, RedisKeys())


def sign_in(client: IdentityProvider, provider: Provider, **answer: str) -> Any:
    """Sign in, with the provider's answer."""
    query = parse_qs(urlsplit(client.begin(BROWSER, CALLBACK, "/audit")).query)
    provider.nonce = provider.nonce or query["nonce"][0]
    return client.finish(BROWSER, CALLBACK, {"code": "c0de", "state": query["state"][0], **answer})


def test_the_highest_role_gives_the_level(client: IdentityProvider, provider: Provider) -> None:
    """The claim can be nested, as Keycloak's is. The secret goes in a header, with the verifier of PKCE."""
    provider.claims = {"realm": {"roles": ["team", "leads", 7]}, "email": "ana@example.com"}
    finished = sign_in(client, provider)
    ((authorization, form),) = provider.exchanges

    assert (finished.operator.name, finished.operator.level) == ("ana@example.com", Level.ADMIN)
    assert (finished.operator.account, finished.path) == ("oidc:7", "/audit")
    assert authorization == "Basic " + base64.b64encode(b"console:s3cret").decode()
    assert len(form["code_verifier"][0]) >= 43


@pytest.mark.parametrize("roles", [None, [], "", ["visitors"], {"team": True}, [["team"]], True, "teams"])
def test_no_role_signs_no_one_in(client: IdentityProvider, provider: Provider, roles: Any) -> None:
    """A claim that is missing, empty or of another form gives no level."""
    provider.claims = {"realm": {"roles": roles}}

    with pytest.raises(NoRole, match="no access level"):
        sign_in(client, provider)


def test_roles_can_come_from_the_userinfo_endpoint_of_the_same_person(
    client: IdentityProvider, provider: Provider
) -> None:
    """Another subject's claims do not count."""
    provider.about = {"sub": "7", "realm": {"roles": "team"}}
    own = sign_in(client, provider)
    provider.about, provider.nonce = {"sub": "8", "realm": {"roles": "leads"}}, ""

    assert own.operator.level == Level.OPERATOR
    with pytest.raises(NoRole):
        sign_in(client, provider)


def test_an_address_that_is_not_verified_is_no_name(client: IdentityProvider, provider: Provider) -> None:
    """Otherwise the audit log could name another operator."""
    provider.claims = {"realm": {"roles": "team"}, "email": "ana@example.com", "email_verified": False}

    assert sign_in(client, provider).operator.name == "7"


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": "https://other.example"},
        {"aud": "another client"},
        {"aud": ["console", "another client"]},
        {"aud": ["console", "another client"], "azp": "another client"},
        {"azp": "another client"},
        {"nonce": "of another sign-in"},
        {"nonce": None},
        {"exp": 1_000_000_000},
        {"exp": None},
        {"sub": None},
        {"iat": 4_000_000_000},
    ],
)
def test_a_token_for_another_purpose_is_refused(
    client: IdentityProvider, provider: Provider, claims: dict[str, Any]
) -> None:
    """OpenID Connect Core 3.1.3.7: issuer, audience, authorized party, nonce and times."""
    provider.claims = {"realm": {"roles": "leads"}, **claims}

    with pytest.raises(SignInFailed, match="token is not valid"):
        sign_in(client, provider)


@pytest.mark.parametrize("forgery", ["another key", "HMAC with the public key", "no token"])
def test_a_forged_token_is_refused(client: IdentityProvider, provider: Provider, forgery: str) -> None:
    """Only signatures by the provider's published keys count."""
    provider.claims = {"realm": {"roles": "leads"}}
    if forgery == "another key":
        provider.key = OTHER_KEY
    elif forgery == "HMAC with the public key":
        from joserfc.jwk import OctKey  # noqa: PLC0415 - only here

        provider.key = OctKey.import_key(b"s3cret" * 6)  # type: ignore[assignment]
        provider.header = {"alg": "HS256", "kid": "one"}
    else:
        provider.header = {"alg": "RS256", "kid": "unknown"}

    with pytest.raises(SignInFailed, match="token is not valid"):
        sign_in(client, provider)


def test_another_issuer_s_answer_is_refused(client: IdentityProvider, provider: Provider) -> None:
    """RFC 9207: also a missing issuer, if the provider promises to name itself."""
    provider.metadata = {"authorization_response_iss_parameter_supported": True}

    for answer in ({"iss": "https://other.example"}, {}):
        with pytest.raises(SignInFailed, match="another identity provider"):
            sign_in(client, provider, **answer)
    assert not provider.exchanges


def test_an_answer_counts_once_and_only_in_its_browser(client: IdentityProvider, provider: Provider) -> None:
    """A link to another person's sign-in signs no one in."""
    provider.claims = {"realm": {"roles": "leads"}}
    query = parse_qs(urlsplit(client.begin(BROWSER, CALLBACK, "/")).query)
    state, provider.nonce = query["state"][0], query["nonce"][0]

    for browser in ("another cookie", BROWSER):
        with pytest.raises(SignInFailed, match="begun in another browser"):
            client.finish(browser, CALLBACK, {"code": "c0de", "state": state})
    assert not provider.exchanges


def test_an_answer_without_a_code_is_no_sign_in(client: IdentityProvider, provider: Provider) -> None:
    """The operator cancelled at the provider. Its words are not repeated."""
    state = parse_qs(urlsplit(client.begin(BROWSER, CALLBACK, "/")).query)["state"][0]

    with pytest.raises(SignInFailed, match="did not sign you in") as raised:
        client.finish(BROWSER, CALLBACK, {"error": "access_denied", "error_description": "<b>no</b>", "state": state})
    assert "<b>" not in str(raised.value)


@pytest.mark.parametrize(
    "metadata", [{"issuer": "https://other.example"}, {"token_endpoint": "ftp://x"}, {"jwks_uri": None}]
)
def test_metadata_of_another_issuer_is_refused(
    client: IdentityProvider, provider: Provider, metadata: dict[str, Any]
) -> None:
    """OpenID Connect Discovery 4.3."""
    provider.metadata = metadata

    with pytest.raises(ProviderAway, match="GATEPOST_CONSOLE_OIDC_ISSUER"):
        client.begin(BROWSER, CALLBACK, "/")


def test_a_provider_that_is_away_is_told(redis_client: redis.Redis) -> None:
    """The page says whose fault it is."""
    access = ConsoleSettings(
        oidc_issuer="http://127.0.0.1:1", oidc_client_id="c", oidc_client_secret=SecretStr("s"), oidc_admin=("a",)
    )

    with pytest.raises(ProviderAway, match="does not answer"):
        IdentityProvider(access, redis_client, RedisKeys()).begin(BROWSER, CALLBACK, "/")
