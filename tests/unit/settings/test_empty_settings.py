"""An empty setting means the same as one that is not set."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import SecretStr

from gatepost.errors import ConfigurationError
from gatepost_core.settings import Settings, load_settings
from gatepost_core.settings.probe import ProbeSettings
from gatepost_core.settings.secret_sources import Configuration, variables_of
from gatepost_core.settings.tenants import Tenant
from gatepost_operations.probing.configuration import load_probe_settings
from gatepost_operations.web.console.security.settings import (
    ConsoleSettings,
    console_environment_names,
    load_console_settings,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

LOADERS: dict[type[Configuration], Callable[..., Configuration]] = {
    Settings: load_settings,
    ProbeSettings: load_probe_settings,
    ConsoleSettings: load_console_settings,
}
VARIABLES = [
    *((Settings, name) for name in variables_of(Settings) if name != "GATEPOST_REDIS_URL"),
    *((ProbeSettings, name) for name in variables_of(ProbeSettings)),
    *((ConsoleSettings, name) for name in console_environment_names()),
]
IN_TABLES = [
    *((Settings, field) for field in Settings.model_fields if field != "redis_url"),
    *((ProbeSettings, field) for field in ProbeSettings.model_fields),
]
CREDENTIAL = {"domain": "acme.eu.auth0.com", "client_id": "client", "client_secret": "hush"}


@pytest.mark.parametrize(("kind", "name"), VARIABLES)
def test_an_empty_value_in_any_source_means_the_default(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kind: type[Configuration], name: str
) -> None:
    """In the environment, in `.env`, in a file with the value, and as the output of a command."""
    (tmp_path / "empty").write_text("\n")
    (tmp_path / ".env").write_text(f"{name}=\n")
    (tmp_path / ".env-file").write_text(f"{name}_FILE={tmp_path / 'empty'}\n{name}_COMMAND=\n")
    load = LOADERS[kind]
    usual = load()

    found = [load(env_file=str(tmp_path / ".env")), load(env_file=str(tmp_path / ".env-file"))]
    for variable, value in ((name, ""), (f"{name}_FILE", str(tmp_path / "empty")), (f"{name}_COMMAND", "echo")):
        with monkeypatch.context() as changed:
            changed.setenv(variable, value)
            found.append(load())

    assert found == [usual] * 5


@pytest.mark.parametrize(("kind", "field"), IN_TABLES)
def test_an_empty_value_in_the_configuration_file_or_an_argument_means_the_default(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kind: type[Configuration], field: str
) -> None:
    """Every setting of the file has a default or is optional."""
    load = LOADERS[kind]
    usual = load()
    given = load(**{field: ""})
    (tmp_path / "gatepost.toml").write_text(f'{field} = ""\n')
    monkeypatch.setenv("GATEPOST_CONFIG", str(tmp_path / "gatepost.toml"))

    assert given == usual
    assert load() == usual


@pytest.mark.parametrize("name", sorted(Tenant.model_fields.keys() - {"domain", "client_id", "client_secret"}))
def test_an_empty_value_in_a_tenants_table_means_the_default(name: str) -> None:
    """Only a domain, a client id and a credential are required."""
    assert Tenant(**{**CREDENTIAL, name: ""}) == Tenant(**CREDENTIAL)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("domain", "GATEPOST_TENANTS.0.DOMAIN: Field required"),
        ("client_id", "GATEPOST_TENANTS.0.CLIENT_ID: Field required"),
        ("client_secret", "GATEPOST_TENANTS.0: give a client secret, a signing key, or a client certificate"),
    ],
)
def test_an_empty_value_that_is_required_is_named(monkeypatch: pytest.MonkeyPatch, name: str, message: str) -> None:
    """The error is the one for a value that is not set."""
    monkeypatch.setenv("GATEPOST_TENANTS", json.dumps([{**CREDENTIAL, name: ""}]))

    with pytest.raises(ConfigurationError) as own:
        load_settings()

    assert str(own.value) == message


@pytest.mark.parametrize(
    ("name", "use"),
    [
        ("AUTH0_DOMAIN", lambda: load_settings().all_tenants()),
        ("AUTH0_CLIENT_ID", lambda: load_settings().all_tenants()),
        ("GATEPOST_FINGERPRINT_KEY", lambda: load_settings().fingerprints()),
        ("GATEPOST_SEALING_KEYS", lambda: load_settings().keyring()),
    ],
)
def test_an_empty_variable_is_named_where_its_value_is_needed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, use: Callable[[], Any]
) -> None:
    """A file that is empty makes no key: with an empty key, anyone could compute the fingerprints."""
    (tmp_path / "empty").write_text("")
    for part in ("domain", "client_id", "client_secret"):
        monkeypatch.setenv(f"AUTH0_{part.upper()}", CREDENTIAL[part])
    monkeypatch.setenv(name, "")
    monkeypatch.setenv(f"{name}_FILE", str(tmp_path / "empty"))

    with pytest.raises(ConfigurationError, match=name):
        use()


def test_an_empty_url_of_redis_is_refused_in_every_source(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An empty URL never selects the Redis of this machine by mistake."""
    (tmp_path / "empty").write_text("")
    (tmp_path / ".env").write_text("GATEPOST_REDIS_URL=\n")
    (tmp_path / "gatepost.toml").write_text('redis_url = ""\n')
    sources = {
        "GATEPOST_REDIS_URL": "",
        "GATEPOST_REDIS_URL_FILE": str(tmp_path / "empty"),
        "GATEPOST_REDIS_URL_COMMAND": "echo",
        "GATEPOST_CONFIG": str(tmp_path / "gatepost.toml"),
    }

    with pytest.raises(ConfigurationError, match=r"^GATEPOST_REDIS_URL: "):
        load_settings(env_file=str(tmp_path / ".env"))
    for variable, value in sources.items():
        with monkeypatch.context() as changed:
            changed.setenv(variable, value)
            with pytest.raises(ConfigurationError, match=r"^GATEPOST_REDIS_URL: "):
                load_settings()


def test_an_empty_value_leaves_the_next_source(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The first source that has a value wins, and an empty one has none."""
    (tmp_path / "proxy").write_text("http://proxy.example:3128\n")
    monkeypatch.setenv("AUTH0_PROXY", "")
    monkeypatch.setenv("AUTH0_PROXY_FILE", str(tmp_path / "proxy"))

    assert load_settings().auth0_proxy == SecretStr("http://proxy.example:3128")


@pytest.mark.parametrize("name", ["AUTH0_HEADERS", "AUTH0_CLIENT_INFO", "GATEPOST_TENANTS"])
@pytest.mark.parametrize("value", ["{", "[" * 20_000])
def test_the_error_for_malformed_json_names_its_own_setting(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    """Each of the settings in JSON is blamed for its own value only."""
    monkeypatch.setenv(name, value)

    with pytest.raises(ConfigurationError) as own:
        load_settings()

    assert str(own.value) == f"{name}: must be JSON, as docs/reference/settings.md shows"
