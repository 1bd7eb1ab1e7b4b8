"""Makes one API call: builds the request, sends it with hooks and retries, and returns the response or raises a typed error."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_random_exponential

from gatepost_worker.authentication.classify import classify
from gatepost_worker.authentication.configuration import RequestOverrides, Timeouts
from gatepost_worker.authentication.direct import Direct
from gatepost_worker.authentication.endpoints import Endpoint
from gatepost_worker.authentication.error_attributes import Remedy
from gatepost_worker.authentication.errors import AuthenticationError
from gatepost_worker.authentication.middleware import send_with_hooks
from gatepost_worker.authentication.rate_limits import RateLimits, parse_rate_limits
from gatepost_worker.authentication.request_building import RequestTemplates, form_body, framed, json_body
from gatepost_worker.authentication.response_bodies import parse_error_body
from gatepost_worker.authentication.transport import Transport

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from requests import PreparedRequest
    from tenacity import RetryCallState

    from gatepost_worker.authentication.configuration import ClientCertificate, Configuration, RetryPolicy
    from gatepost_worker.authentication.credentials import Credentials
    from gatepost_worker.authentication.responses import HttpResponse
    from gatepost_worker.authentication.routes import Route

_NO_OVERRIDES: Final = RequestOverrides()
_KEYS_TIMEOUTS: Final = Timeouts(connect=timedelta(seconds=2), read=timedelta(seconds=3), total=timedelta(seconds=4))


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call of an endpoint, before the credential is added.

    Attributes:
        endpoint: the endpoint to call.
        timeouts: the timeouts of one attempt.
        members: the body's members, overrides included.
        headers: the call's headers, overrides included. A value of None removes a header.
    """

    endpoint: Endpoint
    timeouts: Timeouts
    members: Mapping[str, Any] = field(default_factory=dict, repr=False)
    headers: Mapping[str, str | None] = field(default_factory=dict, repr=False)

    @property
    def client_id(self) -> str:
        """The effective client id: the assertion's issuer and the id_token's audience."""
        return str(self.members["client_id"])


def build_call(
    endpoint: Endpoint,
    members: Mapping[str, Any],
    headers: Mapping[str, str],
    timeouts: Timeouts,
    overrides: RequestOverrides | None,
) -> Call:
    """Return a call with its overrides applied.

    Args:
        endpoint: the endpoint to call.
        members: the body's members, `client_id` among them. A member of None is left out.
        headers: the call's headers.
        timeouts: the timeouts of one attempt.
        overrides: changes to the call.
    """
    overrides = overrides or _NO_OVERRIDES
    present = {name: value for name, value in {**members, **overrides.body}.items() if value is not None}
    return Call(
        endpoint=endpoint,
        timeouts=overrides.timeouts or timeouts,
        members={"client_id": members["client_id"], **present},
        headers={**headers, **overrides.headers},
    )


class Caller:
    """Makes calls. Safe for many threads."""

    def __init__(
        self,
        *,
        urls: Mapping[Endpoint, str],
        configuration: Configuration,
        credentials: Credentials,
        certificate: ClientCertificate | None,
        telemetry: str | None,
        clock: Callable[[], float],
        sleep: Callable[[float], None],
    ) -> None:
        """Prepare the parts that all calls share.

        Args:
            urls: the URL of each endpoint.
            configuration: the connection settings, hooks and retries.
            credentials: the client's credentials.
            certificate: presented on token calls.
            telemetry: the value of `Auth0-Client`, or None to send none.
            clock: returns the time, in epoch seconds.
            sleep: waits a number of seconds between retries.

        Raises:
            ConfigurationError: a URL, the CA bundle or the certificate cannot be used.
        """
        self._templates = RequestTemplates(urls, configuration.headers, telemetry)
        self._transport = Transport(configuration, urls, certificate, os.environ)
        self._direct = Direct(kept=configuration.pool_size)
        self._credentials = credentials
        self._hooks = tuple(configuration.middleware)
        self._retry = configuration.retry
        self._longest_hint_s = configuration.longest_hint.total_seconds()
        self._clock = clock
        self._sleep = sleep

    def call(self, call: Call) -> HttpResponse:
        """Return the successful response to a call.

        Raises:
            AuthenticationError: the call failed; the class names the cause.
        """
        if not self._retry.enabled:
            return self._attempt(call)
        return _retrying(self._retry, self._sleep)(self._attempt, call)

    @property
    def signs(self) -> bool:
        """Whether each request has a new assertion."""
        return self._credentials.signs

    def encode(self, call: Call) -> bytes:
        """Return a call's request as bytes, with a credential for one attempt.

        Raises:
            AuthenticationError: the request cannot be made.
        """
        return self._templates.encode(call.endpoint, self._body(call), call.headers)

    def exchange(self, call: Call) -> HttpResponse:
        """Return the response to a call, of any status, without hooks and retries. It goes the direct way where there is one.

        Raises:
            AuthenticationError: there is no response.
        """
        route = self._transport.route(call.endpoint)
        if isinstance(route, str):
            return self._transport.send(call.endpoint, call.timeouts, self._request(call))
        return self._direct.send(route, self.encode(call), call.timeouts)

    def read(self, endpoint: Endpoint, response: HttpResponse) -> HttpResponse:
        """Return a response if it is a success.

        Raises:
            AuthenticationError: it is not; the class names the cause.
        """
        if response.ok:
            return response
        raise classify(
            endpoint,
            response.status,
            parse_error_body(response.body),
            rate_limits=self.rate_limits(response),
            now_epoch_s=self._clock(),
            longest_hint_s=self._longest_hint_s,
        )

    def route(self, endpoint: Endpoint) -> Route | str:
        """Return the way to an endpoint, or why `wire` cannot go it."""
        return (
            "it has hooks or retries of its own"
            if self._hooks or self._retry.enabled
            else self._transport.route(endpoint)
        )

    def fetch_keys(self, within_s: float) -> bytes:
        """Return the body of the tenant's JWKS document.

        Args:
            within_s: the seconds it may take.

        Raises:
            AuthenticationError: the request failed.
        """
        total = min(timedelta(seconds=max(within_s, 0.001)), _KEYS_TIMEOUTS.total)
        timeouts = replace(_KEYS_TIMEOUTS, total=total)
        return self._send(Endpoint.JWKS, self._templates.build(Endpoint.JWKS), timeouts).body

    def rate_limits(self, response: HttpResponse) -> RateLimits:
        """Return the quota that a response's headers state."""
        return parse_rate_limits(
            response.headers, now_epoch_s=self._clock(), sent_at=response.sent_at, received_at=response.received_at
        )

    def close(self) -> None:
        """Close the pooled connections."""
        self._direct.close()
        self._transport.close()

    def _attempt(self, call: Call) -> HttpResponse:
        if self._hooks:
            return self._send(call.endpoint, self._request(call), call.timeouts)
        return self.read(call.endpoint, self.exchange(call))

    def _request(self, call: Call) -> PreparedRequest:
        return self._templates.build(call.endpoint, self._body(call), call.headers)

    def _body(self, call: Call) -> bytes:
        credential = self._credentials.members(call.endpoint, call.client_id, call.members)
        members = {**call.members, **credential}
        return json_body(members) if call.endpoint is Endpoint.START else form_body(members)

    def _send(self, endpoint: Endpoint, request: PreparedRequest, timeouts: Timeouts) -> HttpResponse:
        send = partial(self._transport.send, endpoint, timeouts)
        if self._hooks:
            response = send_with_hooks(self._hooks, request, lambda changed: send(framed(changed)))
        else:
            response = send(request)
        return self.read(endpoint, response)


def _retrying(policy: RetryPolicy, sleep: Callable[[float], None]) -> Retrying:
    """Return tenacity's loop: it waits for the server's hint plus a backoff with full jitter, so that clients do not return together."""
    longest = policy.max_wait.total_seconds()
    backoff = wait_random_exponential(multiplier=policy.backoff.total_seconds(), max=longest)

    def hint(error: BaseException | None) -> float:
        return getattr(error, "retry_after_s", None) or 0.0

    def may_retry(error: BaseException) -> bool:
        return isinstance(error, AuthenticationError) and error.remedy is Remedy.AFTER_WAIT and hint(error) <= longest

    def wait(state: RetryCallState) -> float:
        return hint(state.outcome.exception() if state.outcome else None) + backoff(state)

    return Retrying(
        stop=stop_after_attempt(1 + policy.max_retries),
        wait=wait,
        retry=retry_if_exception(may_retry),
        sleep=sleep,
        reraise=True,
    )
