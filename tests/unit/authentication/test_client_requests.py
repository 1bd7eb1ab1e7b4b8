"""The requests on the wire: bodies, defaults, overrides, headers and the credential."""

from __future__ import annotations

import base64
import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from joserfc import jwt

from gatepost_worker.authentication import (
    ClientCertificate,
    Configuration,
    ConfigurationError,
    CredentialMissing,
    Passwordless,
    RequestOverrides,
    RequestUnsendable,
    RequiredError,
    Timeouts,
)
from support.scripted_adapter import STARTED, Answer, ScriptedAdapter
from support.signed_tokens import CLIENT_ID, ISSUER, NOW, private_pem, signing_key

if TYPE_CHECKING:
    from collections.abc import Callable

    MakeClient = Callable[..., tuple[Passwordless, ScriptedAdapter]]

TOKENS = Answer(body={**json.loads(STARTED), "access_token": "opaque", "token_type": "Bearer"})
EMAIL = "user+tag@example.com"
PHONE = "+15005550006"
CERTIFICATE = ClientCertificate(certificate_path="/certificate.pem", key_path="/key.pem")


def test_an_email_start_sends_a_code_by_default(make_client: MakeClient) -> None:
    """Auth0 would send a link by default, so `send` is always present. Members have the order of Auth0's SDKs."""
    client, adapter = make_client()
    client.send_email(EMAIL)

    assert adapter.sent[0].request.method == "POST"
    assert adapter.sent[0].request.url == "https://tenant.example.com/passwordless/start"
    assert adapter.sent[0].request.headers["Content-Type"] == "application/json"
    assert list(adapter.sent[0].json.items()) == [
        ("client_id", CLIENT_ID),
        ("connection", "email"),
        ("email", EMAIL),
        ("send", "code"),
        ("client_secret", "s3cret"),
    ]


def test_an_email_start_takes_every_option(make_client: MakeClient) -> None:
    """Link, connection, authParams, captcha, client id."""
    client, adapter = make_client()
    client.send_email(
        EMAIL,
        send="link",
        connection="custom-email",
        auth_params={"scope": "openid", "redirect_uri": "https://app.example.com"},
        captcha="solved",
        client_id="client-2",
    )

    assert adapter.sent[0].json == {
        "client_id": "client-2",
        "connection": "custom-email",
        "email": EMAIL,
        "send": "link",
        "authParams": {"scope": "openid", "redirect_uri": "https://app.example.com"},
        "captcha": "solved",
        "client_secret": "s3cret",
    }


def test_an_sms_start_leaves_send_out(make_client: MakeClient) -> None:
    """SMS has codes only, but a caller may name them."""
    client, adapter = make_client()
    client.send_sms(PHONE)
    client.send_sms(PHONE, send="code", connection="custom-sms")

    assert list(adapter.sent[0].json) == ["client_id", "connection", "phone_number", "client_secret"]
    assert (adapter.sent[0].json["connection"], adapter.sent[0].json["phone_number"]) == ("sms", PHONE)
    assert (adapter.sent[1].json["connection"], adapter.sent[1].json["send"]) == ("custom-sms", "code")


@pytest.mark.parametrize(
    ("method", "recipient", "realm"), [("login_with_email", EMAIL, "email"), ("login_with_sms", PHONE, "sms")]
)
def test_a_login_is_a_form_with_the_grant_type_last(
    make_client: MakeClient, method: str, recipient: str, realm: str
) -> None:
    """`+` goes as `%2B`, or it would arrive as a space."""
    client, adapter = make_client(TOKENS)
    getattr(client, method)(recipient, "123456")
    sent = adapter.sent[0]

    assert sent.request.url == "https://tenant.example.com/oauth/token"
    assert sent.request.headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert list(sent.form.items()) == [
        ("client_id", CLIENT_ID),
        ("username", recipient),
        ("otp", "123456"),
        ("realm", realm),
        ("client_secret", "s3cret"),
        ("grant_type", "http://auth0.com/oauth/grant-type/passwordless/otp"),
    ]
    assert b"%2B" in sent.body


def test_a_login_takes_every_option(make_client: MakeClient) -> None:
    """Scope, audience, resource, redirect_uri, realm."""
    client, adapter = make_client(TOKENS)
    client.login_with_email(
        EMAIL,
        "123456",
        realm="custom-email",
        scope="openid email",
        audience="https://api",
        resource="r",
        redirect_uri="https://a",
    )
    form = adapter.sent[0].form

    assert (form["realm"], form["scope"], form["audience"]) == ("custom-email", "openid email", "https://api")
    assert (form["resource"], form["redirect_uri"]) == ("r", "https://a")


def test_what_is_not_given_is_not_sent(make_client: MakeClient) -> None:
    """No body says `None`, `null` or `undefined`."""
    client, adapter = make_client(TOKENS)
    client.login_with_sms(PHONE, "123456")
    client.send_email(EMAIL, send=None)

    for sent in adapter.sent:
        assert not any(word in sent.body for word in (b"None", b"null", b"undefined"))
    assert "send" not in adapter.sent[1].json


def test_overrides_win_over_the_arguments(make_client: MakeClient) -> None:
    """A member of None is left out; new ones are added."""
    client, adapter = make_client(TOKENS)
    body = {"connection": "other", "send": None, "extra": {"a": [1, True]}}
    client.send_email(EMAIL, overrides=RequestOverrides(body=body))
    client.login_with_email(EMAIL, "123456", overrides=RequestOverrides(body={"realm": "other", "flag": True}))

    assert adapter.sent[0].json == {
        "client_id": CLIENT_ID,
        "connection": "other",
        "email": EMAIL,
        "extra": {"a": [1, True]},
        "client_secret": "s3cret",
    }
    assert (adapter.sent[1].form["realm"], adapter.sent[1].form["flag"]) == ("other", "true")


def test_the_grant_type_cannot_be_overridden(make_client: MakeClient) -> None:
    """This client makes only passwordless logins."""
    client, adapter = make_client(TOKENS)
    client.login_with_email(EMAIL, "123456", overrides=RequestOverrides(body={"grant_type": "password"}))

    assert adapter.sent[0].form["grant_type"].endswith("passwordless/otp")
    assert adapter.sent[0].body.count(b"grant_type") == 1
    assert list(adapter.sent[0].form)[-1] == "grant_type"


def test_text_is_sent_as_utf8(make_client: MakeClient) -> None:
    """Both encodings."""
    client, adapter = make_client(TOKENS)
    client.send_email("jürgen@exämple.com")
    client.login_with_email("jürgen@exämple.com", "123456")

    assert adapter.sent[0].json["email"] == "jürgen@exämple.com"
    assert adapter.sent[1].form["username"] == "jürgen@exämple.com"


@pytest.mark.parametrize("missing", ["", "  ", None])
@pytest.mark.parametrize(
    ("call", "field"),
    [
        (lambda client, missing: client.send_email(missing), "email"),
        (lambda client, missing: client.send_sms(missing), "phone_number"),
        (lambda client, missing: client.login_with_email(missing, "1"), "email"),
        (lambda client, missing: client.login_with_email(EMAIL, missing), "code"),
        (lambda client, missing: client.login_with_sms(missing, "1"), "phone_number"),
        (lambda client, missing: client.login_with_sms(PHONE, missing), "code"),
    ],
)
def test_a_missing_argument_is_refused_before_any_io(
    make_client: MakeClient, call: Callable[..., object], field: str, missing: str | None
) -> None:
    """An empty one as well."""
    client, adapter = make_client()
    with pytest.raises(RequiredError) as caught:
        call(client, missing)

    assert caught.value.field == field
    assert adapter.sent == []


# Headers


def test_the_end_users_address_and_language_go_as_headers(make_client: MakeClient) -> None:
    """On sends and on logins, for one call alone."""
    client, adapter = make_client(TOKENS)
    client.send_sms(PHONE, language="pt-BR", forwarded_for="203.0.113.7")
    client.login_with_sms(PHONE, "123456", language="pt-BR", forwarded_for="203.0.113.7")
    client.send_sms(PHONE)

    for sent in adapter.sent[:2]:
        assert sent.request.headers["x-request-language"] == "pt-BR"
        assert sent.request.headers["auth0-forwarded-for"] == "203.0.113.7"
    assert "auth0-forwarded-for" not in adapter.sent[2].request.headers
    assert "x-request-language" not in adapter.sent[2].request.headers


def test_headers_are_laid_over_one_another(make_client: MakeClient) -> None:
    """The client's, then the call's own, then its overrides; without regard to case; None takes one away."""
    client, adapter = make_client(
        configuration={
            "headers": {
                "X-Client": "1",
                "X-Both": "client",
                "Content-Type": "text/plain",
                "X-Gone": "x",
                "X-None": None,
            }
        }
    )
    overrides = RequestOverrides(headers={"x-both": "call", "X-Request-Language": "fr", "x-gone": None})
    client.send_email(EMAIL, language="de", overrides=overrides)
    headers = adapter.sent[0].request.headers

    assert headers["X-Client"] == "1"
    assert headers["X-Both"] == "call"
    assert headers["x-request-language"] == "fr"
    assert headers["Content-Type"] == "application/json"
    assert "X-Gone" not in headers
    assert "X-None" not in headers
    assert headers["Content-Length"] == str(len(adapter.sent[0].body))


@pytest.mark.parametrize("value", ["a\r\nX-Evil: 1", "a\nb", "\x00", "snowman ☃"])
def test_a_header_that_cannot_be_sent_is_refused_before_any_io(make_client: MakeClient, value: str) -> None:
    """No header can smuggle another one."""
    client, adapter = make_client()
    with pytest.raises(RequestUnsendable) as caught:
        client.send_email(EMAIL, forwarded_for=value)

    assert value not in str(caught.value)
    assert adapter.sent == []


def telemetry(adapter: ScriptedAdapter) -> dict[str, Any]:
    header = str(adapter.sent[-1].request.headers["Auth0-Client"])
    payload: dict[str, Any] = json.loads(base64.urlsafe_b64decode(header + "=" * (-len(header) % 4)))
    return payload


def test_telemetry_names_this_sdk(make_client: MakeClient) -> None:
    """Unpadded base64url of JSON; it survives every override."""
    client, adapter = make_client()
    client.send_email(EMAIL, overrides=RequestOverrides(headers={"Auth0-Client": "x"}))

    assert set(telemetry(adapter)) == {"name", "version", "env"}
    assert telemetry(adapter)["name"] == "gatepost"
    assert set(telemetry(adapter)["env"]) == {"python"}
    assert "=" not in str(adapter.sent[0].request.headers["Auth0-Client"])


def test_telemetry_can_be_replaced_or_switched_off(make_client: MakeClient) -> None:
    """A payload without a name gives no header."""
    client, adapter = make_client(client_info={"name": "shop?>", "version": "2"})
    client.send_email(EMAIL)
    silent, silent_adapter = make_client(telemetry=False)
    silent.send_email(EMAIL)
    nameless, nameless_adapter = make_client(client_info={"version": "2"})
    nameless.send_email(EMAIL)

    assert telemetry(adapter) == {"name": "shop?>", "version": "2"}
    assert "Auth0-Client" not in silent_adapter.sent[0].request.headers
    assert "Auth0-Client" not in nameless_adapter.sent[0].request.headers


# Credentials


def assertion_of(sent: Any) -> Any:
    members = sent.form if "oauth" in str(sent.request.url) else sent.json
    assert members["client_assertion_type"] == "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
    return jwt.decode(members["client_assertion"], signing_key("assertion"), algorithms=["RS256", "RS384", "PS256"])


@pytest.mark.parametrize("algorithm", ["RS256", "RS384", "PS256"])
def test_a_signing_key_makes_an_assertion_on_both_endpoints(make_client: MakeClient, algorithm: str) -> None:
    """Claims and header as Auth0 wants them, and no secret beside it, though one is configured."""
    client, adapter = make_client(
        TOKENS, client_assertion_signing_key=private_pem(), client_assertion_signing_alg=algorithm
    )
    client.send_email(EMAIL)
    client.login_with_email(EMAIL, "123456")

    for sent in adapter.sent:
        token = assertion_of(sent)
        assert token.header == {"alg": algorithm}
        assert {name: value for name, value in token.claims.items() if name != "jti"} == {
            "iss": CLIENT_ID,
            "sub": CLIENT_ID,
            "aud": ISSUER,
            "iat": NOW,
            "exp": NOW + 120,
        }
        assert b"s3cret" not in sent.body
    assert assertion_of(adapter.sent[0]).claims["jti"] != assertion_of(adapter.sent[1]).claims["jti"]


def test_the_effective_client_id_is_the_assertions_issuer(make_client: MakeClient) -> None:
    """Whether it comes as an argument or in the overrides."""
    client, adapter = make_client(TOKENS, client_assertion_signing_key=private_pem())
    client.login_with_email(EMAIL, "123456", client_id="client-2")
    client.send_email(EMAIL, overrides=RequestOverrides(body={"client_id": "client-3"}))

    assert assertion_of(adapter.sent[0]).claims["iss"] == assertion_of(adapter.sent[0]).claims["sub"] == "client-2"
    assert assertion_of(adapter.sent[1]).claims["iss"] == adapter.sent[1].json["client_id"] == "client-3"


@pytest.mark.parametrize("own", ["client_assertion", "client_secret"])
def test_a_calls_own_credential_is_used_alone(make_client: MakeClient, own: str) -> None:
    """Neither the client's assertion nor its secret goes beside it."""
    client, adapter = make_client(client_assertion_signing_key=private_pem())
    client.send_email(EMAIL, overrides=RequestOverrides(body={own: "mine"}))
    members = adapter.sent[0].json

    assert members[own] == "mine"
    assert members.keys() & {"client_assertion", "client_secret"} == {own}
    assert ("client_assertion_type" in members) == (own == "client_assertion")


@pytest.mark.parametrize(
    ("key", "algorithm"),
    [
        ("not a key", "RS256"),
        (signing_key().as_pem(private=False).decode(), "RS256"),
        (private_pem(), "ES256"),
        (private_pem(), "none"),
    ],
)
def test_an_unusable_signing_key_is_refused_at_once(make_client: MakeClient, key: str, algorithm: str) -> None:
    """The message says which, and shows nothing of the key."""
    with pytest.raises(ConfigurationError) as caught:
        make_client(client_assertion_signing_key=key, client_assertion_signing_alg=algorithm)

    assert "client_assertion_signing" in str(caught.value)
    assert "BEGIN" not in str(caught.value)
    assert caught.value.__context__ is None


def test_a_client_id_too_long_for_an_assertion_is_refused(make_client: MakeClient) -> None:
    """Auth0 allows 64 characters."""
    client, adapter = make_client(client_id="x" * 65, client_assertion_signing_key=private_pem())
    with pytest.raises(ConfigurationError):
        client.send_email(EMAIL)

    assert adapter.sent == []


@pytest.mark.parametrize("secret", [None, "", "  "])
def test_a_client_without_a_credential_is_refused(make_client: MakeClient, secret: str | None) -> None:
    """As node-auth0 refuses it."""
    with pytest.raises(ConfigurationError):
        make_client(client_secret=secret)


def test_mutual_tls_alone_serves_token_calls(make_client: MakeClient) -> None:
    """The certificate goes to a foreign adapter by requests' own interface, and to token calls alone."""
    client, adapter = make_client(TOKENS, client_secret=None, client_certificate=CERTIFICATE)
    client.login_with_email(EMAIL, "123456")

    assert "client_secret" not in adapter.sent[0].form
    assert adapter.sent[0].options["cert"] == ("/certificate.pem", "/key.pem")


def test_mutual_tls_alone_is_refused_for_sends_with_the_reason(make_client: MakeClient) -> None:
    """Auth0 has no mutual TLS on /passwordless/start."""
    client, adapter = make_client(client_secret=None, client_certificate=CERTIFICATE)
    with pytest.raises(CredentialMissing, match="only on token calls"):
        client.send_email(EMAIL)
    with pytest.raises(CredentialMissing, match="signing key"):
        client.send_sms(PHONE)

    assert adapter.sent == []


def test_mutual_tls_beside_a_secret_serves_both(make_client: MakeClient) -> None:
    """The secret is still sent; the certificate is not shown on sends."""
    certificate = ClientCertificate(
        certificate_path="/c.pem", key_path="/k.pem", base_url="https://mtls.login.example.com/"
    )
    client, adapter = make_client(TOKENS, client_certificate=certificate)
    client.send_email(EMAIL)
    client.login_with_email(EMAIL, "123456")

    assert adapter.sent[0].options["cert"] is None
    assert str(adapter.sent[0].request.url).startswith("https://tenant.example.com/")
    assert adapter.sent[1].options["cert"] == ("/c.pem", "/k.pem")
    assert adapter.sent[1].request.url == "https://mtls.login.example.com/oauth/token"
    assert adapter.sent[1].form["client_secret"] == "s3cret"


# Configuration


@pytest.mark.parametrize(
    "domain",
    ["tenant.example.com", "https://tenant.example.com", "https://tenant.example.com/", " tenant.example.com "],
)
def test_a_domain_makes_the_url(make_client: MakeClient, domain: str) -> None:
    """A scheme and a slash are forgiven."""
    client, adapter = make_client(domain=domain)
    client.send_email(EMAIL)

    assert adapter.sent[0].request.url == "https://tenant.example.com/passwordless/start"


@pytest.mark.parametrize(
    "domain", ["http://tenant.example.com", "tenant/path", "a b", "user@host", "-x", "tenant.example.com?x=1"]
)
def test_a_bad_domain_is_refused(make_client: MakeClient, domain: str) -> None:
    """Before anything is sent."""
    with pytest.raises(ConfigurationError):
        make_client(domain=domain)


@pytest.mark.parametrize("field", ["domain", "client_id"])
def test_domain_and_client_id_are_required(make_client: MakeClient, field: str) -> None:
    """The error names the field."""
    with pytest.raises(RequiredError) as caught:
        make_client(**{field: ""})

    assert caught.value.field == field


def test_a_base_url_moves_the_requests_and_not_the_issuer(make_client: MakeClient) -> None:
    """For a gateway or a simulator in between."""
    client, adapter = make_client(
        configuration={"base_url": "http://127.0.0.1:8000/"}, client_assertion_signing_key=private_pem()
    )
    client.send_email(EMAIL)

    assert adapter.sent[0].request.url == "http://127.0.0.1:8000/passwordless/start"
    assert assertion_of(adapter.sent[0]).claims["aud"] == ISSUER


@pytest.mark.parametrize("base_url", ["ftp://host", "nonsense", "https://", "https://ho st"])
def test_a_bad_base_url_is_refused(make_client: MakeClient, base_url: str) -> None:
    """Before anything is sent."""
    with pytest.raises(ConfigurationError):
        make_client(configuration={"base_url": base_url})


def test_timeouts_go_to_the_adapter(make_client: MakeClient) -> None:
    """SMS has longer ones, because a provider may take 30 s; one call may have its own."""
    client, adapter = make_client(TOKENS)
    client.send_email(EMAIL)
    client.send_sms(PHONE)
    quick = Timeouts(connect=timedelta(seconds=9), read=timedelta(seconds=9), total=timedelta(seconds=2))
    client.login_with_sms(PHONE, "123456", overrides=RequestOverrides(timeouts=quick))

    assert [sent.options["timeout"] for sent in adapter.sent] == [(5, 10), (5, 35), (2, 2)]


@pytest.mark.parametrize("name", ["connect", "read", "total"])
def test_a_timeout_of_nothing_is_refused(name: str) -> None:
    """Nothing could ever succeed."""
    with pytest.raises(ConfigurationError, match=name):
        Timeouts(**{name: timedelta(0)})


def test_proxies_and_trust_go_to_the_adapter(make_client: MakeClient) -> None:
    """As requests' interface has them."""
    client, adapter = make_client(configuration={"proxies": {"https": "http://proxy:3128"}, "ca_bundle": "/ca.pem"})
    client.send_email(EMAIL)

    assert adapter.sent[0].options["proxies"] == {"https": "http://proxy:3128"}
    assert adapter.sent[0].options["verify"] == "/ca.pem"
    assert adapter.sent[0].options["stream"] is True


def test_the_environment_is_read_once_at_construction(monkeypatch: pytest.MonkeyPatch) -> None:
    """Proxy and CA bundle, and NO_PROXY with them; never while a call is made."""
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy:3128")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/ca.pem")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    adapter = ScriptedAdapter()
    client = Passwordless(
        domain="tenant.example.com", client_id="c", client_secret="s", configuration=Configuration(adapter=adapter)
    )
    monkeypatch.setenv("HTTPS_PROXY", "http://other:3128")
    client.send_email(EMAIL)

    assert adapter.sent[0].options["proxies"]["https"] == "http://proxy:3128"
    assert adapter.sent[0].options["verify"] == "/ca.pem"


def test_closing_the_client_closes_the_adapter(make_client: MakeClient) -> None:
    """So does leaving a `with` statement."""
    client, adapter = make_client()
    with client:
        client.send_email(EMAIL)

    assert adapter.closed
