"""The Authentication API's passwordless client."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Literal

from gatepost_worker.authentication.addresses import addresses_of
from gatepost_worker.authentication.arguments import required, start_members, token_members
from gatepost_worker.authentication.assertion import AssertionSigner
from gatepost_worker.authentication.boundary import boundary
from gatepost_worker.authentication.calls import Call, Caller, call_of
from gatepost_worker.authentication.configuration import Configuration
from gatepost_worker.authentication.credentials import Credentials
from gatepost_worker.authentication.endpoints import Endpoint
from gatepost_worker.authentication.errors import AuthenticationError
from gatepost_worker.authentication.id_token import DEFAULT_LEEWAY, Expectations, IdTokenValidator
from gatepost_worker.authentication.jwks import PATIENCE_S, SigningKeys
from gatepost_worker.authentication.responses import parse_start_response, parse_token_response
from gatepost_worker.authentication.start_probe import PROBE_CONNECTION, StartProbe, probe_of
from gatepost_worker.authentication.telemetry import telemetry_header

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import timedelta
    from typing import Self

    from gatepost_worker.authentication.configuration import ClientCertificate, RequestOverrides, Timeouts
    from gatepost_worker.authentication.responses import StartResponse, TokenResponse

Send = Literal["code", "link"]


@boundary
class Passwordless:
    """Sends one-time codes and links, and exchanges codes for tokens.

    One client serves many threads. Build it in the process that uses it (after a fork), and close it or use it in a `with` statement.

        with Passwordless(domain="example.eu.auth0.com", client_id="…", client_secret="…") as passwordless:
            passwordless.send_email("someone@example.com")
            tokens = passwordless.login_with_email("someone@example.com", "123456", scope="openid")

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
        """Set the client up; nothing is sent.

        Args:
            domain: the tenant's domain or its custom domain.
            client_id: the application's client id.
            client_secret: its secret; also the HS256 key of id_tokens, as UTF-8.
            client_assertion_signing_key: its RSA private key, PKCS#8 PEM; used instead of the secret where both are given.
            client_assertion_signing_alg: RS256, RS384 or PS256.
            client_certificate: mutual TLS, for token calls.
            id_token_signing_alg: RS256 or HS256; a token signed otherwise is refused.
            clock_tolerance: how far Auth0's clock and this one may differ when an id_token is checked.
            telemetry: whether to send `Auth0-Client`.
            client_info: what to say in it instead of this SDK's name; it needs a `name`.
            configuration: how to reach Auth0.
            clock: gives the time, in epoch seconds.
            sleep: waits so many seconds, between retries.

        Raises:
            RequiredError: the domain or the client id is missing.
            ConfigurationError: something given cannot be used, or there is no credential.
        """
        self._client_id = required("client_id", client_id)
        self._configuration = configuration or Configuration()
        addresses = addresses_of(domain, self._configuration, client_certificate)
        secret = client_secret if client_secret and client_secret.strip() else None
        signer = None
        if client_assertion_signing_key:
            signer = AssertionSigner(
                client_assertion_signing_key, client_assertion_signing_alg, addresses.issuer, clock
            )
        self._caller = Caller(
            addresses=addresses,
            configuration=self._configuration,
            credentials=Credentials(secret=secret, signer=signer, certificate=client_certificate is not None),
            certificate=client_certificate,
            telemetry=telemetry_header(client_info) if telemetry else None,
            clock=clock,
            sleep=sleep,
        )
        self._id_tokens = IdTokenValidator(
            issuer=addresses.issuer,
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
        """Send a one-time code or a link to an email address. A new one voids the last.

        Args:
            email: the address; not changed in any way.
            send: `code` or `link`. Auth0 itself defaults to a link; a worker's link often cannot be opened, so this defaults to a code.
            connection: the passwordless connection.
            auth_params: for a link: scope, redirect_uri, response_type, state, nonce, audience, …
            client_id: in place of the client's own; the assertion is then made for it.
            captcha: the answer to a captcha.
            language: the template's language (`x-request-language`).
            forwarded_for: the end user's IP address (`auth0-forwarded-for`); Auth0 trusts it only beside a client secret.
            overrides: what this one call does otherwise.

        Returns:
            That Auth0 accepted it, which is not delivery.

        Raises:
            RequiredError: the address is missing.
            AuthenticationError: the call failed; the class says why, `delivery` how far it got.
        """
        recipient = {"email": required("email", email)}
        members = start_members(recipient, connection=connection, send=send, auth_params=auth_params, captcha=captcha)
        call = self._call(
            Endpoint.START, members, client_id, language=language, forwarded_for=forwarded_for, overrides=overrides
        )
        return self._send(call)

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
        """Send a one-time code to a phone. A new one voids the last.

        Args:
            phone_number: the number, E.164; not changed in any way.
            connection: the passwordless connection.
            send: left out by default; only codes exist.
            auth_params: as for email.
            client_id: as for email.
            captcha: as for email.
            language: as for email.
            forwarded_for: as for email.
            overrides: as for email.

        Returns:
            That Auth0 accepted it, which is not delivery.

        Raises:
            RequiredError: the number is missing.
            AuthenticationError: the call failed; the class says why, `delivery` how far it got.
        """
        recipient = {"phone_number": required("phone_number", phone_number)}
        members = start_members(recipient, connection=connection, send=send, auth_params=auth_params, captcha=captcha)
        call = self._call(
            Endpoint.START,
            members,
            client_id,
            language=language,
            forwarded_for=forwarded_for,
            overrides=overrides,
            timeouts=self._configuration.sms_timeouts,
        )
        return self._send(call)

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
        """Exchange the code that was sent to an address for tokens. A code is good once and for three tries.

        Args:
            email: the address, exactly as it was sent to.
            code: the code.
            realm: the connection that was used to send.
            scope: what is asked, space-separated; with `openid` there is an id_token.
            audience: the API that the access token is for.
            resource: instead of audience, where the tenant is set so.
            redirect_uri: one of Auth0's pages asks for it; no recording needs it.
            client_id: in place of the client's own; the id_token must then be for it.
            organization: the organization's id or name, which the id_token must carry.
            nonce: the nonce that the id_token must carry.
            max_age: how long ago the person may have authenticated.
            language: `x-request-language`.
            forwarded_for: the end user's IP address (`auth0-forwarded-for`).
            overrides: what this one call does otherwise.

        Returns:
            The tokens, the id_token verified if there is one.

        Raises:
            RequiredError: the address or the code is missing.
            LoginUnusable: Auth0 answered 200 and the answer cannot be used; the code is spent.
            AuthenticationError: the call failed; the class says why, `delivery` how far it got.
        """
        members = token_members(
            required("email", email),
            code,
            realm=realm,
            audience=audience,
            scope=scope,
            resource=resource,
            redirect_uri=redirect_uri,
        )
        call = self._call(
            Endpoint.TOKEN, members, client_id, language=language, forwarded_for=forwarded_for, overrides=overrides
        )
        return self._log_in(call, organization, nonce, max_age)

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
        """Exchange the code that was sent to a phone for tokens. A code is good once and for three tries.

        Args:
            phone_number: the number, exactly as it was sent to.
            code: the code.
            realm: the connection that was used to send.
            scope: as for email.
            audience: as for email.
            resource: as for email.
            redirect_uri: as for email.
            client_id: as for email.
            organization: as for email.
            nonce: as for email.
            max_age: as for email.
            language: as for email.
            forwarded_for: as for email.
            overrides: as for email.

        Returns:
            The tokens, the id_token verified if there is one.

        Raises:
            RequiredError: the number or the code is missing.
            LoginUnusable: Auth0 answered 200 and the answer cannot be used; the code is spent.
            AuthenticationError: the call failed; the class says why, `delivery` how far it got.
        """
        members = token_members(
            required("phone_number", phone_number),
            code,
            realm=realm,
            audience=audience,
            scope=scope,
            resource=resource,
            redirect_uri=redirect_uri,
        )
        call = self._call(
            Endpoint.TOKEN, members, client_id, language=language, forwarded_for=forwarded_for, overrides=overrides
        )
        return self._log_in(call, organization, nonce, max_age)

    def verify(
        self,
        tokens: TokenResponse,
        *,
        client_id: str | None = None,
        organization: str | None = None,
        nonce: str | None = None,
        max_age: timedelta | None = None,
    ) -> TokenResponse:
        """Verify a token response's id_token; the login methods have done so already.

        It is for the token response that `IdTokenNotVerified` carries. No token call is made, only the signing keys are fetched.

        Args:
            tokens: the token response.
            client_id: as for the login.
            organization: as for the login.
            nonce: as for the login.
            max_age: as for the login.

        Returns:
            The token response with its claims.

        Raises:
            IdTokenInvalid: the id_token failed a check, or is missing although something was asked of it.
            IdTokenNotVerified: the signing keys could not be fetched.
        """
        client_id = client_id or self._client_id
        return self._id_tokens.verify(tokens, Expectations(client_id, organization, nonce, max_age))

    def probe_start(self) -> StartProbe:
        """Read the quota of starts, and whether the credential passes, from a start that is refused on purpose.

        The request names a connection that cannot exist and no recipient, so nothing is sent. It costs one request of the quota.

        Raises:
            AuthenticationError: no answer came.
        """
        try:
            return probe_of(self._send(self._call(Endpoint.START, {"connection": PROBE_CONNECTION})))
        except AuthenticationError as error:
            if error.status is None:
                raise
            return probe_of(error)

    def close(self) -> None:
        """Close the kept connections."""
        self._caller.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _call(
        self,
        endpoint: Endpoint,
        members: Mapping[str, Any],
        client_id: str | None = None,
        *,
        language: str | None = None,
        forwarded_for: str | None = None,
        overrides: RequestOverrides | None = None,
        timeouts: Timeouts | None = None,
    ) -> Call:
        return call_of(
            endpoint,
            {"client_id": client_id or self._client_id, **members},
            timeouts=timeouts or self._configuration.timeouts_of(endpoint),
            language=language,
            forwarded_for=forwarded_for,
            overrides=overrides,
        )

    def _send(self, call: Call) -> StartResponse:
        response = self._caller.carry_out(call)
        return parse_start_response(response.status, response.body, self._caller.rate_limits(response))

    def _log_in(
        self, call: Call, organization: str | None, nonce: str | None, max_age: timedelta | None
    ) -> TokenResponse:
        until = time.monotonic() + (call.timeouts.total + self._configuration.keys_grace).total_seconds()
        response = self._caller.carry_out(call)  # answered: from here on nothing repeats the token call
        tokens = parse_token_response(response.status, response.body, self._caller.rate_limits(response))
        expected = Expectations(call.client_id, organization, nonce, max_age)
        return self._id_tokens.verify(tokens, expected, min(until - time.monotonic(), PATIENCE_S))
