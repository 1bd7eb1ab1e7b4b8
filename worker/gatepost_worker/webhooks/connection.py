"""One POST to an endpoint: the name is resolved once and checked, the certificate is verified, no redirect is followed."""

from __future__ import annotations

import socket
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Final

from requests import PreparedRequest

from gatepost_core.webhooks.urls import PRIVATE, is_public
from gatepost_worker.authentication.adapter import DeadlineAdapter
from gatepost_worker.authentication.http_exchange import open_exchange
from gatepost_worker.authentication.transport_failures import TRANSPORT_ERRORS, translate

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gatepost_core.webhooks.urls import WebhookUrl
    from gatepost_worker.authentication.sockets import Address, Resolver

TIMEOUT_S: Final = 20.0
"""For the whole exchange. Standard Webhooks 1.0.0 asks for 15 to 30 seconds."""
_CONNECT_S: Final = 10.0
_MOST_BODY: Final = 4096
"""Bytes of the answer that are read, so that the connection can be used again. Nothing looks at them."""


@dataclass(frozen=True, slots=True)
class Answer:
    """How an attempt ended.

    Attributes:
        status: the HTTP status, if one came.
        retry_after_s: seconds that the endpoint asked for.
        failure: the kind of failure, if no status came.
        duration_s: how long it took.
    """

    status: int | None = None
    retry_after_s: float | None = None
    failure: str | None = None
    duration_s: float = 0.0

    @property
    def word(self) -> str:
        """The status or the failure, for logs and `gatepost webhooks list`."""
        return self.failure or f"http_{self.status}"


class PrivateAddress(OSError):
    """The host has an address that is not on the internet."""


class PublicResolver:
    """Resolves a name, and raises `PrivateAddress` if one of its addresses is not on the internet.

    The connection goes to an address that this call has returned, so a second answer of the name server changes nothing.

    Args:
        resolve: resolves a name.

    Attributes:
        refused: whether it has refused a name.
    """

    def __init__(self, resolve: Resolver) -> None:
        self._resolve = resolve
        self.refused = False

    def __call__(self, host: str, port: int, family: int, kind: int, /) -> Sequence[Address]:
        """Return the addresses."""
        found = self._resolve(host, port, family, kind)
        self.refused = not all(is_public(ip_address(address[4][0])) for address in found)
        if self.refused:
            raise PrivateAddress(PRIVATE)
        return found


class Connection:
    """The connection to one endpoint, for the time of a task's run.

    Args:
        url: the endpoint's URL.
        allow_private: whether private addresses are allowed.
        ca_bundle: trusted authorities; None for certifi's.
        proxy: the URL of a proxy.
        resolver: resolves names.
        timeout_s: seconds for one whole exchange.
    """

    def __init__(
        self,
        url: WebhookUrl,
        *,
        allow_private: bool = False,
        ca_bundle: str | None = None,
        proxy: str | None = None,
        resolver: Resolver = socket.getaddrinfo,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        self._url = url
        self._timeout_s = timeout_s
        self._public = PublicResolver(resolver)
        self._resolver = resolver if allow_private else self._public
        self._proxies = {url.scheme: proxy} if proxy else {}
        # With a proxy, the connections resolve only the proxy's name, which the operator has chosen.
        self._adapter = _PinnedAdapter(pool_size=1, ca_bundle=ca_bundle, resolver=resolver if proxy else self._resolver)

    def post(self, headers: Mapping[str, str], body: bytes) -> Answer:
        """Send a body, and return how that ended. It raises nothing for a failure of the network."""
        started = time.monotonic()
        with open_exchange(started + self._timeout_s) as exchange:
            try:
                answer = self._post(headers, body)
            except TRANSPORT_ERRORS as error:
                kind = "private_address" if self._public.refused else _word(type(translate(error, exchange)).__name__)
                answer = Answer(failure=kind)
        return Answer(answer.status, answer.retry_after_s, answer.failure, time.monotonic() - started)

    def close(self) -> None:
        """Close the connection."""
        self._adapter.close()

    def _post(self, headers: Mapping[str, str], body: bytes) -> Answer:
        request = PreparedRequest()
        request.prepare(method="POST", url=self._url.text, headers=dict(headers), data=body)
        if self._proxies:
            self._adapter.pin(self._url.host, self._resolver)
            request.headers["Host"] = self._url.authority
        response = self._adapter.send(
            request, stream=True, timeout=(_CONNECT_S, self._timeout_s), proxies=self._proxies
        )
        try:
            with suppress(*TRANSPORT_ERRORS):
                response.raw.read(_MOST_BODY, decode_content=False)
        finally:
            response.close()
        return Answer(response.status_code, _seconds(response.headers.get("Retry-After")))


class _PinnedAdapter(DeadlineAdapter):
    """Through a proxy, names the checked address in CONNECT, and the host in TLS."""

    _pinned: tuple[str, str] | None = None

    def pin(self, host: str, resolver: Resolver) -> None:
        """Resolve the host, and use its first address from now on."""
        if self._pinned is None:
            self._pinned = host, str(resolver(host, 0, socket.AF_UNSPEC, socket.SOCK_STREAM)[0][4][0])

    def build_connection_pool_key_attributes(self, request: PreparedRequest, verify: Any, cert: Any = None) -> Any:
        """Return the checked address in place of the host."""
        where, options = super().build_connection_pool_key_attributes(request, verify, cert)
        if self._pinned is None or where["scheme"] != "https":
            return where, options
        host, address = self._pinned
        return {**where, "host": address}, {**options, "server_hostname": host, "assert_hostname": host}


def _word(name: str) -> str:
    return "".join(f"_{char.lower()}" if char.isupper() else char for char in name).lstrip("_")


def _seconds(hint: str | None) -> float | None:
    if hint is None:
        return None
    if hint.isascii() and hint.isdigit():
        return float(hint[:9])
    with suppress(ValueError, TypeError):
        return max(0.0, (parsedate_to_datetime(hint).astimezone(UTC) - datetime.now(UTC)).total_seconds())
    return None
