"""How the client reaches Auth0: URLs, timeouts, proxies, trust, hooks and its own retries."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from gatepost_worker.authentication.endpoints import Endpoint
from gatepost_worker.authentication.errors import ConfigurationError
from gatepost_worker.authentication.rate_limits import LONGEST_HINT_S

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from requests.adapters import BaseAdapter

    from gatepost_worker.authentication.middleware import Middleware

MOST_RETRIES: Final = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """How long one HTTP attempt may take.

    Attributes:
        connect: for the TCP connection, and again for the TLS handshake.
        read: for each wait on the server's next bytes.
        total: for everything from the name's resolution to the last byte of the answer, however slowly it drips.
    """

    connect: timedelta = timedelta(seconds=5)
    read: timedelta = timedelta(seconds=10)
    total: timedelta = timedelta(seconds=15)

    def __post_init__(self) -> None:
        """Refuse what could never succeed."""
        for name in ("connect", "read", "total"):
            if getattr(self, name) <= timedelta(0):
                raise ConfigurationError(f"Timeouts.{name} must be more than zero")


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """The client's own retries: off by default, and only ever for what was surely not carried out.

    Repeated are a 429 of the rate limit and failures that did not reach Auth0; never an ambiguous failure, never a login that was answered.

    Attributes:
        enabled: whether to retry at all; giving `max_retries` alone leaves it off.
        max_retries: attempts after the first, at most 10.
        max_wait: the longest single wait; a hint beyond it is raised to the caller instead.
        backoff: the first backoff's upper bound; it doubles with every attempt, with full jitter.
    """

    enabled: bool = False
    max_retries: int = 3
    max_wait: timedelta = timedelta(seconds=30)
    backoff: timedelta = timedelta(milliseconds=500)

    def __post_init__(self) -> None:
        """Hold the count to its bounds."""
        if not 0 <= self.max_retries <= MOST_RETRIES:
            raise ConfigurationError(f"RetryPolicy.max_retries must be between 0 and {MOST_RETRIES}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientCertificate:
    """A certificate for mutual TLS on token calls.

    Attributes:
        certificate_path: the certificate with its chain, PEM.
        key_path: its private key, PEM.
        base_url: where token calls go with it, such as `https://mtls.login.example.com`; None for the client's base URL.

    Source: https://auth0.com/docs/get-started/applications/configure-mtls
    """

    certificate_path: str
    key_path: str
    base_url: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """How the client reaches Auth0. The environment (proxies, CA bundle) is read once, when a client is built.

    Attributes:
        base_url: where requests go; `https://{domain}` if None.
        issuer: the id_token's issuer and the client assertion's audience; `https://{domain}/` if None.
        headers: sent with every request, under the call's own headers.
        timeouts: for every call but the next two.
        login_timeouts: for token calls; `timeouts` if None.
        keys_grace: how long past a login's `total` its signing keys may still be fetched; 10 s are the most in all.
        sms_timeouts: for sending SMS: a provider may take 30 s, and giving up earlier leaves an unknown.
        proxies: as in requests, by scheme; None for the environment's.
        ca_bundle: a file or directory of CA certificates; None for the environment's, or certifi's.
        trust_env: whether `HTTPS_PROXY`, `NO_PROXY`, `REQUESTS_CA_BUNDLE` and `CURL_CA_BUNDLE` count. `.netrc` never does.
        adapter: a transport adapter of requests in place of the built-in one; closed with the client.
        middleware: hooks around every HTTP attempt, in order.
        retry: the client's own retries, off by default.
        pool_size: connections kept open; use at least the number of threads.
        longest_hint: of two hints to wait, one that is longer than this is ignored.
        idle_connection: after this long without use a kept connection is not used again, because the other end may be gone.
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

    def timeouts_of(self, endpoint: Endpoint) -> Timeouts:
        """Return the timeouts of an endpoint's calls; those of an SMS are `sms_timeouts`."""
        return self.login_timeouts or self.timeouts if endpoint is Endpoint.TOKEN else self.timeouts


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestOverrides:
    """What one call does otherwise.

    Attributes:
        headers: laid over the client's; None as a value leaves a header out. `Auth0-Client` stays.
        body: members laid over the client's, the caller's winning; None as a value leaves a member out. A `client_assertion` or
            `client_secret` of your own replaces the client's credential. `grant_type` cannot be changed.
        timeouts: in place of the client's.
    """

    headers: Mapping[str, str | None] = field(default_factory=dict, repr=False)
    body: Mapping[str, Any] = field(default_factory=dict, repr=False)
    timeouts: Timeouts | None = None
