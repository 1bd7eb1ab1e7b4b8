"""Every setting can be in a file, or be the output of a command, whatever the type of its value."""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING, Any, Final

import pytest

from gatepost_core.settings import Settings, load_settings
from gatepost_core.settings.probe import ProbeSettings
from gatepost_core.settings.secret_sources import Configuration, variables_of
from gatepost_operations.probing.configuration import load_probe_settings
from gatepost_operations.web.console.security.settings import (
    ConsoleSettings,
    console_environment_names,
    load_console_settings,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

LOADERS: Final[dict[type[Configuration], Callable[..., Configuration]]] = {
    Settings: load_settings,
    ProbeSettings: load_probe_settings,
    ConsoleSettings: load_console_settings,
}
NAMES: Final = {
    Settings: list(variables_of(Settings)),
    ProbeSettings: list(variables_of(ProbeSettings)),
    ConsoleSettings: console_environment_names(),
}
TENANT: Final = {"name": "acme", "domain": "acme.eu.auth0.com", "client_id": "client", "client_secret": "hush"}
VALUES: Final = {
    "AUTH0_HEADERS": '{"cname-api-key": "hush"}',
    "AUTH0_CLIENT_INFO": '{"name": "shop", "version": "1.4"}',
    "GATEPOST_TENANTS": json.dumps([TENANT]),
    "GATEPOST_REDIS_URL": "redis://redis.example:6379/1",
    "GATEPOST_BROKER_URL": "amqp://broker.example",
    "GATEPOST_SUBMISSIONS": "sealed",
    "GATEPOST_LOG_FORMAT": "console",
    "GATEPOST_LOG_LEVEL": "DEBUG",
    "GATEPOST_WEBHOOK_RETENTION": "3601",
    "AUTH0_BASE_URL": "https://login.example",
    "AUTH0_MTLS_BASE_URL": "https://mtls.example",
    "GATEPOST_PROBE_ADDRESS": "probe@example.com",
    "GATEPOST_PROBE_USED_MESSAGES": "mark",
    "GATEPOST_PROBE_CODE_PATTERN": "[0-9]{8}",
    "GATEPOST_CONSOLE_URL": "https://console.example",
    "GATEPOST_CONSOLE_PROXIES": "10.0.0.7,10.1.0.0/16",
    "GATEPOST_CONSOLE_OIDC_ISSUER": "https://id.example",
}
COMPANIONS: Final = {
    "GATEPOST_CONSOLE_OIDC_ISSUER": {
        "GATEPOST_CONSOLE_OIDC_CLIENT_ID": "console",
        "GATEPOST_CONSOLE_OIDC_CLIENT_SECRET": "hush",
        "GATEPOST_CONSOLE_OIDC_ADMIN": "platform",
    }
}


def value_for(kind: type[Configuration], name: str) -> str:
    """Return a valid value that is not the default."""
    if name in VALUES:
        return VALUES[name]
    fields = {str(field.validation_alias or name_of(kind, key)): field for key, field in kind.model_fields.items()}
    default: Any = fields[name].default
    if isinstance(default, bool):
        return "0" if default else "1"
    if name.endswith("_PORT"):
        return "8793"
    if isinstance(default, int | float):
        return str(int(default) + 1)
    if name in {"GATEPOST_FINGERPRINT_KEY", "GATEPOST_WEB_API_KEY"}:
        return "other" * 7
    return "9" if name == "AUTH0_MAX_RATE" else "other"


def name_of(kind: type[Configuration], field: str) -> str:
    """Return the variable of a field."""
    return f"{kind.model_config.get('env_prefix', '')}{field}".upper()


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind, names in NAMES.items() for name in names])
def test_a_value_is_the_same_from_every_source(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kind: type[Configuration], name: str
) -> None:
    """A value in the environment, the output of a command, and a file that the environment or `.env` names."""
    load, value, path = LOADERS[kind], value_for(kind, name), tmp_path / "value"
    path.write_text(f"{value}\n")
    for companion, text in COMPANIONS.get(name, {}).items():
        monkeypatch.setenv(companion, text)
    monkeypatch.delenv(name, raising=False)
    usual = load()
    forms = {name: value, f"{name}_FILE": str(path), f"{name}_COMMAND": f"cat {shlex.quote(str(path))}"}

    found = []
    for variable, text in forms.items():
        with monkeypatch.context() as changed:
            changed.setenv(variable, text)
            found.append(load())
    (tmp_path / ".env").write_text(f"{name}_FILE={path}\n")
    found.append(load(env_file=str(tmp_path / ".env")))

    assert found[0] != usual
    assert found == [found[0]] * 4
