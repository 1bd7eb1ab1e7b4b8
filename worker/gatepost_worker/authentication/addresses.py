"""From a tenant's domain to the URLs that follow from it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from gatepost_worker.authentication.endpoints import Endpoint
from gatepost_worker.authentication.errors import ConfigurationError, RequiredError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gatepost_worker.authentication.configuration import ClientCertificate, Configuration

_DOMAIN: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?(?::\d{1,5})?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Addresses:
    """The URLs of one tenant.

    Attributes:
        issuer: the id_token's issuer and the client assertion's audience, with its slash at the end.
        urls: where each endpoint is.
    """

    issuer: str
    urls: Mapping[Endpoint, str]


def addresses_of(domain: str, configuration: Configuration, certificate: ClientCertificate | None) -> Addresses:
    """Return the URLs that a domain and a configuration give.

    Args:
        domain: the tenant's or the custom domain, such as `example.eu.auth0.com`; a scheme and a closing slash are forgiven.
        configuration: may set the base URL and the issuer.
        certificate: may set another base URL for token calls.

    Raises:
        RequiredError: the domain is empty.
        ConfigurationError: the domain is not a host.
    """
    host = (domain or "").strip().removeprefix("https://").rstrip("/")
    if not host:
        raise RequiredError("domain")
    if not _DOMAIN.fullmatch(host):
        raise ConfigurationError("domain must be a host such as example.eu.auth0.com")
    base = (configuration.base_url or f"https://{host}").rstrip("/")
    token_base = (certificate.base_url if certificate and certificate.base_url else base).rstrip("/")
    return Addresses(
        issuer=configuration.issuer or f"https://{host}/",
        urls={
            Endpoint.START: base + Endpoint.START,
            Endpoint.TOKEN: token_base + Endpoint.TOKEN,
            Endpoint.JWKS: base + Endpoint.JWKS,
        },
    )
