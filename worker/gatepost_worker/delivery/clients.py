"""One Authentication client for each configured tenant."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from gatepost_core.errors import ConfigurationError
from gatepost_worker.authentication import ClientCertificate, Configuration, Passwordless, Timeouts
from gatepost_worker.authentication.errors import ConfigurationError as UnusableClient

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pydantic import SecretStr

    from gatepost_core.settings import Settings
    from gatepost_core.settings.tenants import Tenant

_NEXT_TRY: Final = timedelta(seconds=5)
# Many calls are refused at the same time.
_LOOKS_EVERY_S: Final = 1.0


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


@dataclass(slots=True)
class _InUse:
    client: Passwordless
    accepted: bool = False
    refused_at: float | None = None


class Clients:
    """The clients of all tenants, each created on first use and shared by the process's threads."""

    def __init__(
        self,
        settings: Settings,
        *,
        connections: int | None = None,
        look_again: Callable[[], None] = lambda: None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare; a client is created on first use.

        Args:
            settings: the tenants and the timeouts.
            connections: the size of each connection pool; by default the concurrency in the settings.
            look_again: looks whether a file with a credential has changed, and calls `renew` if it has.
            monotonic: a monotonic clock, in seconds.
        """
        self._connections = connections
        self._settings = settings
        self._tenants = settings.all_tenants()
        self._look_again = look_again
        self._monotonic = monotonic
        self._looked_at = float("-inf")
        self._in_use: dict[str, _InUse] = {}
        # Renewed clients may still have calls under way, so they are closed with the process.
        self._replaced: list[Passwordless] = []
        self._lock = threading.Lock()
        self._looking = threading.Lock()

    def of(self, tenant_name: str) -> Passwordless:
        """Return the client of a tenant.

        Raises:
            ConfigurationError: no such tenant is configured here, or its settings are unusable.
        """
        with self._lock:
            if tenant_name not in self._in_use:
                self._in_use[tenant_name] = _InUse(self._create(tenant_name))
            return self._in_use[tenant_name].client

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

    def renew(self, settings: Settings) -> list[str]:
        """Replace the clients by those of newly read settings, and return the names of the tenants whose application or name has changed.

        Those tenants keep their clients: recorded work is for the application that was configured at the start.

        Raises:
            ConfigurationError: a credential cannot be used. No client was replaced.
        """
        tenants = settings.all_tenants()
        kept = [name for name, old in self._tenants.items() if not _is_same_application(old, tenants.get(name))]
        renewed = {name: tenants[name] for name in self._tenants if name not in kept}
        clients = {name: self._created(tenant) for name, tenant in renewed.items()}
        with self._lock:
            self._tenants = {**self._tenants, **renewed}
            self._replaced += [self._in_use[name].client for name in clients if name in self._in_use]
            self._in_use.update({name: _InUse(client) for name, client in clients.items()})
        return kept

    def accepted(self, tenant_name: str, used: Passwordless) -> None:
        """Note that Auth0 accepted the credential of a tenant's client."""
        with self._lock:
            in_use = self._in_use.get(tenant_name)
            if in_use is not None and in_use.client is used:
                in_use.accepted, in_use.refused_at = True, None

    def after_refusal(self, tenant_name: str, used: Passwordless) -> timedelta | None:
        """Return when to try again after Auth0 refused the credential of a call, or None if the refusal is final.

        The files of credentials are looked at again first. A credential that Auth0 accepted before is probably being rotated, so its
        replacement is awaited for the time of the setting `credential_patience`.

        Args:
            tenant_name: the tenant.
            used: the client that made the call.
        """
        with self._looking:
            if self._is_in_use(tenant_name, used) and self._monotonic() - self._looked_at >= _LOOKS_EVERY_S:
                self._look_again()
                self._looked_at = self._monotonic()
        with self._lock:
            in_use = self._in_use[tenant_name]
            if in_use.client is not used:
                return timedelta()
            now = self._monotonic()
            if in_use.refused_at is None:
                in_use.refused_at = now
            left = in_use.refused_at + self._settings.credential_patience - now
            return min(_NEXT_TRY, timedelta(seconds=left)) if in_use.accepted and left > 0 else None

    def _is_in_use(self, tenant_name: str, used: Passwordless) -> bool:
        with self._lock:
            return self._in_use[tenant_name].client is used

    def _create(self, tenant_name: str) -> Passwordless:
        return self._created(self._tenants.get(tenant_name) or self._settings.tenant_named(tenant_name))

    def _created(self, tenant: Tenant) -> Passwordless:
        try:
            return client_for(tenant, self._settings, connections=self._connections)
        except UnusableClient as failure:
            flaw = str(failure)
        raise ConfigurationError(flaw)

    def close(self) -> None:
        """Close every client's connections."""
        with self._lock:
            for client in (*self._replaced, *(in_use.client for in_use in self._in_use.values())):
                client.close()
            self._in_use.clear()
            self._replaced.clear()


def _is_same_application(old: Tenant, new: Tenant | None) -> bool:
    return new is not None and (old.domain.lower(), old.client_id) == (new.domain.lower(), new.client_id)
