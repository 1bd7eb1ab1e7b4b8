"""The environment and the settings of the console: those of the api without its keys and credentials."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gatepost_core.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Mapping, MutableMapping

    from gatepost_core.settings import Settings

_KEYS: Final = ("GATEPOST_SEALING_KEYS", "GATEPOST_FINGERPRINT_KEY")
_SOURCES: Final = ("", "_FILE", "_COMMAND")
_KEY_VARIABLES: Final = frozenset(f"{name}{source}" for name in _KEYS for source in _SOURCES)
_AUTH0: Final = "AUTH0_"
_TENANTS: Final = "GATEPOST_TENANTS"
_WITHOUT: Final = {"sealing_keys": (), "fingerprint_key": None, "tenants": ()}


def without_keys(environment: Mapping[str, str]) -> dict[str, str]:
    """Return an environment without sealing keys, the fingerprint key, and the credentials of tenants."""
    return {name: value for name, value in environment.items() if not _is_key(name.upper())}


def drop_keys(environment: MutableMapping[str, str]) -> None:
    """Remove from an environment what `without_keys` leaves out."""
    for name in environment.keys() - without_keys(environment).keys():
        del environment[name]


def keyless_settings(env_file: str | None) -> Settings:
    """Read the settings without the keys and credentials that files name.

    Raises:
        ConfigurationError: a setting is malformed or does not exist.
    """
    return without_secrets(load_settings(env_file=env_file, **_WITHOUT))


def without_secrets(settings: Settings) -> Settings:
    """Return settings without sealing keys, the fingerprint key, and the credentials of tenants."""
    credentials = [name for name in type(settings).model_fields if name.startswith(_AUTH0.lower())]
    defaults = {name: type(settings).model_fields[name].get_default(call_default_factory=True) for name in credentials}
    return settings.model_copy(update=_WITHOUT | defaults)


def _is_key(name: str) -> bool:
    return name in _KEY_VARIABLES or name.startswith((_AUTH0, _TENANTS))
