"""Every switch of the simulator, with its default, read from the environment or a file."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr
from pydantic_settings import (
    BaseSettings,
    JsonConfigSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from gatepost_simulator.buckets import Refill
from gatepost_simulator.exchange import Shape

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

# Fixed and public on purpose, so that they cannot protect anything but a simulator.
DEV_CLIENT_ID = "gatepost-dev"
DEV_CLIENT_SECRET = "gatepost-dev-secret-of-the-local-simulator"  # noqa: S105 - documented, worthless elsewhere
ASSERTION_CLIENT_ID = "gatepost-assertion"
MTLS_CLIENT_ID = "gatepost-mtls"
PUBLIC_CLIENT_ID = "gatepost-public"

_PREFIX = "GATEPOST_SIMULATOR_"
_NESTED = "__"

OTP_GRANT = "http://auth0.com/oauth/grant-type/passwordless/otp"
CODE_GRANT = "authorization_code"

Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=0)]


class _Part(BaseModel):
    """A group of settings. Unknown names are rejected."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class BucketSize(_Part):
    """A token bucket: `size` is the burst, `refill` tokens come every `period_s` seconds. Size 0 refuses everything."""

    size: Count
    refill: NotNegative
    period_s: Positive = 1.0


class Quota(_Part):
    """Rate limits and their headers. Numbers: Auth0's rate-limit pages."""

    plan: Literal["free", "essentials", "professional", "enterprise", "unlimited"] = "enterprise"
    tenant: BucketSize | None = None
    endpoints: dict[str, BucketSize] = {}
    clients: dict[str, BucketSize] = {}
    per_ip: Literal["off", "unauthenticated", "always"] = "unauthenticated"
    ip: BucketSize = BucketSize(size=50, refill=50, period_s=3600)
    refill: Refill = Refill.CONTINUOUS
    reset: Literal["next", "full"] = "next"
    retry_after: Literal["absent", "seconds", "date"] = "absent"
    body: Shape = Shape.A


class Connection(_Part):
    """A passwordless connection."""

    name: str
    strategy: Literal["email", "sms"]
    enabled: bool = True
    disable_signup: bool = False
    lifetime_s: Positive = 180.0
    digits: Annotated[int, Field(ge=4, le=12)] = 6
    tries: Annotated[int, Field(ge=1)] = 3
    brute_force_protection: bool = True


class Client(_Part):
    """An application of the tenant."""

    client_id: str
    method: Literal["client_secret", "private_key_jwt", "mtls", "none"] = "client_secret"
    client_secret: SecretStr | None = None
    public_keys: list[str] = []
    certificate_common_name: str = ""
    certificate_sha256: str = ""
    trust_forwarded_for: bool = False
    grants: list[str] = [OTP_GRANT, CODE_GRANT]
    signing_alg: Literal["RS256", "HS256"] = "RS256"
    callbacks: list[str] = ["*"]


class Api(_Part):
    """An API (audience) known to the tenant."""

    identifier: str
    allow_offline_access: bool = True


class Organization(_Part):
    """An organization that a login can name by id or by name."""

    id: str
    name: str


class Providers(_Part):
    """The SMS provider behind the `sms` strategy.

    `sms_fault` is empty, a Twilio error code (`21211`), or a gateway's answer: `status:503`, `status:401`, `timeout`.
    `sms_delivers_anyway` puts the message in the outbox although the gateway failed.
    """

    sms_fault: str = ""
    sms_delivers_anyway: bool = False
    timeout_s: NotNegative = 30.0


class Smtp(_Part):
    """The SMTP server that delivers e-mails: `host:port`; empty for none. `template` is the content of a message with a code."""

    server: Annotated[str, Field(pattern=r"^$|^.+:\d{1,5}$")] = ""
    sender: str = "login@simulator.invalid"
    template: Literal["code", "without_code", "link"] = "code"


class BruteForce(_Part):
    """Brute-force protection per IP and identifier."""

    enabled: bool = True
    failures: Annotated[int, Field(ge=1, le=100)] = 10
    block_s: Positive = 30 * 86_400.0


class OpenPoints(_Part):
    """Points on which the sources are silent or contradict each other; each has a strict and a lenient value."""

    unknown_properties: Literal["refuse", "ignore"] = "refuse"
    missing_send: Literal["link", "refuse"] = "link"
    start_client_authentication: Literal["required", "optional"] = "required"
    bad_credentials_error: Literal["invalid_client", "access_denied"] = "invalid_client"
    two_credentials: Literal["accept", "refuse"] = "accept"
    assertion_audience: Literal["with_slash", "lenient"] = "with_slash"
    assertion_replay: Literal["refuse", "accept"] = "refuse"
    mtls_on_start: Literal["refuse", "accept"] = "refuse"
    forwarded_for: Literal["secret_only", "any_authentication"] = "secret_only"
    identifiers: Literal["folded", "exact"] = "folded"
    spent_code_status: Literal[400, 401, 403] = 403
    spent_code_text: Literal["distinct", "uniform"] = "distinct"
    tries: Literal["per_code", "across_resends"] = "per_code"
    limited_requests_spend_tries: bool = False
    blocked_user_start: Literal["accept", "refuse"] = "accept"
    blocked_user_login: Literal["unauthorized", "access_denied"] = "unauthorized"
    magic_link_session: Literal["required", "optional"] = "required"
    default_scope: str = "openid profile email address phone"
    scope_member: Literal["when_different", "always"] = "when_different"
    audience: Literal["any", "registered"] = "any"
    bearer_spelling: Literal["Bearer", "bearer"] = "Bearer"
    start_status: Literal[200, 201, 204] = 200
    start_body: Literal["document", "empty_object", "empty"] = "document"
    request_language: Literal["present", "absent"] = "present"
    captcha: Literal["never", "always"] = "never"


def _default_connections() -> list[Connection]:
    return [Connection(name="email", strategy="email"), Connection(name="sms", strategy="sms")]


def _default_clients() -> list[Client]:
    return [
        Client(client_id=DEV_CLIENT_ID, client_secret=SecretStr(DEV_CLIENT_SECRET), trust_forwarded_for=True),
        Client(client_id=ASSERTION_CLIENT_ID, method="private_key_jwt"),
        Client(client_id=MTLS_CLIENT_ID, method="mtls", certificate_common_name=MTLS_CLIENT_ID),
        Client(client_id=PUBLIC_CLIENT_ID, method="none"),
    ]


class SimulatorSettings(BaseSettings):
    """The simulated tenant. Environment: `GATEPOST_SIMULATOR_QUOTA__PLAN=free` and so on."""

    model_config = SettingsConfigDict(env_prefix=_PREFIX, env_nested_delimiter=_NESTED, extra="forbid", frozen=True)

    domain: str = ""
    quota: Quota = Quota()
    connections: list[Connection] = Field(default_factory=_default_connections)
    clients: list[Client] = Field(default_factory=_default_clients)
    more_clients: list[Client] = []
    apis: list[Api] = []
    organizations: list[Organization] = []
    providers: Providers = Providers()
    smtp: Smtp = Smtp()
    brute_force: BruteForce = BruteForce()
    open_points: OpenPoints = OpenPoints()
    disabled_endpoints: list[str] = []
    allowed_origins: list[str] = ["*"]
    edge_api_key: SecretStr | None = None
    access_token_lifetime_s: Positive = 86_400.0
    id_token_lifetime_s: Positive = 36_000.0
    slow_s: NotNegative = 2.0
    outbox_details: Annotated[int, Field(ge=1)] = 100_000
    request_log_size: Annotated[int, Field(ge=1)] = 10_000

    def __init__(self, **given: Any) -> None:
        """Take values, and the environment for the others.

        Raises:
            ValueError: A value is not valid, or a name is not known, also of a variable.
        """
        _refuse_unknown_variables()
        super().__init__(**given)

    @classmethod
    def load(cls, config: Path | None = None, **flags: Any) -> SimulatorSettings:
        """Read the settings: flags win over the environment, the environment over the file.

        Args:
            config: A `.json` or `.toml` file, or None.
            **flags: Values from the command line; None means not given.

        Raises:
            ValueError: A value is not valid, a name is not known, or the file's suffix is not.
            FileNotFoundError: There is no such file.
        """
        given = {name: value for name, value in flags.items() if value is not None}
        if config is None:
            return cls(**given)
        if not config.is_file():
            raise FileNotFoundError(f"No configuration file at {config}")
        return _reader_of(config)(**given)


def _refuse_unknown_variables() -> None:
    # The environment's reader of pydantic-settings ignores names that it does not know.
    for variable in sorted(os.environ):
        name = variable.upper().removeprefix(_PREFIX)
        field = name.split(_NESTED)[0].lower()
        if variable.upper().startswith(_PREFIX) and field not in SimulatorSettings.model_fields:
            raise ValueError(
                f"unknown setting {variable}; correct or unset it (docs/reference/simulator-settings.md lists the settings)"
            )


def _reader_of(config: Path) -> type[SimulatorSettings]:
    sources = {".json": JsonConfigSettingsSource, ".toml": TomlConfigSettingsSource}
    if config.suffix not in sources:
        raise ValueError(f"A configuration file ends in .json or .toml, not {config.suffix!r}")

    class FromFile(SimulatorSettings):
        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            init_settings: PydanticBaseSettingsSource,
            env_settings: PydanticBaseSettingsSource,
            *_: Any,
            **__: Any,
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            return init_settings, env_settings, sources[config.suffix](settings_cls, config)

    return FromFile


def plan_buckets(quota: Quota) -> tuple[BucketSize, dict[str, BucketSize]]:
    """Return the tenant's bucket and the endpoints' buckets that a quota asks for."""
    tenant, endpoints = _PLANS[quota.plan]
    return quota.tenant or tenant, {**endpoints, **quota.endpoints}


_PLANS: dict[str, tuple[BucketSize, dict[str, BucketSize]]] = {
    "free": (
        BucketSize(size=300, refill=300, period_s=60),
        {
            "/oauth/token": BucketSize(size=30, refill=30),
            "/.well-known/jwks.json": BucketSize(size=20, refill=20),
        },
    ),
    "essentials": (BucketSize(size=25, refill=25), {}),
    "professional": (BucketSize(size=25, refill=25), {}),
    "enterprise": (BucketSize(size=100, refill=100), {}),
    "unlimited": (BucketSize(size=1_000_000, refill=1_000_000), {}),
}
