"""Refuses settings that do not exist, because a misspelt one would leave its default in effect without a word."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from gatepost_core.errors import ConfigurationError
from gatepost_core.nearest import nearest
from gatepost_core.settings.probe import ProbeSettings
from gatepost_core.settings.secret_sources import variables_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_PREFIX: Final = "GATEPOST_"
# GATEPOST_CONFIG names the configuration file, and docker-compose.yml reads GATEPOST_IMAGE.
_CONFIGURATION_FILE: Final = "GATEPOST_CONFIG"
_ALSO_READ: Final = frozenset({_CONFIGURATION_FILE, "GATEPOST_IMAGE"})
# The simulator and the console check their own settings.
_OF_OTHERS: Final = ("GATEPOST_SIMULATOR_", "GATEPOST_CONSOLE_")
_SECRET_SOURCES: Final = ("_FILE", "_COMMAND")
# Kubernetes sets these in every pod if the namespace has a Service whose name begins with `gatepost`.
_OF_KUBERNETES: Final = re.compile(
    r"\w+_SERVICE_HOST|\w+_SERVICE_PORT(_\w+)?|\w+_PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?"
)


def probe_names() -> Mapping[str, str]:
    """Return each environment variable that only the login probe reads, with its description."""
    return variables_of(ProbeSettings)


def refuse_unknown_variables(present: Iterable[str], known: Iterable[str], *, source: str) -> None:
    """Refuse variables that begin with `GATEPOST_` and are not settings.

    Args:
        present: the names of the variables, in any case.
        known: the names of the settings' variables.
        source: where the variables are set, for the message.

    Raises:
        ConfigurationError: a variable is not a setting. The message names the nearest setting, and no value.
    """
    names = set(known)
    of_others = tuple(prefix for prefix in _OF_OTHERS if not any(name.startswith(prefix) for name in names))
    for variable in sorted(present):
        name = variable.upper()
        if not name.startswith(_PREFIX) or name in names | _ALSO_READ or name.startswith(of_others):
            continue
        if any(name.removesuffix(suffix) in names for suffix in _SECRET_SOURCES) or _OF_KUBERNETES.fullmatch(name):
            continue
        raise ConfigurationError(f"unknown setting {name} in {source}; correct or remove it{_nearest(name, names)}")


def refuse_configuration_file(present: Iterable[str], *, source: str) -> None:
    """Refuse `GATEPOST_CONFIG` in a file, because only the environment can name the configuration file.

    Args:
        present: the names of the file's variables, in any case.
        source: the file, for the message.

    Raises:
        ConfigurationError: it is among them.
    """
    if _CONFIGURATION_FILE in {variable.upper() for variable in present}:
        raise ConfigurationError(f"{_CONFIGURATION_FILE} in {source} is not read; set it in the environment")


def refuse_unknown_names(given: Iterable[str], known: Iterable[str], *, source: str) -> None:
    """Refuse names of settings that do not exist.

    Args:
        given: the names, such as `redis_url`.
        known: the names of the settings.
        source: where the names are given, for the message.

    Raises:
        ConfigurationError: a name is not a setting. The message names the nearest setting.
    """
    names = set(known)
    for name in sorted(given):
        if name not in names:
            raise ConfigurationError(f"unknown setting {name} in {source}; correct or remove it{_nearest(name, names)}")


def _nearest(name: str, names: Iterable[str]) -> str:
    # Without the common prefix, which would make every name alike.
    found = nearest(name.removeprefix(_PREFIX), [known.removeprefix(_PREFIX) for known in sorted(names)])
    if found is None:
        return ". docs/reference/settings.md lists the settings"
    return f". Did you mean {_PREFIX if name.startswith(_PREFIX) and not found.startswith('AUTH0_') else ''}{found}?"
