"""The configuration: its sources, their order, and errors without values."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr

from gatepost.errors import ConfigurationError
from gatepost_core.sealing import Key
from gatepost_core.settings import load_settings

if TYPE_CHECKING:
    from pathlib import Path

SECRET = "hush-hush-41"


@pytest.fixture
def tenant_environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.setenv("AUTH0_DOMAIN", "acme.eu.auth0.com")
    monkeypatch.setenv("AUTH0_CLIENT_ID", "client")
    return monkeypatch


def test_the_deploy_clis_names_make_the_default_tenant(tenant_environment: pytest.MonkeyPatch) -> None:
    """AUTH0_DOMAIN, AUTH0_CLIENT_ID and AUTH0_CLIENT_SECRET are enough."""
    tenant_environment.setenv("AUTH0_CLIENT_SECRET", SECRET)

    tenant = load_settings().tenant_named(None)

    assert (tenant.name, tenant.domain, tenant.client_id) == ("default", "acme.eu.auth0.com", "client")
    assert tenant.client_secret is not None
    assert tenant.client_secret.get_secret_value() == SECRET


def test_a_secret_may_stand_in_a_file_or_come_from_a_command(
    tenant_environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """NAME_FILE and NAME_COMMAND keep it out of the environment."""
    (tmp_path / "secret").write_text(f"{SECRET}\n")
    tenant_environment.setenv("AUTH0_CLIENT_SECRET_FILE", str(tmp_path / "secret"))
    tenant_environment.setenv("GATEPOST_FINGERPRINT_KEY_COMMAND", "echo from-a-command-that-makes-long-keys")

    settings = load_settings()

    secret, key = settings.tenant_named(None).client_secret, settings.fingerprint_key
    assert secret is not None
    assert secret.get_secret_value() == SECRET
    assert key is not None
    assert key.get_secret_value() == "from-a-command-that-makes-long-keys"


def test_an_env_file_may_name_files_and_commands_too(tenant_environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The environment is stronger, and `.env` is stronger than the files and commands it names."""
    (tmp_path / "secret").write_text(f"{SECRET}\n")
    lines = (
        f"AUTH0_CLIENT_SECRET_FILE={tmp_path / 'secret'}",
        "gatepost_fingerprint_key_command=echo from-a-command-that-makes-long-keys",
        "GATEPOST_MAX_ATTEMPTS=3",
        "GATEPOST_MAX_ATTEMPTS_COMMAND=echo 4",
    )
    (tmp_path / ".env").write_text("\n".join(lines))

    settings = load_settings(env_file=str(tmp_path / ".env"))
    tenant_environment.setenv("AUTH0_CLIENT_SECRET", "stronger")
    stronger = load_settings(env_file=str(tmp_path / ".env"))

    assert settings.tenant_named(None).client_secret == SecretStr(SECRET)
    assert settings.fingerprint_key == SecretStr("from-a-command-that-makes-long-keys")
    assert settings.max_attempts == 3
    assert stronger.tenant_named(None).client_secret == SecretStr("stronger")


@pytest.mark.parametrize(
    ("name", "command"),
    [("GATEPOST_FINGERPRINT_KEY", "gatepost keys new"), ("GATEPOST_WEB_API_KEY", "openssl rand -hex 32")],
)
def test_a_short_key_is_refused_with_the_command_that_makes_one(
    tenant_environment: pytest.MonkeyPatch, name: str, command: str
) -> None:
    """Logs have digests under these keys, from which a short key could be guessed. The error does not repeat it."""
    tenant_environment.setenv(name, (SECRET * 4)[:31])
    with pytest.raises(ConfigurationError) as refused:
        load_settings()
    tenant_environment.setenv(name, (SECRET * 4)[:32])
    load_settings()

    assert str(refused.value) == f"{name}: must have at least 32 characters; make one with: {command}"
    assert SECRET not in repr(refused.value)


def test_the_names_of_files_and_commands_may_be_in_any_case(tenant_environment: pytest.MonkeyPatch) -> None:
    """As the names of the settings may be."""
    tenant_environment.setenv("gatepost_fingerprint_key_command", "echo from-a-command-that-makes-long-keys")

    assert load_settings().fingerprint_key == SecretStr("from-a-command-that-makes-long-keys")


def test_a_signing_key_is_read_from_its_path(tenant_environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """AUTH0_CLIENT_SIGNING_KEY_PATH is the deploy CLI's name."""
    (tmp_path / "key.pem").write_text("PEM")
    tenant_environment.setenv("AUTH0_CLIENT_SIGNING_KEY_PATH", str(tmp_path / "key.pem"))

    key = load_settings().tenant_named(None).client_assertion_signing_key

    assert key is not None
    assert key.get_secret_value() == "PEM"


def test_a_missing_file_is_named_by_its_variable(tenant_environment: pytest.MonkeyPatch) -> None:
    """The error names the variable to correct."""
    tenant_environment.setenv("AUTH0_CLIENT_SECRET_FILE", "/nowhere/secret")

    with pytest.raises(ConfigurationError, match="AUTH0_CLIENT_SECRET_FILE"):
        load_settings()


def test_several_tenants_stand_in_a_file_and_the_environments_is_the_first(
    tenant_environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The first is the default; the others are named."""
    tenant_environment.setenv("AUTH0_CLIENT_SECRET", SECRET)
    (tmp_path / "secret").write_text("other")
    (tmp_path / "gatepost.toml").write_text(
        f"""
        max_attempts = 3
        [[tenants]]
        name = "globex"
        domain = "globex.us.auth0.com"
        client_id = "g"
        client_secret_file = "{tmp_path / "secret"}"
        [[tenants]]
        name = "initech"
        domain = "initech.us.auth0.com"
        client_id = "i"
        client_secret = "x"
        """
    )
    tenant_environment.setenv("GATEPOST_CONFIG", str(tmp_path / "gatepost.toml"))

    settings = load_settings()

    assert list(settings.all_tenants()) == ["default", "globex", "initech"]
    assert settings.max_attempts == 3
    secret = settings.tenant_named("globex").client_secret
    assert secret is not None
    assert secret.get_secret_value() == "other"


def test_the_environment_beats_the_dotenv_file_and_that_beats_the_configuration_file(
    tenant_environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """In the order of the command line's conventions."""
    (tmp_path / "gatepost.toml").write_text("max_attempts = 2\nconcurrency = 2\nconnect_timeout = 2")
    (tmp_path / ".env").write_text("GATEPOST_MAX_ATTEMPTS=3\nGATEPOST_CONCURRENCY=3\n")
    tenant_environment.setenv("GATEPOST_CONFIG", str(tmp_path / "gatepost.toml"))
    tenant_environment.setenv("GATEPOST_CONCURRENCY", "4")

    settings = load_settings(env_file=str(tmp_path / ".env"))

    assert (settings.concurrency, settings.max_attempts, settings.connect_timeout) == (4, 3, 2.0)


def test_an_unknown_tenant_is_an_error_that_lists_the_known(tenant_environment: pytest.MonkeyPatch) -> None:
    """A typing error is found at the producer, not in a worker."""
    tenant_environment.setenv("AUTH0_CLIENT_SECRET", SECRET)

    with pytest.raises(ConfigurationError, match=r"acme.*configured are: default"):
        load_settings().tenant_named("acme")


def test_a_producer_needs_no_credential_to_name_a_tenant(monkeypatch: pytest.MonkeyPatch) -> None:
    """A producer calls no tenant, but it uses the tenants that are configured."""
    assert (load_settings().tenant_name(None), load_settings().tenant_name("acme")) == ("default", "acme")

    monkeypatch.setenv("AUTH0_DOMAIN", "acme.eu.auth0.com")
    assert load_settings().tenant_name(None) == "default"
    with pytest.raises(ConfigurationError, match=r"acme.*configured are: default"):
        load_settings().tenant_name("acme")


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("GATEPOST_MAX_ATTEMPTS", SECRET, "GATEPOST_MAX_ATTEMPTS"),
        ("GATEPOST_SEALING_KEYS", SECRET, "sealing key"),
        ("AUTH0_DOMAIN", f"https://{SECRET}/", "AUTH0_DOMAIN"),
    ],
)
def test_a_malformed_setting_is_named_and_not_shown(
    tenant_environment: pytest.MonkeyPatch, name: str, value: str, says: str
) -> None:
    """Values of settings can be secrets."""
    tenant_environment.setenv("AUTH0_CLIENT_SECRET", SECRET)
    tenant_environment.setenv(name, value)

    def use_all() -> None:
        settings = load_settings()
        settings.all_tenants()
        settings.keyring()

    with pytest.raises(ConfigurationError, match=says) as caught:
        use_all()

    assert SECRET not in str(caught.value)


def test_nothing_secret_is_printed(tenant_environment: pytest.MonkeyPatch) -> None:
    """Settings end up in logs and in error reports."""
    key = Key.new("k")
    tenant_environment.setenv("AUTH0_CLIENT_SECRET", SECRET)
    tenant_environment.setenv("GATEPOST_SEALING_KEYS", key.reveal())
    tenant_environment.setenv("GATEPOST_FINGERPRINT_KEY", SECRET * 4)
    tenant_environment.setenv("GATEPOST_REDIS_URL", f"redis://:{SECRET}@localhost/0")

    settings = load_settings()
    shown = f"{settings!r} {settings} {settings.all_tenants()} {settings.keyring()} {settings.fingerprints()}"

    assert SECRET not in shown
    assert key.reveal().split(":")[1] not in shown


def test_mtls_needs_its_certificate_and_key(tenant_environment: pytest.MonkeyPatch) -> None:
    """Otherwise the first login would find out."""
    tenant_environment.setenv("AUTH0_USE_MTLS", "true")

    with pytest.raises(ConfigurationError, match="mtls_certificate and mtls_key"):
        load_settings().all_tenants()


def test_a_tenant_without_a_credential_is_refused(tenant_environment: pytest.MonkeyPatch) -> None:
    """A public client cannot start passwordless sends from a server."""
    with pytest.raises(ConfigurationError, match="client secret"):
        load_settings().all_tenants()


@pytest.mark.parametrize("who", ["ines\x1b]0;spoofed\x07", "ines\n7 deploy", "x" * 201])
def test_an_operators_name_that_cannot_be_shown_is_refused(monkeypatch: pytest.MonkeyPatch, who: str) -> None:
    """Every entry of the audit log contains it."""
    monkeypatch.setenv("GATEPOST_OPERATOR", who)

    with pytest.raises(ConfigurationError, match=r"^GATEPOST_OPERATOR: ") as refusal:
        load_settings()
    assert str(refusal.value).isprintable()
