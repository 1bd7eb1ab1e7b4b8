"""Which URLs and addresses a webhook may go to: no private network, no metadata service, nothing on this machine."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Final
from urllib.parse import urlsplit

LONGEST_URL: Final = 2000
_HOST: Final = re.compile(r"(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.?")
# Programs read such a name as an address: 127.1, 0x7f.1, 2130706433, 0177.0.0.1.
_NUMERIC_END: Final = re.compile(r"(?:.*\.)?(?:\d+|0x[0-9a-f]*)\.?")
_SHOWN: Final = re.compile(r"[!-~]+")
# Prefixes in front of an IPv4 address: mapped, compatible, NAT64 (RFC 6052) and 6to4 (RFC 3056).
_EMBEDDING: Final = (
    (ip_network("::ffff:0:0/96"), 0),
    (ip_network("::/96"), 0),
    (ip_network("64:ff9b::/96"), 0),
    (ip_network("2002::/16"), 80),
)
# Which some versions of Python call global: carriers' and protocols' addresses, Azure's metadata, NAT64, Teredo, IPv4-translated, site-local.
_REFUSED: Final = tuple(
    map(
        ip_network,
        (
            "100.64.0.0/10",
            "192.0.0.0/24",
            "168.63.129.16/32",
            "64:ff9b:1::/48",
            "2001::/32",
            "::ffff:0:0:0/96",
            "fec0::/10",
            "3fff::/20",
        ),
    )
)
_PORTS: Final = {"https": 443, "http": 80}


@dataclass(frozen=True, slots=True, repr=False)
class WebhookUrl:
    """A URL that was read once, so that no other parser reads it in another way.

    Attributes:
        text: the whole URL.
        scheme: `https` or `http`.
        host: the name or address, in lower case and without brackets.
        port: the port.
    """

    text: str
    scheme: str
    host: str
    port: int

    @property
    def authority(self) -> str:
        """The host, with the port unless it is the scheme's own: the value of the header `Host`."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    def __repr__(self) -> str:
        return "WebhookUrl(***)"


def read_url(text: str, *, allow_private: bool = False) -> WebhookUrl:
    """Read the URL of an endpoint.

    Args:
        text: the URL.
        allow_private: whether it may be `http://` or name a private address, for development.

    Raises:
        ValueError: the sentence names the problem and the way out, not the URL.
    """
    if len(text) > LONGEST_URL or not _SHOWN.fullmatch(text) or "\\" in text:
        raise ValueError(
            f"must be a URL of at most {LONGEST_URL} visible ASCII characters; write a host in its xn-- form"
        )
    try:
        parts = urlsplit(text)
        host, port = (parts.hostname or "").lower(), parts.port
    except ValueError:
        raise ValueError("is not a URL") from None
    if parts.scheme not in _PORTS or (parts.scheme == "http" and not allow_private):
        raise ValueError("must begin with https://; for development, GATEPOST_WEBHOOK_ALLOW_PRIVATE=1 allows http://")
    if "@" in parts.netloc or parts.fragment or port == 0:
        raise ValueError("must have no user, password or fragment, and a port from 1 to 65535 if any")
    _check_host(host, allow_private=allow_private)
    return WebhookUrl(text, parts.scheme, host, port or _PORTS[parts.scheme])


def _check_host(host: str, *, allow_private: bool) -> None:
    try:
        address = ip_address(host)
    except ValueError:
        if not _HOST.fullmatch(host) or _NUMERIC_END.fullmatch(host):
            raise ValueError("must name a host, or an address in its usual form") from None
        return
    if not allow_private and not is_public(address):
        raise ValueError(f"{PRIVATE}; for development, GATEPOST_WEBHOOK_ALLOW_PRIVATE=1 allows it")


PRIVATE: Final = "names an address that is not on the internet"


def is_public(address: IPv4Address | IPv6Address) -> bool:
    """Return whether an address is on the internet: not of this machine, a private network, a metadata service or a group.

    An IPv6 address that contains an IPv4 address is judged by both.
    """
    if any(address in network for network in _REFUSED if network.version == address.version):
        return False
    if isinstance(address, IPv6Address):
        for network, shift in _EMBEDDING:
            if address in network:
                return is_public(IPv4Address((int(address) >> shift) & 0xFFFF_FFFF))
        if address.scope_id is not None:
            return False
    return address.is_global and not address.is_multicast and not address.is_reserved
