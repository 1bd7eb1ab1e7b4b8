"""One Authentication client for each configured tenant."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import TYPE_CHECKING

from gatepost_core.errors import ConfigurationError
from gatepost_worker.authentication import ClientCertificate, Configuration, Passwordless, Timeouts
from gatepost_worker.authentication.errors import ConfigurationError as UnusableClient

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pydantic import SecretStr

    from gatepost_core.settings import Settings
    from gatepost_core.settings.tenants import Tenant


def client_for(tenant: Tenant, settings: Settings, *, connections: int | None = None) -> Passwordless:
    """Return a client of a tenant. It does not retry: `policy` decides about retries.

    Args:
        tenant: the tenant to call.
        settings: the timeouts.
        connections: the size of the connection pool; by default the concurrency in the settings.
    """
    certificate = None
    if tenant.use_mtls and tenant.mtls_certificate and tenant.mtls_key:
        certificate = ClientCertificate(
            certificate_path=str(tenant.mtls_certificate), key_path=str(tenant.mtls_key), base_url=tenant.mtls_base_url
        )
    return Passwordless(
        domain=tenant.domain,
        client_id=tenant.client_id,
        client_secret=_clear(tenant.client_secret),
        client_assertion_signing_key=_clear(tenant.client_assertion_signing_key),
        client_assertion_signing_alg=tenant.client_assertion_signing_alg,
        client_certificate=certificate,
        id_token_signing_alg=tenant.id_token_signing_alg,
        clock_tolerance=timedelta(seconds=tenant.clock_tolerance),
        telemetry=tenant.telemetry,
        client_info=tenant.client_info.model_dump(exclude_none=True) if tenant.client_info else None,
        configuration=Configuration(
            base_url=tenant.base_url,
            headers={name: value.get_secret_value() for name, value in tenant.headers.items()},
            timeouts=_timeouts(settings.email_deadline, settings),
            sms_timeouts=_timeouts(settings.sms_deadline, settings),
            login_timeouts=_timeouts(settings.login_deadline, settings),
            # The other half of the margin is for signing and settling.
            keys_grace=timedelta(seconds=settings.lease_margin / 2),
            proxies=dict.fromkeys(("https", "http"), proxy) if (proxy := _clear(tenant.proxy)) else None,
            ca_bundle=str(tenant.ca_bundle) if tenant.ca_bundle else None,
            pool_size=connections or settings.concurrency,
            longest_hint=timedelta(seconds=settings.longest_hint),
        ),
    )


def _timeouts(seconds: float, settings: Settings) -> Timeouts:
    # One read may take all of the total deadline.
    total = timedelta(seconds=seconds)
    return Timeouts(connect=min(timedelta(seconds=settings.connect_timeout), total), read=total, total=total)


def _clear(secret: SecretStr | None) -> str | None:
    return None if secret is None else secret.get_secret_value()


class Clients:
    """The clients of all tenants, each created on first use and shared by the process's threads."""

    def __init__(self, settings: Settings, *, connections: int | None = None) -> None:
        self._connections = connections
        self._settings = settings
        self._tenants = settings.all_tenants()
        self._clients: dict[str, Passwordless] = {}
        self._lock = threading.Lock()

    def of(self, tenant_name: str) -> Passwordless:
        """Return the client of a tenant.

        Raises:
            ConfigurationError: no such tenant is configured here, or its settings are unusable.
        """
        with self._lock:
            if tenant_name not in self._clients:
                self._clients[tenant_name] = self._create(tenant_name)
            return self._clients[tenant_name]

    def require_allowed(self, tenant_name: str, headers: Iterable[str]) -> None:
        """Check that a tenant's settings allow the headers of a call.

        Raises:
            ConfigurationError: they do not allow one. The message names those that they allow.
        """
        allowed = self._tenants[tenant_name].allowed_headers
        if not {name.lower() for name in headers} <= set(allowed):
            raise ConfigurationError(
                f"a command has a header that its tenant {tenant_name} does not allow; allowed_headers has: {', '.join(allowed) or 'none'}"
            )

    def _create(self, tenant_name: str) -> Passwordless:
        tenant = self._tenants.get(tenant_name) or self._settings.tenant_named(tenant_name)
        try:
            return client_for(tenant, self._settings, connections=self._connections)
        except UnusableClient as failure:
            flaw = str(failure)
        raise ConfigurationError(flaw)

    def close(self) -> None:
        """Close every client's connections."""
        with self._lock:
            for client in self._clients.values():
                client.close()
            self._clients.clear()
