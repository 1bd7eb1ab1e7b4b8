"""The settings of the console, `GATEPOST_CONSOLE_…`."""

from __future__ import annotations

import os
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import DotEnvSettingsSource, NoDecode, SettingsConfigDict

from gatepost_core.errors import ConfigurationError
from gatepost_core.settings.known_names import refuse_unknown_variables
from gatepost_core.settings.secret_sources import Configuration
from gatepost_operations.web.console.security.loopback import is_loopback
from gatepost_operations.web.console.security.operators import Level

_PREFIX: Final = "GATEPOST_CONSOLE_"
_LIST: Final = NoDecode
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


class ConsoleSettings(Configuration):
    """The console's configuration. `load_console_settings` reads it."""

    model_config = SettingsConfigDict(env_prefix=_PREFIX)
    in_config_file: ClassVar[bool] = False

    url: str | None = Field(default=None, description="The URL under which browsers reach the console.")
    proxies: Annotated[tuple[str, ...], _LIST] = Field(
        default=(), description="Addresses or networks of the proxies whose X-Forwarded-For is trusted."
    )
    users: Path | None = Field(default=None, description="The file of local accounts.")
    session_idle: Annotated[int, Field(ge=60, le=86_400)] = 1800
    session_lifetime: Annotated[int, Field(ge=300, le=604_800)] = 43_200
    oidc_issuer: str | None = None
    oidc_client_id: str | None = None
    oidc_client_secret: SecretStr | None = None
    oidc_ca_bundle: Path | None = None
    oidc_scopes: str = "openid profile email"
    oidc_name_claim: str = "email"
    oidc_role_claim: str = "roles"
    oidc_read_only: Annotated[tuple[str, ...], _LIST] = ()
    oidc_operator: Annotated[tuple[str, ...], _LIST] = ()
    oidc_admin: Annotated[tuple[str, ...], _LIST] = ()

    @field_validator("proxies", "oidc_read_only", "oidc_operator", "oidc_admin", mode="before")
    @classmethod
    def _by_comma(cls, value: Any) -> Any:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @field_validator("url")
    @classmethod
    def _is_an_origin(cls, value: str | None) -> str | None:
        return None if value is None else _origin(value)

    @field_validator("oidc_issuer")
    @classmethod
    def _is_encrypted(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith("https://") and not is_loopback(urlsplit(value).hostname or ""):
            raise ValueError("must begin with https://; only this machine may use http://")
        return value

    @field_validator("proxies")
    @classmethod
    def _are_addresses(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for one in value:
            try:
                ip_network(one)
            except ValueError:
                raise ValueError("must be addresses or networks, such as 10.0.0.7 or 10.0.0.0/24") from None
        return value

    @model_validator(mode="after")
    def _is_complete(self) -> ConsoleSettings:
        if self.oidc_issuer is not None:
            if self.oidc_client_id is None or self.oidc_client_secret is None:
                raise ValueError(
                    "OIDC_CLIENT_ID and OIDC_CLIENT_SECRET_FILE must be set with OIDC_ISSUER, and the file must not be empty"
                )
            if not self.roles():
                raise ValueError("one of OIDC_READ_ONLY, OIDC_OPERATOR and OIDC_ADMIN must be set with OIDC_ISSUER")
            if "openid" not in self.oidc_scopes.split():
                raise ValueError("OIDC_SCOPES must contain openid")
        return self

    @property
    def accounts_file(self) -> Path:
        """The file of local accounts: the configured one, or the one in the user's configuration directory."""
        if self.users is not None:
            return self.users.expanduser()
        directory = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
        return Path(directory) / "gatepost" / "console-users"

    @property
    def has_accounts(self) -> bool:
        """Whether local accounts can sign in: a file is configured, or the default one exists."""
        return self.users is not None or self.accounts_file.exists()

    def roles(self) -> dict[str, Level]:
        """Return the access level of each value of the role claim; the highest if a value is listed twice."""
        lists = (self.oidc_read_only, self.oidc_operator, self.oidc_admin)
        return {value: level for level, values in zip(Level, lists, strict=True) for value in values}


def load_console_settings(*, env_file: str | None = None, **given: Any) -> ConsoleSettings:
    """Read the console's configuration.

    Args:
        env_file: a `.env` file to read too.
        given: settings by field name.

    Raises:
        ConfigurationError: a setting is malformed, missing or does not exist. The message names it, never its value.
    """
    in_env_file = DotEnvSettingsSource(ConsoleSettings, env_file=env_file).env_vars if env_file else {}
    for source, present in (("the environment", os.environ), (str(env_file), in_env_file)):
        own = [name for name in present if name.upper().startswith(_PREFIX)]
        refuse_unknown_variables(own, console_environment_names(), source=source)
    try:
        return ConsoleSettings(_env_file=env_file, **given)
    except ValidationError as failure:
        problems = [
            f"{_PREFIX}{'.'.join(map(str, one['loc'])).upper()}: {one['msg'].removeprefix('Value error, ')}"
            for one in failure.errors(include_url=False, include_context=False, include_input=False)
        ]
    raise ConfigurationError("; ".join(problems).replace(f"{_PREFIX}: ", _PREFIX))


def console_environment_names() -> list[str]:
    """Return the names of the console's environment variables."""
    return [f"{_PREFIX}{name.upper()}" for name in ConsoleSettings.model_fields]


def check_listening(settings: ConsoleSettings, host: str) -> None:
    """Check that the console may listen on an address, and that someone can sign in.

    Args:
        settings: the configuration.
        host: the address to listen on.

    Raises:
        ConfigurationError: other machines could reach the console, but no proxy with TLS is configured; or no way to sign in is.
    """
    if not settings.has_accounts and settings.oidc_issuer is None:
        raise ConfigurationError(
            "no one can sign in to the console; add a local account: gatepost console-users add NAME; or set "
            "GATEPOST_CONSOLE_OIDC_ISSUER"
        )
    if not is_loopback(host) and not ((settings.url or "").startswith("https://") and settings.proxies):
        raise ConfigurationError(
            f"--host {host}: other machines could reach the console without TLS. Listen on 127.0.0.1; or put a proxy with TLS in "
            "front, and set GATEPOST_CONSOLE_URL=https://… and GATEPOST_CONSOLE_PROXIES to the proxy's address"
        )


def _origin(url: str) -> str:
    try:
        parts = urlsplit(url.strip())
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
        parts = urlsplit("")
    if parts.scheme not in _DEFAULT_PORTS or not host or parts.path.strip("/") or parts.query or parts.username:
        raise ValueError("must be https://HOST or https://HOST:PORT, without a path")
    if parts.scheme == "http" and not is_loopback(host):
        raise ValueError("must begin with https://; only this machine may use http://")
    shown = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{shown}{'' if port in {None, _DEFAULT_PORTS[parts.scheme]} else f':{port}'}"
