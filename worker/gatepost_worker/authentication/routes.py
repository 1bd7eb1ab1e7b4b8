"""The way from this process to a tenant's endpoint: its host, TLS and proxy, as the connections of `wire` take it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from requests.utils import get_auth_from_url, select_proxy
from urllib3.exceptions import LocationParseError
from urllib3.util import make_headers, parse_url

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping

_PORTS: Final = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy that is reached over plain HTTP and asked for a tunnel.

    Attributes:
        host: its name or address.
        port: its port.
        headers: the lines of the CONNECT request that carry the credentials.
    """

    host: str
    port: int
    headers: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True, eq=False)
class Route:
    """The way to one endpoint. Connections are shared by the calls of one route.

    Attributes:
        host: the server's name or address, without brackets.
        port: its port.
        tls: the TLS context; None for plain HTTP.
        proxy: the proxy to tunnel through, if there is one.
        idle_s: a connection that was idle for longer, in seconds, is not used again.
    """

    host: str
    port: int
    tls: ssl.SSLContext | None
    proxy: Proxy | None
    idle_s: float


def route_to(url: str, proxies: Mapping[str, str], context: ssl.SSLContext, idle_s: float) -> Route | str:
    """Return the way to a URL, or why `wire` cannot go it.

    Args:
        url: the endpoint's URL.
        proxies: the proxies that apply to it, as in requests.
        context: the TLS settings.
        idle_s: see `Route`.
    """
    target = parse_url(url)
    scheme = target.scheme or ""
    host = (target.host or "").strip("[]")
    tls = context if scheme == "https" else None
    port = target.port or _PORTS[scheme]
    chosen = select_proxy(url, dict(proxies)) if proxies else None
    if chosen is None:
        return Route(host, port, tls, None, idle_s)
    if tls is None:
        return "its address is http:// behind a proxy"
    proxy = _proxy(chosen)
    return proxy if isinstance(proxy, str) else Route(host, port, tls, proxy, idle_s)


def _proxy(url: str) -> Proxy | str:
    unusable = "its proxy is not reached over http://"
    try:
        parsed = parse_url(url if "://" in url else f"http://{url}")
    except LocationParseError:
        return unusable
    if parsed.scheme != "http" or not parsed.host:
        return unusable
    user, password = get_auth_from_url(url)
    headers = make_headers(proxy_basic_auth=f"{user}:{password}") if user else {}
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return Proxy(parsed.host.strip("[]"), parsed.port or _PORTS["http"], lines.encode("latin-1"))
