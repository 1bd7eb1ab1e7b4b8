"""Settings that are read again after a file has changed."""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING

import pytest

from gatepost_core.errors import ConfigurationError
from gatepost_core.settings import Settings, load_settings
from gatepost_core.settings.read_again import SettingsFiles

if TYPE_CHECKING:
    from pathlib import Path

REPLACED = "the second secret"


@pytest.fixture
def secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of the client secret."""
    path = tmp_path / "secret"
    path.write_text("the first secret\n", encoding="utf-8")
    monkeypatch.setenv("AUTH0_DOMAIN", "tenant.example")
    monkeypatch.setenv("AUTH0_CLIENT_ID", "client")
    monkeypatch.setenv("AUTH0_CLIENT_SECRET_FILE", str(path))
    return path


def made() -> SettingsFiles:
    return SettingsFiles(load_settings)


def secret_of(files: SettingsFiles, tenant: str = "default") -> str:
    found = files.settings.all_tenants()[tenant].client_secret
    return found.get_secret_value() if found else ""


def looked_twice(files: SettingsFiles) -> bool:
    return files.changed() is not None or files.changed() is not None


def test_a_changed_file_is_read_at_the_second_look(secret: Path) -> None:
    """At the first look it may be half written."""
    files = made()
    secret.write_text(REPLACED, encoding="utf-8")

    assert files.changed() is None
    assert files.changed() is not None
    assert secret_of(files) == REPLACED
    assert files.changed() is None


def test_a_file_that_still_changes_is_not_read(secret: Path) -> None:
    """Only two looks at the same version show that the writer is done."""
    files = made()
    secret.write_text("half", encoding="utf-8")
    files.changed()
    secret.write_text("half of", encoding="utf-8")

    assert files.changed() is None
    assert secret_of(files) == "the first secret"


def test_after_a_refusal_a_changed_file_is_read_at_once(secret: Path) -> None:
    """The credential in use is worth nothing any more."""
    files = made()
    secret.write_text(REPLACED, encoding="utf-8")

    assert files.changed(at_once=True) is not None
    assert secret_of(files) == REPLACED


@pytest.mark.parametrize("content", [b"", b"\n", b"\xff\xfe"])
def test_an_empty_or_unreadable_file_keeps_the_earlier_secret(secret: Path, content: bytes) -> None:
    """A file that is being written is empty first; the error comes once, and the next version is read."""
    files = made()
    secret.write_bytes(content)
    files.changed()
    with pytest.raises(ConfigurationError):
        files.changed()

    assert files.changed() is None
    assert secret_of(files) == "the first secret"
    secret.write_text(REPLACED, encoding="utf-8")
    assert looked_twice(files)


def test_a_file_that_goes_away_keeps_the_earlier_secret(secret: Path) -> None:
    """An editor may remove it for a moment."""
    files = made()
    secret.unlink()
    files.changed()
    with pytest.raises(ConfigurationError, match="AUTH0_CLIENT_SECRET_FILE"):
        files.changed()

    assert secret_of(files) == "the first secret"


def test_a_mounted_secret_of_kubernetes_is_read_again(
    secret: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kubernetes swaps a link to a directory; the path of the file, its size and even its time may stay the same."""
    mount = tmp_path / "mount"
    for version, text in (("..1", "aaaa"), ("..2", "bbbb")):
        (mount / version).mkdir(parents=True)
        (mount / version / "secret").write_text(text, encoding="utf-8")
        os.utime(mount / version / "secret", (1, 1))
    (mount / "..data").symlink_to("..1")
    (mount / "secret").symlink_to("..data/secret")
    monkeypatch.setenv("AUTH0_CLIENT_SECRET_FILE", str(mount / "secret"))
    files = made()
    (mount / "..data_tmp").symlink_to("..2")
    (mount / "..data_tmp").replace(mount / "..data")

    assert secret.exists()
    assert looked_twice(files)
    assert secret_of(files) == "bbbb"


def test_the_secrets_of_tenants_in_the_configuration_file_are_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each tenant's table may name a file."""
    path, configuration = tmp_path / "secret", tmp_path / "gatepost.toml"
    path.write_text("the first secret", encoding="utf-8")
    tenant = f'name = "shop"\ndomain = "shop.example"\nclient_id = "client"\nclient_secret_file = "{path}"\n'
    configuration.write_text(f"[[tenants]]\n{tenant}", encoding="utf-8")
    monkeypatch.setenv("GATEPOST_CONFIG", str(configuration))
    files = made()
    path.write_text(REPLACED, encoding="utf-8")

    assert looked_twice(files)
    assert secret_of(files, "shop") == REPLACED


def test_a_secret_in_the_configuration_file_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file itself is looked at too."""
    configuration = tmp_path / "gatepost.toml"
    table = '[[tenants]]\nname = "shop"\ndomain = "shop.example"\nclient_id = "client"\nclient_secret = "{}"\n'
    configuration.write_text(table.format("the first secret"), encoding="utf-8")
    monkeypatch.setenv("GATEPOST_CONFIG", str(configuration))
    files = made()
    configuration.write_text(table.format(REPLACED), encoding="utf-8")

    assert looked_twice(files)
    assert secret_of(files, "shop") == REPLACED


@pytest.mark.parametrize(
    "variable",
    [
        "AUTH0_CLIENT_SIGNING_KEY_PATH",
        "AUTH0_CLIENT_SIGNING_KEY_FILE",
        "GATEPOST_SEALING_KEYS_FILE",
        "AUTH0_PROXY_FILE",
    ],
)
def test_every_secret_with_a_file_is_looked_at(
    variable: str, secret: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client secret is one of several."""
    path = tmp_path / "other"
    path.write_text("http://proxy.example", encoding="utf-8")
    monkeypatch.setenv(variable, str(path))

    assert made().paths == {secret, path}


def test_the_files_of_mutual_tls_are_looked_at(secret: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Certificate and key are named by their paths."""
    paths = {name: tmp_path / name.lower() for name in ("AUTH0_MTLS_CERTIFICATE", "AUTH0_MTLS_KEY", "AUTH0_CA_BUNDLE")}
    for name, path in paths.items():
        path.touch()
        monkeypatch.setenv(name, str(path))

    assert made().paths == {secret, *paths.values()}


def test_an_unchanged_file_is_not_read(secret: Path) -> None:
    """A look costs one question about each file."""
    calls: list[int] = []
    files = SettingsFiles(partial(_counted, calls))

    assert [files.changed() for _ in range(5)] == [None] * 5
    assert len(calls) == 1
    assert secret.exists()


def _counted(calls: list[int]) -> Settings:
    calls.append(1)
    return load_settings()
