"""The client's configuration: URLs, timeouts, proxies, certificates, hooks and retries."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from gatepost_worker.authentication.errors import ConfigurationError
from gatepost_worker.authentication.rate_limits import LONGEST_HINT_S

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from requests.adapters import BaseAdapter

    from gatepost_worker.authentication.middleware import Middleware

MOST_RETRIES: Final = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """The timeouts of one HTTP attempt.

    Attributes:
        connect: of the TCP connection, and again of the TLS handshake.
        read: of each wait for the server's next bytes.
        total: of the whole attempt, from the name's resolution to the response's last byte.
    """

    connect: timedelta = timedelta(seconds=5)
    read: timedelta = timedelta(seconds=10)
    total: timedelta = timedelta(seconds=15)

    def __post_init__(self) -> None:
        """Refuse timeouts that no attempt can keep."""
        for name in ("connect", "read", "total"):
            if getattr(self, name) <= timedelta(0):
                raise ConfigurationError(f"Timeouts.{name} must be more than zero")


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """The client's retries, off by default.

    The client repeats a call after a 429 of the rate limit and after failures that did not reach Auth0. It repeats no other: neither an
    ambiguous failure nor an answered login.

    Attributes:
        enabled: whether to retry. `max_retries` alone does not turn retries on.
        max_retries: the attempts after the first, at most 10.
        max_wait: the longest single wait. If the server asks for more, the error is raised instead.
        backoff: the upper bound of the first backoff, which has full jitter. It doubles with every attempt.
    """

    enabled: bool = False
    max_retries: int = 3
    max_wait: timedelta = timedelta(seconds=30)
    backoff: timedelta = timedelta(milliseconds=500)

    def __post_init__(self) -> None:
        """Check the bounds of the count."""
        if not 0 <= self.max_retries <= MOST_RETRIES:
            raise ConfigurationError(f"RetryPolicy.max_retries must be between 0 and {MOST_RETRIES}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientCertificate:
    """A certificate for mutual TLS on token calls.

    Attributes:
        certificate_path: the certificate with its chain, PEM.
        key_path: its private key, PEM.
        base_url: the base URL of token calls, such as `https://mtls.login.example.com`; None for the client's base URL.

    Source: https://auth0.com/docs/get-started/applications/configure-mtls
    """

    certificate_path: str
    key_path: str
    base_url: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """How the client connects to Auth0. The environment (proxies, CA bundle) is read once, when a client is created.

    Attributes:
        base_url: the base URL of all calls; `https://{domain}` if None.
        issuer: the id_token's issuer and the client assertion's audience; `https://{domain}/` if None.
        headers: sent with every request; the call's headers win. A value of None removes a header. Headers that frame the request or
            concern the connection (`Content-Length`, `Host`, …) are refused.
        timeouts: the timeouts of sending email, and of token calls without `login_timeouts`.
        login_timeouts: the timeouts of token calls; `timeouts` if None.
        keys_grace: how long after a login's `total` its signing keys may still be fetched. A fetch takes at most 10 s in any case.
        sms_timeouts: the timeouts of sending SMS. A provider may take 30 s, and a shorter timeout leaves the outcome unknown.
        proxies: as in requests, by scheme; None for the environment's.
        ca_bundle: a file or directory of CA certificates; None for the environment's, or certifi's.
        trust_env: whether to read `HTTPS_PROXY`, `NO_PROXY`, `REQUESTS_CA_BUNDLE` and `CURL_CA_BUNDLE`. `.netrc` is never read.
        adapter: a transport adapter of requests in place of the client's own connections; closed with the client.
        middleware: hooks around every HTTP attempt, in order.
        retry: the client's retries, off by default.
        pool_size: connections kept open; use at least the number of threads.
        longest_hint: of two hints to wait, one that is longer than this is ignored.
        idle_connection: a connection that was idle for longer is not reused, because the other end may have closed it.
    """

    base_url: str | None = None
    issuer: str | None = None
    headers: Mapping[str, str | None] = field(default_factory=dict, repr=False)
    timeouts: Timeouts = field(default_factory=Timeouts)
    login_timeouts: Timeouts | None = None
    keys_grace: timedelta = timedelta(seconds=10)
    sms_timeouts: Timeouts = field(
        default_factory=lambda: Timeouts(read=timedelta(seconds=35), total=timedelta(seconds=40))
    )
    proxies: Mapping[str, str] | None = field(default=None, repr=False)
    ca_bundle: str | None = None
    trust_env: bool = True
    adapter: BaseAdapter | None = None
    middleware: Sequence[Middleware] = ()
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    pool_size: int = 64
    longest_hint: timedelta = timedelta(seconds=LONGEST_HINT_S)
    idle_connection: timedelta = timedelta(seconds=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestOverrides:
    """Changes to one call.

    Attributes:
        headers: added to the client's headers, and stronger. A value of None removes a header. `Auth0-Client` can be changed only if
            `telemetry` is off. Headers that frame the request or concern the connection (`Content-Length`, `Host`, …) are refused.
        body: members added to the client's, and stronger. A value of None removes a member. A `client_assertion` or `client_secret`
            replaces the client's credential. `grant_type` cannot be changed.
        timeouts: used instead of the client's.
    """

    headers: Mapping[str, str | None] = field(default_factory=dict, repr=False)
    body: Mapping[str, Any] = field(default_factory=dict, repr=False)
    timeouts: Timeouts | None = None
