"""An operator in a browser: the console and the API in threads of the test, and everything that browsers and servers said."""

from __future__ import annotations

import random
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from pydantic import SecretStr

from gatepost_operations.web.api.app import create_app as create_api
from gatepost_operations.web.console.app import create_app as create_console
from gatepost_operations.web.console.security.operators import Level, Operator
from support.console_server import TOKEN, WebServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, Page, Response
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from gatepost_core.settings import Settings

API_KEY = SecretStr("key-of-the-console-for-tests-0123456789")


class Served(Protocol):
    """A console that serves.

    Attributes:
        url: its base URL.
    """

    url: str


@dataclass
class Journey:
    """One operator's browser.

    Attributes:
        page: the page.
        url: the console's base URL.
        refused: answers with an error status.
        complaints: what the browser's own console reported: errors of scripts, refusals of the content security policy.
        elsewhere: requests that left the console.
    """

    page: Page
    url: str
    refused: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    elsewhere: list[str] = field(default_factory=list)

    def listen(self) -> None:
        """Note everything that the page does."""
        self.page.on("response", self._note)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("request", lambda request: request.url.startswith(self.url) or self.elsewhere.append(request.url))

    def goto(self, path: str) -> None:
        """Open a page of the console."""
        self.page.goto(self.url + path)

    def press(self, name: str, *, role: str = "button") -> None:
        """Press the button, or follow the link, with exactly this name."""
        self.page.get_by_role(role, name=name, exact=True).first.click()  # type: ignore[arg-type] # a role of ARIA

    @property
    def campaign_id(self) -> str:
        """The id in the page's URL."""
        return self.page.url.partition("/campaigns/")[2].partition("?")[0].partition("/")[0]

    def _note(self, response: Response) -> None:
        if response.status >= 400:
            self.refused.append(f"{response.status} {response.request.method} {response.url}")


class Recorder:
    """Keeps everything that an application answers.

    Attributes:
        answers: the path and query of each request, with the text of its answer.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.answers: list[tuple[str, str]] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        parts: list[bytes] = []

        async def keeping(message: Message) -> None:
            parts.append(message.get("body", b""))
            parts.extend(b"%b: %b\n" % pair for pair in message.get("headers", ()))
            await send(message)

        try:
            await self._app(scope, receive, keeping)
        finally:
            if scope["type"] == "http":
                url = f"{scope['path']}?{scope['query_string'].decode()}"
                self.answers.append((url, b"".join(parts).decode(errors="replace")))

    def showing(self, text: str) -> list[str]:
        """Return the paths whose answers contain a text."""
        return [url for url, answer in self.answers if text in answer]


@contextmanager
def console_of(settings: Settings) -> Iterator[tuple[WebServer, Recorder]]:
    """Serve the API with the keys, and the console without them. Its operator may do everything. Give the console and its answers."""
    with ExitStack() as stack:
        with_key = settings.model_copy(update={"web_api_key": API_KEY})
        api = stack.enter_context(WebServer(create_api(with_key)))
        console = create_console(settings, api.url, API_KEY, identify=lambda _: (Operator("ada", Level.ADMIN), TOKEN))
        recorder = Recorder(console)
        yield stack.enter_context(WebServer(recorder)), recorder


@contextmanager
def operator(browser: Browser, console: Served, **options: object) -> Iterator[Journey]:
    """Give an operator's browser."""
    context = browser.new_context(accept_downloads=True, **options)  # type: ignore[arg-type] # Playwright's own names
    context.set_default_timeout(30_000)
    journey = Journey(context.new_page(), console.url)
    journey.listen()
    yield journey
    context.close()


def people(file: Path, plain: int, special: dict[str, int], name: str = "canary") -> Path:
    """Write a CSV file of recipients.

    Args:
        file: the file.
        plain: recipients who are accepted.
        special: recipients by the simulator's tag for their outcome.
        name: the beginning of each address.
    """
    addresses = [f"{name}{number}@example.com" for number in range(plain)]
    addresses += [f"{name}{number}+{tag}@example.com" for tag, many in special.items() for number in range(many)]
    # Identical failures in a row would pause the campaign.
    random.Random(1).shuffle(addresses)  # noqa: S311 - no secret
    file.write_text("\n".join(["email,language", *(f"{address},en" for address in addresses)]) + "\n", encoding="utf-8")
    return file
