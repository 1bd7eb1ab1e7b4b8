"""Find settings that send a secret in clear to another machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gatepost_core.settings.server_urls import is_cleartext

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic import SecretStr

    from gatepost_core.settings import Settings

IN_CLEAR: Final = "http:// to another machine: secrets are sent in clear"


def cleartext_settings(settings: Settings) -> list[str]:
    """Return the names of the settings that send a secret in clear to another machine.

    Base URLs can do so only with `GATEPOST_ALLOW_HTTP=1`. A proxy's password is sent in clear to every `http://` proxy.
    """
    urls = {"BASE_URL": settings.auth0_base_url, "MTLS_BASE_URL": settings.auth0_mtls_base_url}
    found = [f"AUTH0_{name}" for name in _in_clear(urls, settings.auth0_proxy)]
    for tenant in settings.tenants:
        urls = {"BASE_URL": tenant.base_url, "MTLS_BASE_URL": tenant.mtls_base_url}
        found += [f"GATEPOST_TENANTS.{tenant.name}.{name}" for name in _in_clear(urls, tenant.proxy)]
    return found


def _in_clear(urls: dict[str, str | None], proxy: SecretStr | None) -> Iterator[str]:
    yield from (name for name, url in urls.items() if is_cleartext(url or ""))
    address = "" if proxy is None else proxy.get_secret_value()
    if "@" in address and is_cleartext(address if "://" in address else f"http://{address}"):
        yield "PROXY"
