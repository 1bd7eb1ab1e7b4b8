"""Where settings come from. A secret comes from the environment, a file, or the output of a command; never from a command-line option."""

from __future__ import annotations

import os
import shlex
import subprocess
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final

from pydantic import SecretStr
from pydantic_settings import (
    BaseSettings,
    DotEnvSettingsSource,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from gatepost_core.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from pydantic import ValidationError
    from pydantic.fields import FieldInfo

_SECONDS: Final = 20

Version = tuple[int, int, int, int] | None
"""What tells one version of a file from another: device, inode, size and time of the last change; None for no file."""

_noted: ContextVar[dict[Path, Version] | None] = ContextVar("noted", default=None)


def version_of(path: Path) -> Version:
    """Return the version of a file. Links are followed, so a link to another file gives another version."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


@contextmanager
def noting_files() -> Iterator[dict[Path, Version]]:
    """Collect the files that secrets are read from inside the `with` block, each with its version before the reading."""
    files: dict[Path, Version] = {}
    token = _noted.set(files)
    try:
        yield files
    finally:
        _noted.reset(token)


def resolve_secret(name: str, values: Mapping[str, str]) -> str | None:
    """Return the secret from `NAME_FILE` or `NAME_COMMAND`, or None if neither is set.

    Args:
        name: the variable's name, such as AUTH0_CLIENT_SECRET.
        values: the environment, or a table of a configuration file.

    Raises:
        ConfigurationError: the file cannot be read, or the command failed. The message names the variable, never the secret.
    """
    if path := values.get(f"{name}_FILE") or values.get(f"{name}_file"):
        try:
            return _text_of(Path(path).expanduser())
        except (OSError, UnicodeDecodeError) as failure:
            raise ConfigurationError(f"{name}_FILE: {path} cannot be read ({type(failure).__name__})") from None
    if command := values.get(f"{name}_COMMAND") or values.get(f"{name}_command"):
        return _printed_by(name, command)
    return None


def without_empty(values: Mapping[str, Any], *, but: Collection[str] = ()) -> dict[str, Any]:
    """Return the settings that are not an empty text, and those named in `but`. An empty setting counts as not set."""
    return {
        name: value for name, value in values.items() if value or name in but or not isinstance(value, (str, SecretStr))
    }


def _text_of(path: Path) -> str:
    files = _noted.get()
    if files is not None:
        files[path] = version_of(path)
    return path.read_text(encoding="utf-8").strip()


def _printed_by(name: str, command: str) -> str:
    try:
        done = subprocess.run(  # noqa: S603 - the operator's own configuration names the command
            shlex.split(command), capture_output=True, check=True, text=True, timeout=_SECONDS, stdin=subprocess.DEVNULL
        )
    except (OSError, ValueError, subprocess.SubprocessError) as failure:
        raise ConfigurationError(
            f"{name}_COMMAND failed ({type(failure).__name__}); run it by hand to see why"
        ) from None
    return done.stdout.strip()


class SecretSource(PydanticBaseSettingsSource):
    """Fills settings from `NAME_FILE` and `NAME_COMMAND`, where NAME is a field's environment name.

    Args:
        settings_cls: the class of settings.
        variables: the environment, or the variables of a `.env` file. The names may be in any case, as for the settings themselves.
    """

    def __init__(self, settings_cls: type[BaseSettings], variables: Mapping[str, str | None]) -> None:
        super().__init__(settings_cls)
        self._variables = {name.upper(): value for name, value in variables.items() if value}

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """Return the field's value, as pydantic-settings asks for it."""
        name = str(field.validation_alias or f"{self.config.get('env_prefix') or ''}{field_name}").upper()
        return resolve_secret(name, self._variables), field_name, False

    def __call__(self) -> dict[str, Any]:
        """Return all fields from files and commands, by alias if they have one."""
        found = {}
        for field_name, field in self.settings_cls.model_fields.items():
            value, _, _ = self.get_field_value(field, field_name)
            if value is not None:
                found[str(field.validation_alias or field_name)] = value
        return found


class Configuration(BaseSettings):
    """Settings that come from Gatepost's sources.

    Attributes:
        in_config_file: whether they are also in the file that `GATEPOST_CONFIG` names.
        never_empty: names of the settings that must have a value where they are set. Any other empty setting counts as not set.
    """

    model_config = SettingsConfigDict(
        env_prefix="GATEPOST_",
        env_file_encoding="utf-8",
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
        populate_by_name=True,
    )
    in_config_file: ClassVar[bool] = True
    never_empty: ClassVar[frozenset[str]] = frozenset()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - replaced by SecretSource
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Return the sources, the strongest first. The environment and `.env` each come before the files and commands they name."""
        in_file = dotenv_settings.env_vars if isinstance(dotenv_settings, DotEnvSettingsSource) else {}
        sources: list[PydanticBaseSettingsSource] = [
            init_settings,
            env_settings,
            SecretSource(settings_cls, os.environ),
            dotenv_settings,
            SecretSource(settings_cls, in_file),
        ]
        path = os.environ.get("GATEPOST_CONFIG")
        if cls.in_config_file and path:
            sources.append(TomlConfigSettingsSource(settings_cls, toml_file=Path(path)))
        return tuple(
            InitSettingsSource(settings_cls, without_empty(source(), but=cls.never_empty)) for source in sources
        )


def variables_of(model: type[Configuration]) -> Mapping[str, str]:
    """Return each environment variable that fills a class of settings, with its description."""
    names = {}
    for field_name, field in model.model_fields.items():
        names[str(field.validation_alias or f"GATEPOST_{field_name}").upper()] = field.description or ""
    return names


def configuration_error(failure: ValidationError, prefix: str) -> ConfigurationError:
    """Return the error for settings that are not valid. It names them by their variables, and repeats no value."""
    problems = [
        f"{_variable(error['loc'], prefix)}: {error['msg'].removeprefix('Value error, ')}"
        for error in failure.errors(include_url=False, include_context=False, include_input=False)
    ]
    return ConfigurationError("; ".join(problems))


def _variable(place: tuple[int | str, ...], prefix: str) -> str:
    name = ".".join(str(part) for part in place).upper()
    return name if name.startswith(("AUTH0_", "GATEPOST_")) else f"{prefix}{name or 'configuration'}"
