"""The configuration of an Auth0 tenant: domain, application, credential and connection."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from gatepost_core.error_boundary import model_boundary
from gatepost_core.errors import NewerForm, TenantMissing
from gatepost_core.message_fields import checked_headers
from gatepost_core.settings.secret_sources import resolve_secret, without_empty
from gatepost_core.settings.server_urls import check_base_url, check_proxy_url

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gatepost_core.settings import Settings

DEFAULT_TENANT: Final = "default"
_HOST: Final = r"^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:\d{1,5})?$"


@dataclass(frozen=True, slots=True)
class Application:
    """A tenant's domain, in lower case, and a client id there. Neither is a secret."""

    domain: str
    client_id: str

    def __str__(self) -> str:
        return f"client {self.client_id} at {self.domain}"

    @property
    def stored(self) -> str:
        """The application as records store it. A domain has no `@`; a client id may have one."""
        return f"{self.client_id}@{self.domain}"

    @classmethod
    def read(cls, stored: str) -> Application | None:
        """Read `stored`. Return None for the empty text of work without an application.

        Raises:
            NewerForm: a newer version wrote it, as JSON.
        """
        if stored.startswith("{"):
            raise NewerForm
        client_id, _, domain = stored.rpartition("@")
        return cls(domain, client_id) if client_id else None

    def as_json(self) -> dict[str, str]:
        """Return it as JSON values."""
        return {"domain": self.domain, "client_id": self.client_id}


class ClientInfo(BaseModel):
    """Who calls, for the header Auth0-Client.

    Attributes:
        name: the name of the program.
        version: its version.
        env: further versions, such as that of Python.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, Field(min_length=1)]
    version: str | None = None
    env: dict[str, str] | None = None


@model_boundary
class Tenant(BaseModel):
    """One Auth0 tenant, and Gatepost's application in it. The options have the names of node-auth0's `Passwordless`."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,31}$")] = DEFAULT_TENANT
    domain: Annotated[str, Field(pattern=_HOST)]
    client_id: Annotated[str, Field(min_length=1)]
    client_secret: SecretStr | None = None
    client_assertion_signing_key: SecretStr | None = None
    client_assertion_signing_alg: Literal["RS256", "RS384", "PS256"] = "RS256"
    use_mtls: bool = False
    mtls_certificate: Path | None = None
    mtls_key: Path | None = None
    mtls_base_url: str | None = Field(default=None, description="Where token calls go with the certificate.")
    id_token_signing_alg: Literal["RS256", "HS256"] = "RS256"  # noqa: S105 - an algorithm
    clock_tolerance: Annotated[int, Field(ge=0, le=600, description="Seconds.")] = 60
    base_url: str | None = Field(default=None, description="Where to send instead of https://domain.")
    ca_bundle: Path | None = Field(
        default=None, description="Certificate authorities to trust instead of the usual ones."
    )
    proxy: SecretStr | None = Field(default=None, description="Its URL may have a user name and a password in it.")
    telemetry: bool = True
    client_info: ClientInfo | None = Field(
        default=None, description="The payload of Auth0-Client instead of Gatepost's."
    )
    headers: dict[str, SecretStr] = Field(default_factory=dict, repr=False, description="Sent with every request.")
    allowed_headers: tuple[str, ...] = Field(
        default=(), description="Names of headers that a command may add to its call; by default, none."
    )
    max_rate: Annotated[float, Field(gt=0)] | None = Field(
        default=None, description="Calls a second, at most, an endpoint."
    )

    @model_validator(mode="before")
    @classmethod
    def _secrets_from_elsewhere(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        found = dict(values)
        for name in ("client_secret", "client_assertion_signing_key", "proxy"):
            secret = resolve_secret(name, found)
            for suffix in ("_file", "_command"):
                found.pop(f"{name}{suffix}", None)
            if secret is not None:
                found[name] = secret
        return without_empty(found)

    @field_validator("proxy")
    @classmethod
    def _leads_to_a_proxy(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            check_proxy_url(value.get_secret_value())
        return value

    @field_validator("headers")
    @classmethod
    def _are_headers(cls, value: dict[str, SecretStr]) -> dict[str, SecretStr]:
        checked_headers({name: secret.get_secret_value() for name, secret in value.items()})
        return value

    @field_validator("allowed_headers")
    @classmethod
    def _in_lower_case(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(checked_headers(dict.fromkeys((name.strip().lower() for name in value), "x")))

    @field_validator("base_url", "mtls_base_url")
    @classmethod
    def _leads_to_auth0(cls, value: str | None) -> str | None:
        check_base_url(value or "")
        return value

    @model_validator(mode="after")
    def _has_a_credential(self) -> Self:
        if self.use_mtls and not (self.mtls_certificate and self.mtls_key):
            raise ValueError("use_mtls needs mtls_certificate and mtls_key")
        if not (self.client_secret or self.client_assertion_signing_key or self.use_mtls):
            raise ValueError("give a client secret, a signing key, or a client certificate")
        return self


def tenant_of_environment(settings: Settings) -> Tenant:
    """Return the tenant of the variables `AUTH0_…`.

    Raises:
        ValidationError: a value is missing or not valid.
    """
    key = settings.auth0_client_signing_key
    if key is None and settings.auth0_client_signing_key_path is not None:
        read = resolve_secret(
            "AUTH0_CLIENT_SIGNING_KEY", {"AUTH0_CLIENT_SIGNING_KEY_FILE": str(settings.auth0_client_signing_key_path)}
        )
        key = SecretStr(read) if read else None
    fields = {
        "domain": settings.auth0_domain,
        "client_id": settings.auth0_client_id,
        "client_secret": settings.auth0_client_secret,
        "client_assertion_signing_key": key,
        "client_assertion_signing_alg": settings.auth0_client_signing_algorithm,
        "use_mtls": settings.auth0_use_mtls,
        "mtls_certificate": settings.auth0_mtls_certificate,
        "mtls_key": settings.auth0_mtls_key,
        "mtls_base_url": settings.auth0_mtls_base_url,
        "id_token_signing_alg": settings.auth0_id_token_signing_alg,
        "base_url": settings.auth0_base_url,
        "ca_bundle": settings.auth0_ca_bundle,
        "proxy": settings.auth0_proxy,
        "telemetry": settings.auth0_telemetry,
        "client_info": settings.auth0_client_info,
        "headers": settings.auth0_headers,
        "allowed_headers": settings.auth0_allowed_headers,
        "clock_tolerance": settings.auth0_clock_tolerance,
        "max_rate": settings.auth0_max_rate,
    }
    return Tenant.model_validate({name: value for name, value in fields.items() if value is not None})


def no_tenant(name: str, names: Iterable[str]) -> TenantMissing:
    """Return the error for a tenant that is not configured, with the nearest of the configured names."""
    # Imported here, because only a wrong name needs it.
    from gatepost_core.nearest import did_you_mean  # noqa: PLC0415

    known = list(names)
    return TenantMissing(
        f"no tenant named {name!r} is configured; configured are: {', '.join(known)}.{did_you_mean(name, known)}",
        tenant=name,
    )
