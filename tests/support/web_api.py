"""The HTTP API on a real server in a thread, with keys of chosen rights."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import httpx

from gatepost_operations.maintenance.api_keys import grant_of
from gatepost_operations.web.api.access import FailedTries, OpenRequests
from gatepost_operations.web.api.app import create_app
from gatepost_operations.web.server import Server, bound, config_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fastapi import FastAPI

    from gatepost_core.settings import Settings

ALL_KINDS: Final = ["send_email", "send_sms", "login_with_email", "login_with_sms"]
CONSOLE_KEY: Final = "a key for the console of the tests"
_START_S: Final = 60


class Api:
    """A running api.

    Attributes:
        app: its app.
        url: its URL.
    """

    def __init__(self, app: FastAPI, url: str) -> None:
        self.app, self.url = app, url
        self._clients: list[httpx.Client] = []

    def key(self, **rights: Any) -> str:
        """Return a new key; by default, with all kinds and no scope."""
        grant = grant_of({"name": "shop", "kinds": ALL_KINDS, **rights})
        return str(self.app.state.services.api_keys.create(grant)[1].get_secret_value())

    def client(self, **rights: Any) -> httpx.Client:
        """Return a client with a new key."""
        return self.client_with(self.key(**rights))

    def client_with(self, key: str, **headers: str) -> httpx.Client:
        """Return a client with this key."""
        client = httpx.Client(base_url=self.url, headers={"Authorization": f"Bearer {key}", **headers}, timeout=120)
        self._clients.append(client)
        return client

    def forget(self) -> None:
        """Forget keys and failed tries."""
        self.app.state.known_keys._found.clear()
        self.app.state.failed_tries, self.app.state.open_requests = FailedTries(), OpenRequests()

    def close(self) -> None:
        """Close the clients."""
        for client in self._clients:
            client.close()


@contextmanager
def running_api(settings: Settings, **options: Any) -> Iterator[Api]:
    """Serve the API of these settings in a thread, with further options of `config_of`."""
    app = create_app(settings)
    with serving(app, **options) as url:
        api = Api(app, url)
        try:
            yield api
        finally:
            api.close()


@contextmanager
def serving(app: Any, **options: Any) -> Iterator[str]:
    """Serve an app in a thread as `gatepost web` does, with further options of `config_of`, and give its URL."""
    ready = threading.Event()
    with bound("127.0.0.1", 0) as listening:
        server = Server(config_of(app, **options), ready.set, lambda: None)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        assert ready.wait(_START_S)
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(_START_S)
