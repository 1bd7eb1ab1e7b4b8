"""A console with one local account of each access level, and browsers that sign in to it."""

from __future__ import annotations

import hashlib
import re
import secrets
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import httpx
from pydantic import SecretStr

from gatepost_operations.web.console.app import create_app
from gatepost_operations.web.console.security.operators import Level
from gatepost_operations.web.console.security.settings import ConsoleSettings
from support.console_server import WebServer

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from fastapi import FastAPI

    from gatepost_core.settings import Settings

PASSWORD: Final = "correct horse battery"
NAMES: Final = {Level.READ_ONLY: "rita", Level.OPERATOR: "otto", Level.ADMIN: "ada"}
_TOKEN: Final = re.compile(r'name="csrf_token" value="([^"]+)"')
_SALT: Final = secrets.token_bytes(16)
# Far cheaper than what the command writes, because tests sign in often.
_KEY: Final = hashlib.scrypt(PASSWORD.encode(), salt=_SALT, n=2, r=8, p=1, dklen=32)


def write_accounts(path: Path, names: Mapping[Level, str] = NAMES) -> Path:
    """Write a file with an account for each level. All have the same password."""
    lines = [f"{name}:{level}:scrypt$1$8$1${_SALT.hex()}${_KEY.hex()}\n" for level, name in names.items()]
    path.write_text("".join(lines))
    path.chmod(0o600)
    return path


class SignedInConsole:
    """A console over real HTTP. Browsers send what Chromium sends."""

    def __init__(self, url: str, accounts: Path) -> None:
        self.url = url
        self.accounts = accounts
        self._browsers: list[httpx.Client] = []

    def browser(self, **headers: str) -> httpx.Client:
        """Return a browser without a session."""
        sent = {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "navigate", **headers}
        self._browsers.append(httpx.Client(base_url=self.url, timeout=30, headers=sent))
        return self._browsers[-1]

    def try_password(self, browser: httpx.Client, name: str, password: str = PASSWORD, **fields: str) -> httpx.Response:
        """Fill in the sign-in form, and send it."""
        token = token_in(browser.get("/sign-in").text)
        return browser.post("/sign-in", data={"name": name, "password": password, "csrf_token": token, **fields})

    def signed_in(self, level: Level) -> httpx.Client:
        """Return a browser of an operator with a level. It sends the token in the header, as htmx does."""
        browser = self.browser()
        self.try_password(browser, NAMES[level])
        browser.headers["X-CSRF-Token"] = token_in(browser.get("/campaigns").text)
        return browser

    def close(self) -> None:
        """Close all browsers."""
        for browser in self._browsers:
            browser.close()


def token_in(page: str) -> str:
    """Return the token in the first form of a page."""
    found = _TOKEN.search(page)
    assert found, page
    return found[1]


@contextmanager
def console_with_accounts(settings: Settings, directory: Path, **given: Any) -> Iterator[SignedInConsole]:
    """Serve a console with local accounts.

    Args:
        settings: the settings of the test's Redis.
        directory: where the file of accounts is written.
        given: more settings of the console.
    """
    accounts = write_accounts(directory / "users")
    with WebServer(app_with_accounts(settings, accounts, **given)) as server:
        console = SignedInConsole(server.url, accounts)
        yield console
        console.close()


def app_with_accounts(settings: Settings, accounts: Path, **given: Any) -> FastAPI:
    """Return a console with the local accounts of a file. Parameters are those of `console_with_accounts`."""
    access = ConsoleSettings(users=accounts, **given)
    return create_app(settings, "http://127.0.0.1:1", SecretStr("key"), access=access)
