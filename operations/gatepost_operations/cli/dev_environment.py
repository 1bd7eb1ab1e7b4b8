"""The environment of a running `gatepost dev`: its files, and how another command uses it."""

from __future__ import annotations

import fcntl
import os
import shlex
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from gatepost_core.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

DATA_DIRECTORY: Final = Path(".gatepost")
"""The directory of `gatepost dev`, unless it gets another."""
_PROJECT_FILE: Final = ".env"
_LOOPBACK: Final = "localhost,127.0.0.1,::1"
_TENANT: Final = "AUTH0_DOMAIN"


@dataclass(frozen=True, slots=True)
class DevFiles:
    """The files of `gatepost dev` in its data directory."""

    directory: Path

    @property
    def variables(self) -> Path:
        """The variables for a second terminal. The file exists while `gatepost dev` runs."""
        return self.directory / "dev.env"

    @property
    def last(self) -> Path:
        """The variables of the last run: its keys, which open the stored data, and its ports."""
        return self.directory / "last.env"

    @contextmanager
    def hold(self) -> Iterator[bool]:
        """Hold the directory's lock, and give whether it was free. The lock ends with the process, however that ends."""
        with (self.directory / "dev.lock").open("a", encoding="utf-8") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
                return
            yield True

    @property
    def is_running(self) -> bool:
        """Whether a `gatepost dev` runs in this directory, and has written its variables."""
        if not self.variables.is_file():
            return False
        with self.hold() as free:
            return not free


class _Used:
    """The files of the running `gatepost dev` whose simulator this process uses, if it does."""

    files: DevFiles | None = None


def env_file() -> str | None:
    """Return the project's `.env` file, which settings are read from. With a dev's simulator there is none."""
    return _PROJECT_FILE if _Used.files is None else None


def leave_project() -> None:
    """With a dev's simulator, work in its directory: a Celery worker reads the `.env` of its working directory."""
    if _Used.files is not None:
        os.chdir(_Used.files.directory)


def use_running_dev() -> None:
    """Give this process the variables of the `gatepost dev` that runs in this directory or in one above.

    With its simulator, nothing of a real tenant stays: neither the process's own variables nor the project's `.env`.

    Raises:
        ConfigurationError: none runs there.
    """
    here = Path.cwd()
    known = (DevFiles(place / DATA_DIRECTORY) for place in (here, *here.parents))
    files = next((one for one in known if one.is_running), None)
    if files is None:
        raise ConfigurationError(
            f"no `gatepost dev` runs in {DATA_DIRECTORY}, here or in a directory above; start one with: gatepost dev"
        )
    variables = read_export_lines(files.variables)
    if _TENANT in variables:
        for name in os.environ.keys() - without_gatepost_variables(os.environ).keys():
            del os.environ[name]
        os.environ.update(no_proxy_variables(os.environ))
        _Used.files = files
    os.environ.update(variables)


def without_gatepost_variables(environment: Mapping[str, str]) -> dict[str, str]:
    """Return an environment without the variables of a real tenant, Redis or broker."""
    return {name: value for name, value in environment.items() if not name.upper().startswith(("AUTH0_", "GATEPOST_"))}


def no_proxy_variables(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that exclude loopback traffic from the host's proxy."""
    before = environment.get("no_proxy") or environment.get("NO_PROXY")
    value = f"{before},{_LOOPBACK}" if before else _LOOPBACK
    return {"NO_PROXY": value, "no_proxy": value}


def export_lines(variables: Mapping[str, str]) -> str:
    """Return the variables as `export` lines for a shell."""
    return "".join(f"export {name}={shlex.quote(value)}\n" for name, value in variables.items())


def read_export_lines(file: Path) -> dict[str, str]:
    """Return the variables in a file of `export_lines`; none if the file does not exist."""
    if not file.is_file():
        return {}
    words = shlex.split(file.read_text(encoding="utf-8"))
    pairs = (word.partition("=") for word in words if word != "export")
    return {name: value for name, _, value in pairs}
