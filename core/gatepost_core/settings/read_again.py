"""Reads the settings again after a file with a secret has changed. For workers, which rotate credentials without a restart."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from gatepost_core.errors import ConfigurationError
from gatepost_core.settings.secret_sources import noting_files, version_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from gatepost_core.settings import Settings
    from gatepost_core.settings.secret_sources import Version


class SettingsFiles:
    """The settings, and the files that they depend on: secrets, certificates and the configuration file.

    Not safe to share between threads.

    Attributes:
        settings: as they were read last.
    """

    def __init__(self, load: Callable[[], Settings]) -> None:
        """Read the settings.

        Args:
            load: reads them.

        Raises:
            ConfigurationError: a setting is malformed.
        """
        self._load = load
        self._files: dict[Path, Version] = {}
        self._seen: dict[Path, Version] = {}
        self._refused: dict[Path, Version] = {}
        with noting_files() as noted:
            self.settings = load()
            # The tenants' own files. A process that needs no tenant starts without one.
            with suppress(ConfigurationError):
                self.settings.all_tenants()
        self._note(noted, {})

    @property
    def paths(self) -> frozenset[Path]:
        """The files."""
        return frozenset(self._files)

    def changed(self, *, at_once: bool = False) -> Settings | None:
        """Return the settings if a file has changed and they can be read; otherwise None.

        Args:
            at_once: read a changed file now. Otherwise it is read if two calls in a row saw the same version, because a file may be half written.

        Raises:
            ConfigurationError: a changed file cannot be used. Raised once for each version of the files; the earlier settings stay.
        """
        versions = {path: version_of(path) for path in self._files}
        is_steady = versions == self._seen
        self._seen = versions
        if versions in (self._files, self._refused) or not (at_once or is_steady):
            return None
        try:
            with noting_files() as noted:
                settings = self._load()
                settings.all_tenants()
        except ConfigurationError:
            self._refused = versions
            raise
        self._note(noted, versions)
        self.settings = settings
        return settings

    def refuse(self) -> None:
        """Note that the settings of the last call cannot be used. They are not read again until a file changes."""
        self._refused = dict(self._seen)

    def forget(self) -> None:
        """Let the next call read the files again."""
        self._files = dict.fromkeys(self._files)
        self._refused = {}

    def _note(self, noted: dict[Path, Version], before: dict[Path, Version]) -> None:
        others = {path: before[path] if path in before else version_of(path) for path in _other_files(self.settings)}
        self._files = self._seen = {**others, **noted}


def _other_files(settings: Settings) -> Iterator[Path]:
    if path := os.environ.get("GATEPOST_CONFIG"):
        yield Path(path)
    with suppress(ConfigurationError):
        for tenant in settings.all_tenants().values():
            yield from filter(None, (tenant.mtls_certificate, tenant.mtls_key, tenant.ca_bundle))
