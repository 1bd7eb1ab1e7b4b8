"""Sends a prepared request through a requests adapter and returns its response, within a total deadline."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from requests.utils import get_environ_proxies
from urllib3 import HTTPResponse as RawResponse

from gatepost_worker.authentication.adapter import DeadlineAdapter
from gatepost_worker.authentication.endpoints import Endpoint
from gatepost_worker.authentication.errors import AnswerUnreadable, AuthenticationError, DeadlineExceeded
from gatepost_worker.authentication.http_exchange import open_exchange
from gatepost_worker.authentication.rate_limits import parse_rate_limits
from gatepost_worker.authentication.responses import HttpResponse
from gatepost_worker.authentication.routes import Route, route_to
from gatepost_worker.authentication.sockets import DeadlineTlsSocket
from gatepost_worker.authentication.transport_failures import TRANSPORT_ERRORS, translate
from gatepost_worker.authentication.trust import tls_context

if TYPE_CHECKING:
    from collections.abc import Mapping

    from requests import PreparedRequest, Response
    from requests.adapters import BaseAdapter

    from gatepost_worker.authentication.configuration import ClientCertificate, Configuration, Timeouts
    from gatepost_worker.authentication.http_exchange import Exchange

BODY_LIMIT: Final = 1 << 20
_CHUNK: Final = 1 << 16


class Transport:
    """Sends prepared requests through requests' adapter interface. It follows no redirects, keeps no cookies and reads no `.netrc`.

    Safe for many threads. Create it after a fork: processes must not share connections.
    """

    def __init__(
        self,
        configuration: Configuration,
        urls: Mapping[Endpoint, str],
        certificate: ClientCertificate | None,
        environ: Mapping[str, str],
    ) -> None:
        """Read the proxies and load the certificates.

        Args:
            configuration: the connection settings.
            urls: the URL of each endpoint.
            certificate: presented on token calls only.
            environ: the environment, for the CA bundle.
        """
        self._ca_bundle = configuration.ca_bundle or (_ca_bundle(environ) if configuration.trust_env else None)
        self._cert = (certificate.certificate_path, certificate.key_path) if certificate else None
        self._custom = configuration.adapter is not None
        self._adapter = configuration.adapter or self._build(configuration, None)
        self._token_adapter = self._adapter
        if self._cert is not None and not self._custom:
            self._token_adapter = self._build(configuration, self._cert)
        self._proxies = {url: _proxies(configuration, url) for url in urls.values()}
        self._urls = urls
        self._idle_s = configuration.idle_connection.total_seconds()
        self._routes: dict[Endpoint, Route | str] = {}

    def send(self, endpoint: Endpoint, timeouts: Timeouts, request: PreparedRequest) -> HttpResponse:
        """Send one request and return its response, of any status.

        Args:
            endpoint: the endpoint to call.
            timeouts: the timeouts of the exchange.
            request: the request.

        Raises:
            NotReached: nothing was sent.
            AnswerLost: the request may have been carried out.
            AnswerUnreadable: the response cannot be read.
        """
        started = time.monotonic()
        response: Response | None = None
        with open_exchange(started + timeouts.total.total_seconds()) as exchange:
            try:
                response = self._send(endpoint, request, timeouts)
                body = _read(response, exchange)
            except AuthenticationError as error:
                failure = error
            except TRANSPORT_ERRORS as error:
                failure = translate(error, exchange, response.status_code if response is not None else None)
            else:
                return HttpResponse(
                    status=response.status_code,
                    headers=response.headers,
                    body=body,
                    sent_at=exchange.write_began_at or started,
                    received_at=time.monotonic(),
                )
            finally:
                if response is not None:
                    response.close()
        if response is not None:
            failure.status = response.status_code
            failure.rate_limits = parse_rate_limits(response.headers, now_epoch_s=time.time())
        raise failure  # outside the handler, so that it is not chained: requests' exceptions hold the request

    def route(self, endpoint: Endpoint) -> Route | str:
        """Return the way to an endpoint for `wire` and `direct`, or why they cannot go it. The certificates are loaded once."""
        if endpoint not in self._routes:
            self._routes[endpoint] = self._way_to(endpoint)
        return self._routes[endpoint]

    def _way_to(self, endpoint: Endpoint) -> Route | str:
        if self._custom:
            return "it has an adapter of its own"
        if self._cert is not None:
            return "it uses mutual TLS"
        url = self._urls[endpoint]
        context = tls_context(self._ca_bundle)
        context.sslsocket_class = DeadlineTlsSocket
        return route_to(url, self._proxies[url], context, self._idle_s)

    def close(self) -> None:
        """Close the adapters, a custom one included."""
        self._adapter.close()
        if self._token_adapter is not self._adapter:
            self._token_adapter.close()

    def _build(self, configuration: Configuration, certificate: tuple[str, str] | None) -> BaseAdapter:
        return DeadlineAdapter(
            pool_size=configuration.pool_size,
            ca_bundle=self._ca_bundle,
            certificate=certificate,
            idle_limit_s=configuration.idle_connection.total_seconds(),
        )

    def _send(self, endpoint: Endpoint, request: PreparedRequest, timeouts: Timeouts) -> Response:
        is_token = endpoint is Endpoint.TOKEN
        total = timeouts.total.total_seconds()
        return (self._token_adapter if is_token else self._adapter).send(
            request,
            stream=True,
            timeout=(min(timeouts.connect.total_seconds(), total), min(timeouts.read.total_seconds(), total)),
            verify=self._ca_bundle or True,
            cert=self._cert if is_token and self._custom else None,
            proxies=self._proxies.get(str(request.url), {}),
        )


def _read(response: Response, exchange: Exchange) -> bytes:
    raw = response.raw
    if (
        isinstance(raw, RawResponse)
        and "Content-Encoding" not in raw.headers
        and (raw.length_remaining or _CHUNK) < _CHUNK
    ):
        return raw.read()  # the usual response: short, plain and of known length
    chunks, size = [], 0
    for chunk in response.iter_content(_CHUNK):
        chunks.append(chunk)
        size += len(chunk)
        if size > BODY_LIMIT:
            raise AnswerUnreadable(
                "The response is larger than 1 MiB, so it is not Auth0's; the request may have been carried out."
            )
        if exchange.remaining() <= 0:  # a custom adapter's sockets do not check the deadline
            raise DeadlineExceeded
    return b"".join(chunks)


def _proxies(configuration: Configuration, url: str) -> dict[str, str]:
    if configuration.proxies is not None:
        return dict(configuration.proxies)
    return dict(get_environ_proxies(url)) if configuration.trust_env else {}


def _ca_bundle(environ: Mapping[str, str]) -> str | None:
    return environ.get("REQUESTS_CA_BUNDLE") or environ.get("CURL_CA_BUNDLE") or None
