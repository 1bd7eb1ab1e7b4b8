"""The settings of producers, workers and commands, from the environment and files. The login probe and the console have their own as well."""

from __future__ import annotations

import json
import os
import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final, Literal

from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_settings import DotEnvSettingsSource, NoDecode, SettingsError

from gatepost_core.error_boundary import Boundary, boundary
from gatepost_core.errors import ConfigurationError, GatepostError
from gatepost_core.sealing import Key, Keyring
from gatepost_core.sealing.fingerprints import Fingerprints
from gatepost_core.settings.secret_sources import Configuration, configuration_error, variables_of
from gatepost_core.settings.server_urls import check_base_url, check_encrypted, checked_broker_url, checked_redis_url
from gatepost_core.settings.tenants import (
    DEFAULT_TENANT,
    Application,
    ClientInfo,
    Tenant,
    no_tenant,
    tenant_of_environment,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

DEFAULT_NAMESPACE: Final = "gatepost"
_NAMESPACE: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")
# RabbitMQ refuses names that begin with `amq.`.
_RESERVED: Final = "amq"
_SHORTEST_KEY: Final = 32
_NEW_KEY: Final = {"fingerprint_key": "gatepost keys new", "web_api_key": "openssl rand -hex 32"}
_LOCAL_REDIS: Final = "redis://127.0.0.1:6379/0"


# The messages of these errors name settings and files, and hold no value.
settings_boundary: Final = Boundary(
    GatepostError, ValidationError, SettingsError, OSError, UnicodeError, tomllib.TOMLDecodeError
)


@settings_boundary
class Settings(Configuration):
    """Gatepost's configuration. `load_settings` reads it."""

    # An empty URL must not select the Redis of this machine.
    never_empty: ClassVar[frozenset[str]] = frozenset({"redis_url"})

    namespace: str = Field(
        default=DEFAULT_NAMESPACE,
        description="The first part of all key and queue names, so that installations can share a broker.",
    )
    redis_url: SecretStr = SecretStr(_LOCAL_REDIS)
    broker_url: SecretStr | None = None
    redis_ca_bundle: Path | None = Field(
        default=None, description="Trusted authorities for rediss://; by default, those of the system."
    )
    redis_certificate: Path | None = Field(default=None, description="The client certificate for Redis.")
    redis_key: Path | None = Field(default=None, description="Its private key.")
    broker_ca_bundle: Path | None = Field(
        default=None, description="The same for a separate broker; by default, that of Redis."
    )
    broker_certificate: Path | None = None
    broker_key: Path | None = None
    sentinel_master: str = Field(default="mymaster", description="The name under which Sentinel knows the master.")
    wait_replicas: Annotated[
        int, Field(ge=0, le=10, description="Replicas that must have an attempt before it leaves.")
    ] = 0
    sealing_keys: Annotated[tuple[SecretStr, ...], NoDecode] = ()
    fingerprint_key: SecretStr | None = None
    operator: Annotated[str, Field(max_length=200)] | None = Field(
        default=None, description="The operator's name in the audit log; by default, user@machine."
    )

    # Before the URLs: their validator reads it.
    allow_http: bool = Field(default=False, description="Whether base URLs may be http:// to other machines.")
    auth0_domain: str | None = Field(default=None, validation_alias="AUTH0_DOMAIN")
    auth0_client_id: str | None = Field(default=None, validation_alias="AUTH0_CLIENT_ID")
    auth0_client_secret: SecretStr | None = Field(default=None, validation_alias="AUTH0_CLIENT_SECRET")
    auth0_client_signing_key: SecretStr | None = Field(default=None, validation_alias="AUTH0_CLIENT_SIGNING_KEY")
    auth0_client_signing_key_path: Path | None = Field(default=None, validation_alias="AUTH0_CLIENT_SIGNING_KEY_PATH")
    auth0_client_signing_algorithm: str = Field(default="RS256", validation_alias="AUTH0_CLIENT_SIGNING_ALGORITHM")
    auth0_use_mtls: bool = Field(default=False, validation_alias="AUTH0_USE_MTLS")
    auth0_mtls_certificate: Path | None = Field(default=None, validation_alias="AUTH0_MTLS_CERTIFICATE")
    auth0_mtls_key: Path | None = Field(default=None, validation_alias="AUTH0_MTLS_KEY")
    auth0_mtls_base_url: str | None = Field(default=None, validation_alias="AUTH0_MTLS_BASE_URL")
    auth0_id_token_signing_alg: str = Field(default="RS256", validation_alias="AUTH0_ID_TOKEN_SIGNING_ALG")
    auth0_base_url: str | None = Field(default=None, validation_alias="AUTH0_BASE_URL")
    auth0_ca_bundle: Path | None = Field(default=None, validation_alias="AUTH0_CA_BUNDLE")
    auth0_proxy: SecretStr | None = Field(default=None, validation_alias="AUTH0_PROXY")
    auth0_telemetry: bool = Field(default=True, validation_alias="AUTH0_TELEMETRY")
    auth0_client_info: Annotated[ClientInfo | None, NoDecode] = Field(
        default=None, validation_alias="AUTH0_CLIENT_INFO"
    )
    auth0_headers: Annotated[dict[str, SecretStr], NoDecode] = Field(
        default_factory=dict, validation_alias="AUTH0_HEADERS", repr=False
    )
    auth0_allowed_headers: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(), validation_alias="AUTH0_ALLOWED_HEADERS"
    )
    auth0_clock_tolerance: int = Field(default=60, validation_alias="AUTH0_CLOCK_TOLERANCE")
    auth0_max_rate: float | None = Field(default=None, validation_alias="AUTH0_MAX_RATE")
    tenants: Annotated[tuple[Tenant, ...], NoDecode] = ()

    connect_timeout: Annotated[float, Field(gt=0, le=60)] = 5.0
    broker_timeout: Annotated[
        float,
        Field(ge=2, le=120, description="Seconds to wait for an answer of the broker, or for a free connection to it."),
    ] = 10.0
    email_deadline: Annotated[float, Field(gt=0, le=120, description="Total seconds for one call.")] = 15.0
    sms_deadline: Annotated[float, Field(gt=0, le=120, description="As above; Auth0 waits 30 s for its provider.")] = (
        40.0
    )
    login_deadline: Annotated[float, Field(gt=0, le=120)] = 15.0
    lease_margin: Annotated[
        float,
        Field(
            gt=0,
            le=300,
            description="Seconds that an attempt's lease outlasts its call: to sign, to fetch keys, to settle.",
        ),
    ] = 10.0
    max_attempts: Annotated[int, Field(ge=1, le=20)] = 5
    longest_hint: Annotated[
        float,
        Field(ge=1, le=86_400, description="Seconds. A longer hint of the server is ignored."),
    ] = 900.0
    record_lifetime: Annotated[
        int, Field(ge=60, description="Seconds that the record and the result of a finished operation are kept.")
    ] = 86_400
    credential_patience: Annotated[
        float,
        Field(
            ge=0,
            le=600,
            description="Seconds to wait for a new credential after Auth0 refused one that it had accepted.",
        ),
    ] = 60.0
    submissions: Literal["any", "sealed"] = Field(
        default="any", description="Whether `gatepost.submit` accepts plain commands, or sealed ones only."
    )
    dead_letter_lifetime: Annotated[int, Field(ge=60, description="Seconds that a refused message is kept.")] = (
        2_592_000
    )
    visibility_timeout: Annotated[int, Field(ge=10)] = 300
    reconcile_every: Annotated[float, Field(gt=0)] = 10.0
    republish_after: Annotated[float, Field(gt=0)] = 30.0
    webhook_allow_private: bool = Field(
        default=False, description="Whether webhooks may go to http:// and to private addresses: for development."
    )
    webhook_ca_bundle: Path | None = Field(
        default=None, description="Trusted authorities of webhook endpoints; by default, those of certifi."
    )
    webhook_proxy: SecretStr | None = Field(default=None, description="The http(s):// proxy of webhooks.")
    webhook_retention: Annotated[int, Field(ge=3600, description="Seconds that events are kept for webhooks.")] = (
        259_200
    )
    allow_eviction: bool = Field(default=False, description="Whether workers start on a Redis that may evict keys.")
    concurrency: Annotated[int, Field(ge=1, le=1000)] = 8
    calls: Annotated[
        int, Field(ge=1, le=10_000, description="Calls that one process makes at once for campaigns, at most.")
    ] = 400
    health_port: Annotated[int, Field(ge=1, le=65_535)] | None = Field(
        default=None, description="The port on which a worker answers /health; by default, none."
    )
    health_host: str = Field(default="127.0.0.1", description="The address of that port.")
    health_patience: Annotated[
        float, Field(gt=0, le=3600, description="Seconds without progress after which a worker is unhealthy.")
    ] = 30.0
    web_api_url: str = Field(default="http://127.0.0.1:8790", description="The URL at which the console finds the api.")
    web_api_key: SecretStr | None = Field(
        default=None, description="The secret with which the console calls the api: the same value for both."
    )
    metrics_port: Annotated[int, Field(ge=1, le=65_535)] | None = Field(
        default=None, description="The port on which a worker answers /metrics; by default, none."
    )
    metrics_host: str = Field(default="127.0.0.1", description="The address of that port.")
    log_format: Literal["json", "console"] = "json"
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"

    @field_validator("namespace")
    @classmethod
    def _can_begin_names(cls, value: str) -> str:
        if not _NAMESPACE.fullmatch(value):
            raise ValueError("must be 1 to 32 of a-z, 0-9, - and _, beginning with a letter or digit, such as staging")
        if value == _RESERVED:
            raise ValueError("must not be amq, which RabbitMQ reserves for its own queues")
        return value

    @field_validator("sealing_keys", "auth0_allowed_headers", mode="before")
    @classmethod
    def _by_comma(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        return tuple(part for part in value.replace("\n", ",").split(",") if part.strip())

    @field_validator("auth0_client_info", "auth0_headers", "tenants", mode="before")
    @classmethod
    def _from_json(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            raise ValueError("must be JSON, as docs/reference/settings.md shows") from None

    @field_validator("fingerprint_key", "web_api_key")
    @classmethod
    def _cannot_be_guessed(cls, value: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        # Logs have digests under these keys. With a short key, they can be guessed.
        if value and len(value) < _SHORTEST_KEY:
            command = _NEW_KEY[str(info.field_name)]
            raise ValueError(f"must have at least {_SHORTEST_KEY} characters; make one with: {command}")
        return value

    @field_validator("redis_url", "broker_url")
    @classmethod
    def _leads_to_a_server(cls, value: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        if value is None:
            return None
        checked = checked_redis_url if info.field_name == "redis_url" else checked_broker_url
        return SecretStr(checked(value.get_secret_value()))

    @field_validator("auth0_base_url", "auth0_mtls_base_url")
    @classmethod
    def _leads_to_auth0(cls, value: str | None, info: ValidationInfo) -> str | None:
        check_base_url(value or "")
        if not info.data.get("allow_http"):
            check_encrypted(value or "")
        return value

    @field_validator("tenants")
    @classmethod
    def _lead_to_auth0(cls, value: tuple[Tenant, ...], info: ValidationInfo) -> tuple[Tenant, ...]:
        if not info.data.get("allow_http"):
            for tenant in value:
                for name in ("base_url", "mtls_base_url"):
                    try:
                        check_encrypted(getattr(tenant, name) or "")
                    except ValueError as problem:
                        raise ValueError(f"{tenant.name}.{name.upper()}: {problem}") from None
        return value

    @field_validator("operator")
    @classmethod
    def _can_be_shown(cls, value: str | None) -> str | None:
        if value is not None:
            # Imported here, because an application sets no operator.
            from gatepost_core.safe_text import require_shown  # noqa: PLC0415

            require_shown(value)
        return value

    @property
    def broker(self) -> str:
        """The URL of the broker. The default is the ledger's Redis."""
        return (self.broker_url or self.redis_url).get_secret_value()

    def keyring(self) -> Keyring:
        """Return the sealing keys as a ring.

        Raises:
            ConfigurationError: no key is configured, or a key is malformed.
        """
        return Keyring([Key.parse(text.get_secret_value()) for text in self.sealing_keys])

    def fingerprints(self) -> Fingerprints:
        """Return the fingerprints under the configured key.

        Raises:
            ConfigurationError: GATEPOST_FINGERPRINT_KEY is not set.
        """
        if self.fingerprint_key is None:
            raise ConfigurationError("GATEPOST_FINGERPRINT_KEY is not set; make one with: gatepost keys new")
        return Fingerprints.under(self.fingerprint_key)

    def all_tenants(self) -> dict[str, Tenant]:
        """Return the tenants by name, the default tenant first.

        Raises:
            ConfigurationError: no tenant is configured, one is incomplete, or two have the same name.
        """
        listed = ([self._environment_tenant()] if self.auth0_domain else []) + list(self.tenants)
        by_name = {tenant.name: tenant for tenant in listed}
        if not listed:
            raise ConfigurationError(
                "no tenant is configured; set AUTH0_DOMAIN, AUTH0_CLIENT_ID and AUTH0_CLIENT_SECRET"
            )
        if len(by_name) != len(listed):
            raise ConfigurationError("two tenants have the same name")
        return by_name

    def applications(self) -> dict[str, Application]:
        """Return the Auth0 application of each tenant by name, the default tenant first. Needs no credential."""
        pairs = {}
        if self.auth0_domain and self.auth0_client_id:
            pairs[DEFAULT_TENANT] = (self.auth0_domain, self.auth0_client_id)
        pairs |= {tenant.name: (tenant.domain, tenant.client_id) for tenant in self.tenants}
        return {name: Application(domain.lower(), client_id) for name, (domain, client_id) in pairs.items()}

    def tenant_name(self, name: str | None) -> str:
        """Return the name that commands for a tenant are recorded under. None means the first tenant.

        A producer needs no tenants, because only workers call Auth0. Without tenants, every name is accepted, and None means `default`.

        Raises:
            ConfigurationError: tenants are configured, but none with this name.
        """
        names = [DEFAULT_TENANT] * bool(self.auth0_domain) + [tenant.name for tenant in self.tenants]
        if name is None:
            return names[0] if names else DEFAULT_TENANT
        if names and name not in names:
            raise no_tenant(name, names)
        return name

    def max_rate_of(self, name: str | None) -> float | None:
        """Return the configured limit of calls a second to an endpoint of a tenant; None without a limit."""
        if name == DEFAULT_TENANT and self.auth0_domain:
            return self.auth0_max_rate
        return next((tenant.max_rate for tenant in self.tenants if tenant.name == name), None)

    def tenant_named(self, name: str | None) -> Tenant:
        """Return a tenant. None means the default tenant.

        Raises:
            ConfigurationError: no tenant with this name is configured.
        """
        tenants = self.all_tenants()
        if name is None:
            return next(iter(tenants.values()))
        if name not in tenants:
            raise no_tenant(name, tenants)
        return tenants[name]

    def _environment_tenant(self) -> Tenant:
        try:
            return tenant_of_environment(self)
        except ValidationError as failure:
            raise configuration_error(failure, "AUTH0_") from None


@boundary
def load_settings(*, env_file: str | None = None, **given: Any) -> Settings:
    """Read the configuration.

    The strongest source comes first: arguments, environment, files and commands named in the environment, the `.env` file, files and
    commands named in it, the file of `GATEPOST_CONFIG`.

    Args:
        env_file: a `.env` file to read too. The command line and the worker pass the project's file.
        given: settings by field name.

    Raises:
        ConfigurationError: a setting is malformed or does not exist. The message names the setting, never its value.
    """
    try:
        _refuse_unknown(env_file, given)
        return Settings(_env_file=env_file, **given)
    except ValidationError as failure:
        raise configuration_error(failure, "GATEPOST_") from None
    except (OSError, ValueError, RecursionError) as failure:
        raise ConfigurationError(f"GATEPOST_CONFIG cannot be read ({type(failure).__name__})") from None


def _refuse_unknown(env_file: str | None, given: Iterable[str]) -> None:
    variables = environment_names()
    arguments = {*Settings.model_fields, *(name for name in variables if name.startswith("AUTH0_"))}
    in_env_file = DotEnvSettingsSource(Settings, env_file=env_file).env_vars if env_file else {}
    path = os.environ.get("GATEPOST_CONFIG")
    in_config = tomllib.loads(Path(path).read_text(encoding="utf-8")) if path else {}
    named = {name.upper() for name in (*os.environ, *in_env_file)}
    if {name for name in named - variables.keys() if name.startswith("GATEPOST_")} or {*given, *in_config} - arguments:
        # Imported here, because only names that may be wrong need it.
        from gatepost_core.settings.known_names import (  # noqa: PLC0415
            probe_names,
            refuse_configuration_file,
            refuse_unknown_names,
            refuse_unknown_variables,
        )

        refuse_unknown_names(given, arguments, source="load_settings()")
        others = probe_names()
        variables = {**variables, **others}
        arguments |= {name.removeprefix("GATEPOST_").lower() for name in others}
        refuse_unknown_variables(os.environ, variables, source="the environment")
        refuse_unknown_variables(in_env_file, variables, source=str(env_file))
        refuse_configuration_file(in_env_file, source=str(env_file))
        refuse_unknown_names(in_config, arguments, source=str(path))


def environment_names() -> Mapping[str, str]:
    """Return each environment variable that `Settings` reads, with its description."""
    return variables_of(Settings)
