"""The client for the passwordless part of the Authentication API."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Literal

from gatepost_worker.authentication.boundary import boundary
from gatepost_worker.authentication.caller import Caller, build_call
from gatepost_worker.authentication.configuration import Configuration
from gatepost_worker.authentication.credentials import AssertionSigner, Credentials
from gatepost_worker.authentication.endpoints import Endpoint, tenant_urls
from gatepost_worker.authentication.errors import AuthenticationError
from gatepost_worker.authentication.id_token import DEFAULT_LEEWAY, Expectations, IdTokenValidator
from gatepost_worker.authentication.jwks import PATIENCE_S, SigningKeys
from gatepost_worker.authentication.request_building import telemetry_header
from gatepost_worker.authentication.response_bodies import parse_token_response
from gatepost_worker.authentication.start_probe import PROBE_CONNECTION, StartProbe, probe_of
from gatepost_worker.authentication.starts import CALL_HEADERS, Starts, required

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import timedelta
    from typing import Self

    from gatepost_worker.authentication.caller import Call
    from gatepost_worker.authentication.configuration import ClientCertificate, RequestOverrides, Timeouts
    from gatepost_worker.authentication.responses import StartResponse, TokenResponse

Send = Literal["code", "link", "link_ios", "link_android"]


@boundary
class Passwordless:
    """Sends one-time codes and links, and exchanges codes for tokens.

    One client serves many threads. Create it in the process that uses it, after a fork. Close it, or use it in a `with` statement.

    Attributes:
        starts: builds sends and reads their responses, for another transport.

    Source: https://auth0.com/docs/api/authentication (Passwordless; Get Token).
    """

    def __init__(
        self,
        *,
        domain: str,
        client_id: str,
        client_secret: str | None = None,
        client_assertion_signing_key: str | None = None,
        client_assertion_signing_alg: str = "RS256",
        client_certificate: ClientCertificate | None = None,
        id_token_signing_alg: str = "RS256",  # noqa: S107 - an algorithm, not a credential
        clock_tolerance: timedelta = DEFAULT_LEEWAY,
        telemetry: bool = True,
        client_info: Mapping[str, Any] | None = None,
        configuration: Configuration | None = None,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Create a client. Nothing is sent.

        Args:
            domain: the tenant's domain or its custom domain.
            client_id: the application's client id.
            client_secret: the application's secret; also the HS256 key of id_tokens, as UTF-8.
            client_assertion_signing_key: the application's RSA private key, PKCS#8 PEM; used instead of the secret if both are given.
            client_assertion_signing_alg: RS256, RS384 or PS256.
            client_certificate: mutual TLS, for token calls.
            id_token_signing_alg: RS256 or HS256; a token signed with another algorithm is refused.
            clock_tolerance: how far Auth0's clock and the local one may differ when an id_token is validated.
            telemetry: whether to send `Auth0-Client`.
            client_info: the payload of `Auth0-Client`, instead of this SDK's name and version; it needs a `name`.
            configuration: URLs, timeouts, proxies, certificates, hooks and retries.
            clock: returns the time, in epoch seconds.
            sleep: waits a number of seconds between retries.

        Raises:
            RequiredError: the domain or the client id is missing.
            ConfigurationError: an argument cannot be used, or there is no credential.
            RequestUnsendable: the configuration has a header that cannot be sent.
        """
        self._client_id = required("client_id", client_id)
        self._configuration = configuration or Configuration()
        self._login_timeouts = self._configuration.login_timeouts or self._configuration.timeouts
        urls = tenant_urls(
            domain,
            base_url=self._configuration.base_url,
            token_base_url=client_certificate.base_url if client_certificate else None,
            issuer=self._configuration.issuer,
        )
        secret = client_secret if client_secret and client_secret.strip() else None
        signer = None
        if client_assertion_signing_key:
            signer = AssertionSigner(client_assertion_signing_key, client_assertion_signing_alg, urls.issuer, clock)
        self._caller = Caller(
            urls=urls.endpoints,
            configuration=self._configuration,
            credentials=Credentials(secret=secret, signer=signer, certificate=client_certificate is not None),
            certificate=client_certificate,
            telemetry=telemetry_header(client_info) if telemetry else None,
            clock=clock,
            sleep=sleep,
        )
        self.starts = Starts(self._caller, self._configuration, self._client_id)
        self._id_tokens = IdTokenValidator(
            issuer=urls.issuer,
            algorithm=id_token_signing_alg,
            secret=secret,
            keys=SigningKeys(self._caller.fetch_keys, clock=time.monotonic, sleep=sleep),
            leeway=clock_tolerance,
            clock=clock,
        )

    def send_email(
        self,
        email: str,
        *,
        send: Send | None = "code",
        connection: str | None = "email",
        auth_params: Mapping[str, Any] | None = None,
        client_id: str | None = None,
        captcha: str | None = None,
        language: str | None = None,
        forwarded_for: str | None = None,
        overrides: RequestOverrides | None = None,
    ) -> StartResponse:
        """Send a one-time code or a link to an email address. It voids the previous one.

        Args:
            email: the address, sent unchanged.
            send: `code`, `link`, `link_ios` or `link_android`. Auth0 defaults to a link, but a link that a backend started often cannot be opened.
            connection: the passwordless connection.
            auth_params: parameters of a link: scope, redirect_uri, response_type, state, nonce, audience, …
            client_id: used instead of the client's id, also in the client assertion.
            captcha: the answer to a captcha.
            language: the template's language (`x-request-language`).
            forwarded_for: the end user's IP address (`auth0-forwarded-for`). Auth0 reads it only in calls with a client secret.
            overrides: changes to this call.

        Returns:
            The response. It says that Auth0 accepted the message, not that the message was delivered.

        Raises:
            RequiredError: the address is missing.
            AuthenticationError: the call failed. The class names the cause, and `delivery` says how far the request got.
        """
        return self._start(
            self.starts.email(
                email,
                send=send,
                connection=connection,
                auth_params=auth_params,
                client_id=client_id,
                captcha=captcha,
                language=language,
                forwarded_for=forwarded_for,
                overrides=overrides,
            )
        )

    def send_sms(
        self,
        phone_number: str,
        *,
        connection: str | None = "sms",
        send: Send | None = None,
        auth_params: Mapping[str, Any] | None = None,
        client_id: str | None = None,
        captcha: str | None = None,
        language: str | None = None,
        forwarded_for: str | None = None,
        overrides: RequestOverrides | None = None,
    ) -> StartResponse:
        """Send a one-time code to a phone. It voids the previous one.

        Args:
            phone_number: the number in E.164, sent unchanged.
            connection: the passwordless connection.
            send: omitted by default; SMS has codes only.
            auth_params: as for `send_email`.
            client_id: as for `send_email`.
            captcha: as for `send_email`.
            language: as for `send_email`.
            forwarded_for: as for `send_email`.
            overrides: as for `send_email`.

        Returns:
            The response. It says that Auth0 accepted the message, not that the message was delivered.

        Raises:
            RequiredError: the number is missing.
            AuthenticationError: the call failed. The class names the cause, and `delivery` says how far the request got.
        """
        return self._start(
            self.starts.sms(
                phone_number,
                connection=connection,
                send=send,
                auth_params=auth_params,
                client_id=client_id,
                captcha=captcha,
                language=language,
                forwarded_for=forwarded_for,
                overrides=overrides,
            )
        )

    def login_with_email(
        self,
        email: str,
        code: str,
        *,
        realm: str | None = "email",
        scope: str | None = None,
        audience: str | None = None,
        resource: str | None = None,
        redirect_uri: str | None = None,
        client_id: str | None = None,
        organization: str | None = None,
        nonce: str | None = None,
        max_age: timedelta | None = None,
        language: str | None = None,
        forwarded_for: str | None = None,
        overrides: RequestOverrides | None = None,
    ) -> TokenResponse:
        """Exchange the code that was sent to an address for tokens. A code works once, and allows three tries.

        Args:
            email: the address, spelled as for the send.
            code: the code.
            realm: the connection that sent the code.
            scope: the requested scopes, separated by spaces; `openid` gives an id_token.
            audience: the API that the access token is for.
            resource: used instead of audience if the tenant is configured so.
            redirect_uri: Auth0's documentation names it once; its recorded logins work without it.
            client_id: used instead of the client's id, also as the id_token's audience.
            organization: the organization's id or name that the id_token must have.
            nonce: the nonce that the id_token must have.
            max_age: how long ago the user may have authenticated.
            language: `x-request-language`.
            forwarded_for: the end user's IP address (`auth0-forwarded-for`).
            overrides: changes to this call.

        Returns:
            The tokens. An id_token among them has been validated.

        Raises:
            RequiredError: the address or the code is missing.
            LoginUnusable: Auth0 accepted the login, but the response cannot be used; the code is spent.
            AuthenticationError: the call failed. The class names the cause, and `delivery` says how far the request got.
        """
        members = {
            "username": required("email", email),
            "otp": required("code", code),
            "realm": realm,
            "audience": audience,
            "scope": scope,
            "resource": resource,
            "redirect_uri": redirect_uri,
            "client_id": client_id or None,
        }
        call = self._call(Endpoint.TOKEN, members, self._login_timeouts, (language, forwarded_for), overrides)
        return self._log_in(call, Expectations(call.client_id, organization, nonce, max_age))

    def login_with_sms(
        self,
        phone_number: str,
        code: str,
        *,
        realm: str | None = "sms",
        scope: str | None = None,
        audience: str | None = None,
        resource: str | None = None,
        redirect_uri: str | None = None,
        client_id: str | None = None,
        organization: str | None = None,
        nonce: str | None = None,
        max_age: timedelta | None = None,
        language: str | None = None,
        forwarded_for: str | None = None,
        overrides: RequestOverrides | None = None,
    ) -> TokenResponse:
        """Exchange the code that was sent to a phone for tokens. A code works once, and allows three tries.

        Args:
            phone_number: the number, spelled as for the send.
            code: the code.
            realm: the connection that sent the code.
            scope: as for `login_with_email`.
            audience: as for `login_with_email`.
            resource: as for `login_with_email`.
            redirect_uri: as for `login_with_email`.
            client_id: as for `login_with_email`.
            organization: as for `login_with_email`.
            nonce: as for `login_with_email`.
            max_age: as for `login_with_email`.
            language: as for `login_with_email`.
            forwarded_for: as for `login_with_email`.
            overrides: as for `login_with_email`.

        Returns:
            The tokens. An id_token among them has been validated.

        Raises:
            RequiredError: the number or the code is missing.
            LoginUnusable: Auth0 accepted the login, but the response cannot be used; the code is spent.
            AuthenticationError: the call failed. The class names the cause, and `delivery` says how far the request got.
        """
        members = {
            "username": required("phone_number", phone_number),
            "otp": required("code", code),
            "realm": realm,
            "audience": audience,
            "scope": scope,
            "resource": resource,
            "redirect_uri": redirect_uri,
            "client_id": client_id or None,
        }
        call = self._call(Endpoint.TOKEN, members, self._login_timeouts, (language, forwarded_for), overrides)
        return self._log_in(call, Expectations(call.client_id, organization, nonce, max_age))

    def verify(
        self,
        tokens: TokenResponse,
        *,
        client_id: str | None = None,
        organization: str | None = None,
        nonce: str | None = None,
        max_age: timedelta | None = None,
    ) -> TokenResponse:
        """Validate the id_token of a token response that `IdTokenNotVerified` holds. The login methods validate all others.

        It makes no token call and fetches only the signing keys.

        Args:
            tokens: the token response.
            client_id: as for the login.
            organization: as for the login.
            nonce: as for the login.
            max_age: as for the login.

        Returns:
            The token response with its claims.

        Raises:
            IdTokenInvalid: the id_token failed a check, or is missing although an argument needs it.
            IdTokenNotVerified: the signing keys could not be fetched.
        """
        expected = Expectations(client_id or self._client_id, organization, nonce, max_age)
        return self._id_tokens.verify(tokens, expected)

    def probe_start(self) -> StartProbe:
        """Read the quota of starts and check the credential, by a start that Auth0 must refuse.

        The request names an impossible connection and no recipient, so no message is sent. It uses one request of the quota.

        Raises:
            AuthenticationError: no response came.
        """
        try:
            return probe_of(self._start(self.starts.probe(PROBE_CONNECTION)))
        except AuthenticationError as error:
            if error.status is None:
                raise
            return probe_of(error)

    def close(self) -> None:
        """Close the pooled connections."""
        self._caller.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _start(self, call: Call) -> StartResponse:
        return self.starts.read(self._caller.call(call))

    def _log_in(self, call: Call, expected: Expectations) -> TokenResponse:
        until = time.monotonic() + (call.timeouts.total + self._configuration.keys_grace).total_seconds()
        response = self._caller.call(call)  # the code is spent now: the token call is never repeated
        tokens = parse_token_response(response.status, response.body, self._caller.rate_limits(response))
        return self._id_tokens.verify(tokens, expected, min(until - time.monotonic(), PATIENCE_S))

    def _call(
        self,
        endpoint: Endpoint,
        members: Mapping[str, Any],
        timeouts: Timeouts,
        header_values: tuple[str | None, str | None],
        overrides: RequestOverrides | None,
    ) -> Call:
        headers = {name: value for name, value in zip(CALL_HEADERS, header_values, strict=True) if value}
        members = {**members, "client_id": members.get("client_id") or self._client_id}
        return build_call(endpoint, members, headers, timeouts, overrides)
