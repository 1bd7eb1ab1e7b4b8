"""Find settings that send a secret in clear to another machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from gatepost_core.settings.server_urls import is_cleartext, is_elsewhere

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pydantic import SecretStr

    from gatepost_core.settings import Settings

IN_CLEAR: Final = "no TLS to another machine: secrets are sent in clear"
_WITHOUT_TLS: Final = ("redis", "amqp", "pyamqp")


def cleartext_servers(settings: Settings) -> list[str]:
    """Return the names of the URLs of Redis and the broker whose password is sent in clear to another machine."""
    redis_files = (settings.redis_ca_bundle, settings.redis_certificate)
    broker_files = (settings.broker_ca_bundle, settings.broker_certificate)
    given = [("REDIS_URL", settings.redis_url, redis_files), ("BROKER_URL", settings.broker_url, broker_files)]
    return [
        f"GATEPOST_{name}"
        for name, url, files in given
        if url is not None and any(_shows_password(one, files) for one in url.get_secret_value().split(";"))
    ]


def cleartext_settings(settings: Settings) -> list[str]:
    """Return the names of the other settings that send a secret in clear to another machine.

    Base URLs can do so only with `GATEPOST_ALLOW_HTTP=1`. A proxy's password is sent in clear to every `http://` proxy.
    """
    urls = {"BASE_URL": settings.auth0_base_url, "MTLS_BASE_URL": settings.auth0_mtls_base_url}
    found = [f"AUTH0_{name}" for name in _in_clear(urls, settings.auth0_proxy)]
    for tenant in settings.tenants:
        urls = {"BASE_URL": tenant.base_url, "MTLS_BASE_URL": tenant.mtls_base_url}
        found += [f"GATEPOST_TENANTS.{tenant.name}.{name}" for name in _in_clear(urls, tenant.proxy)]
    if _is_open(settings.webhook_proxy):
        found.append("GATEPOST_WEBHOOK_PROXY")
    return found


def _in_clear(urls: dict[str, str | None], proxy: SecretStr | None) -> Iterator[str]:
    yield from (name for name, url in urls.items() if is_cleartext(url or ""))
    if _is_open(proxy):
        yield "PROXY"


def _is_open(proxy: SecretStr | None) -> bool:
    address = "" if proxy is None else proxy.get_secret_value()
    return "@" in address and is_cleartext(address if "://" in address else f"http://{address}")


def _shows_password(url: str, files: tuple[Path | None, ...]) -> bool:
    parts = urlsplit(url)
    # A Sentinel URL cannot ask for TLS, so the files do.
    without_tls = parts.scheme in _WITHOUT_TLS or (parts.scheme == "sentinel" and not any(files))
    return without_tls and bool(parts.password) and is_elsewhere(url)
