"""The endpoints of the Authentication API, and their URLs for a tenant."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from gatepost_worker.authentication.errors import ConfigurationError, RequiredError

if TYPE_CHECKING:
    from collections.abc import Mapping

_DOMAIN: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?(?::\d{1,5})?", re.ASCII)


class Endpoint(StrEnum):
    """A path of the Authentication API, relative to the base URL."""

    START = "/passwordless/start"
    TOKEN = "/oauth/token"  # noqa: S105 - a path, not a credential
    JWKS = "/.well-known/jwks.json"


@dataclass(frozen=True, slots=True)
class TenantUrls:
    """The URLs of one tenant.

    Attributes:
        issuer: the id_token's issuer and the client assertion's audience, with a slash at the end.
        endpoints: the URL of each endpoint.
    """

    issuer: str
    endpoints: Mapping[Endpoint, str]


def tenant_urls(domain: str, *, base_url: str | None, token_base_url: str | None, issuer: str | None) -> TenantUrls:
    """Return the URLs of a tenant.

    Args:
        domain: the tenant's domain or custom domain, such as `example.eu.auth0.com`. A scheme and a final slash are removed.
        base_url: the base URL of all calls; None for `https://{domain}`.
        token_base_url: the base URL of token calls; None for that of all calls.
        issuer: the issuer; None for `https://{domain}/`.

    Raises:
        RequiredError: the domain is empty.
        ConfigurationError: the domain is not a host.
    """
    host = (domain or "").strip().removeprefix("https://").rstrip("/")
    if not host:
        raise RequiredError("domain")
    if not _DOMAIN.fullmatch(host):
        raise ConfigurationError("domain must be a host such as example.eu.auth0.com")
    base = (base_url or f"https://{host}").rstrip("/")
    token_base = (token_base_url or base).rstrip("/")
    return TenantUrls(
        issuer=issuer or f"https://{host}/",
        endpoints={
            Endpoint.START: base + Endpoint.START,
            Endpoint.TOKEN: token_base + Endpoint.TOKEN,
            Endpoint.JWKS: base + Endpoint.JWKS,
        },
    )
