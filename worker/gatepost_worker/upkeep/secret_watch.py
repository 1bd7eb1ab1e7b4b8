"""Takes over credentials and sealing keys whose files have changed, without a restart."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

import structlog

from gatepost_core.error_boundary import account
from gatepost_core.errors import ConfigurationError, GatepostError

if TYPE_CHECKING:
    from collections.abc import Callable

    from gatepost_core.settings import Settings
    from gatepost_core.settings.read_again import SettingsFiles

_log = structlog.stdlib.get_logger("gatepost.worker")

EVERY_S: Final = 5.0
"""A changed file is read after at most two looks."""


class SecretWatch:
    """Looks at the files of the settings, on a thread of its process and whenever Auth0 refuses a credential."""

    def __init__(self, files: SettingsFiles | None, take_over: Callable[[Settings], None]) -> None:
        """Prepare; nothing is looked at yet.

        Args:
            files: the settings' files; None for settings that did not come from files.
            take_over: uses newly read settings. It raises `GatepostError` if it cannot, and then has changed nothing.
        """
        self._files = files
        self._take_over = take_over
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="gatepost-secret-watch", daemon=True)

    def start(self) -> None:
        """Begin, if there is a file to look at."""
        if self._files is not None and self._files.paths:
            self._thread.start()

    def stop(self) -> None:
        """End."""
        self._stopped.set()

    def look(self, *, at_once: bool = False) -> None:
        """Take over changed values. A value that cannot be used is logged, and the earlier one stays.

        Args:
            at_once: whether to read a file that has just changed, although it may be half written.
        """
        if self._files is None:
            return
        with self._lock:
            try:
                settings = self._files.changed(at_once=at_once)
                if settings is None:
                    return
                self._take_over(settings)
            except ConfigurationError as failure:
                self._files.refuse()
                _log.error("secrets.not_renewed", error=str(failure))
            except GatepostError as failure:
                # Redis did not answer.
                self._files.forget()
                _log.warning("secrets.not_renewed", error=str(failure))
            else:
                _log.info("secrets.renewed", files=sorted(str(path) for path in self._files.paths))

    def _run(self) -> None:
        while not self._stopped.wait(EVERY_S):
            try:
                self.look()
            except Exception as failure:  # noqa: BLE001 - the thread must survive an error in our own code
                _log.error("secrets.not_renewed", error="unexpected", failure=account(failure))
