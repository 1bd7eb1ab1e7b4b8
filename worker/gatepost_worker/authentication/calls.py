"""One call: members and credential to a body, the body through the hooks and the transport, the answer to a success or a typed error."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from gatepost_worker.authentication.bodies import form_body, json_body, present
from gatepost_worker.authentication.classify import classify
from gatepost_worker.authentication.configuration import RequestOverrides, Timeouts
from gatepost_worker.authentication.endpoints import Endpoint
from gatepost_worker.authentication.error_bodies import parse_error_body
from gatepost_worker.authentication.errors import AuthenticationError
from gatepost_worker.authentication.middleware import MiddlewareChain
from gatepost_worker.authentication.prepared import RequestTemplates
from gatepost_worker.authentication.rate_limits import RateLimits, parse_rate_limits
from gatepost_worker.authentication.retrying import call_with_retries
from gatepost_worker.authentication.transport import Transport

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from requests import PreparedRequest

    from gatepost_worker.authentication.addresses import Addresses
    from gatepost_worker.authentication.configuration import ClientCertificate, Configuration
    from gatepost_worker.authentication.credentials import Credentials
    from gatepost_worker.authentication.middleware import HttpResponse

_NO_OVERRIDES: Final = RequestOverrides()
_KEYS_TIMEOUTS: Final = Timeouts(connect=timedelta(seconds=2), read=timedelta(seconds=3), total=timedelta(seconds=4))


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """What is asked of one endpoint, before the credential is added.

    Attributes:
        endpoint: which endpoint.
        members: the body's members, the overrides' laid over them.
        headers: the call's own headers, the overrides' laid over them.
        timeouts: how long one attempt may take.
    """

    endpoint: Endpoint
    timeouts: Timeouts
    members: Mapping[str, Any] = field(default_factory=dict, repr=False)
    headers: Mapping[str, str | None] = field(default_factory=dict, repr=False)

    @property
    def client_id(self) -> str:
        """The effective client id: the assertion's issuer and the id_token's audience."""
        return str(self.members["client_id"])


def call_of(
    endpoint: Endpoint,
    members: Mapping[str, Any],
    *,
    timeouts: Timeouts,
    language: str | None = None,
    forwarded_for: str | None = None,
    overrides: RequestOverrides | None = None,
) -> Call:
    """Return the call that arguments and overrides give; the overrides win.

    Args:
        endpoint: which endpoint.
        members: the body's members; None as a value leaves one out.
        timeouts: how long one attempt may take.
        language: `x-request-language`.
        forwarded_for: `auth0-forwarded-for`.
        overrides: what the caller wants otherwise.
    """
    overrides = overrides or _NO_OVERRIDES
    headers: dict[str, str | None] = {}
    if language:
        headers["x-request-language"] = language
    if forwarded_for:
        headers["auth0-forwarded-for"] = forwarded_for
    headers.update(overrides.headers)
    laid = present({**members, **overrides.body} if overrides.body else members)
    laid.setdefault("client_id", members.get("client_id"))
    return Call(endpoint=endpoint, timeouts=overrides.timeouts or timeouts, members=laid, headers=headers)


class Caller:
    """Carries calls out. Safe for many threads."""

    def __init__(
        self,
        *,
        addresses: Addresses,
        configuration: Configuration,
        credentials: Credentials,
        certificate: ClientCertificate | None,
        telemetry: str | None,
        clock: Callable[[], float],
        sleep: Callable[[float], None],
    ) -> None:
        """Prepare what does not change between calls.

        Args:
            addresses: the tenant's URLs.
            configuration: how to reach them.
            credentials: who the client is.
            certificate: shown on token calls.
            telemetry: the `Auth0-Client` header, or None for none.
            clock: gives the time, in epoch seconds.
            sleep: waits so many seconds, between retries.

        Raises:
            ConfigurationError: a URL, the CA bundle or the certificate cannot be used.
        """
        self._templates = RequestTemplates(addresses.urls, configuration.headers, telemetry)
        self._transport = Transport(configuration, addresses.urls, certificate, os.environ)
        self._credentials = credentials
        self._middleware = MiddlewareChain(configuration.middleware)
        self._retry = configuration.retry
        self._longest_hint_s = configuration.longest_hint.total_seconds()
        self._clock = clock
        self._sleep = sleep

    def carry_out(self, call: Call) -> HttpResponse:
        """Return the successful answer to a call.

        Raises:
            AuthenticationError: the call failed; the class says why.
        """
        return call_with_retries(self._retry, self._sleep, lambda: self._attempt(call))

    def fetch_keys(self, within_s: float) -> bytes:
        """Return the tenant's JWKS document, as it came.

        Args:
            within_s: seconds it may take.

        Raises:
            AuthenticationError: it could not be had.
        """
        total = min(timedelta(seconds=max(within_s, 0.001)), _KEYS_TIMEOUTS.total)
        timeouts = replace(_KEYS_TIMEOUTS, total=total)
        return self._exchange(Endpoint.JWKS, self._templates.build(Endpoint.JWKS), timeouts).body

    def close(self) -> None:
        """Close the kept connections."""
        self._transport.close()

    def rate_limits(self, response: HttpResponse) -> RateLimits:
        """Return what an answer's headers say of the quota."""
        return parse_rate_limits(
            response.headers, now_epoch_s=self._clock(), sent_at=response.sent_at, received_at=response.received_at
        )

    def _attempt(self, call: Call) -> HttpResponse:
        credential = self._credentials.fields(call.endpoint, call.client_id, call.members)
        members = {**call.members, **credential}
        body = json_body(members) if call.endpoint is Endpoint.START else form_body(members)
        return self._exchange(call.endpoint, self._templates.build(call.endpoint, body, call.headers), call.timeouts)

    def _exchange(self, endpoint: Endpoint, request: PreparedRequest, timeouts: Timeouts) -> HttpResponse:
        request = self._middleware.before(request)
        failure: AuthenticationError | None = None
        response: HttpResponse | None = None
        try:
            response = self._transport.exchange(endpoint, request, timeouts)
        except AuthenticationError as error:
            failure = error
        if response is not None and response.ok:
            return self._middleware.after(request, response)
        response = self._middleware.on_error(request, failure, response)
        if response is None:
            raise failure or AuthenticationError
        if response.ok:
            return response
        raise self._refusal(endpoint, response)

    def _refusal(self, endpoint: Endpoint, response: HttpResponse) -> AuthenticationError:
        return classify(
            endpoint,
            response.status,
            parse_error_body(response.body),
            rate_limits=self.rate_limits(response),
            now_epoch_s=self._clock(),
            longest_hint_s=self._longest_hint_s,
        )
