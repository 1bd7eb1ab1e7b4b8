"""`gatepost web`: serve the HTTP API and the console, each in a separate process."""

import os
import secrets
import sys
from collections.abc import Callable
from enum import StrEnum
from importlib import import_module
from importlib.util import find_spec
from typing import Annotated, Any, Final

import typer

from gatepost_core import logs
from gatepost_core.errors import ConfigurationError, FieldError, InvalidCommand
from gatepost_core.settings import load_settings
from gatepost_operations.cli.dev_environment import env_file
from gatepost_operations.cli.options import command_app, examples
from gatepost_operations.cli.output import write
from gatepost_operations.cli.together import run_together
from gatepost_operations.extras import require_web

app = command_app()


class Role(StrEnum):
    """The roles of a web process."""

    API = "api"
    CONSOLE = "console"


_PORTS: Final = {Role.API: 8790, Role.CONSOLE: 8791}
_LOOPBACK: Final = "127.0.0.1"
_KEY: Final = "GATEPOST_WEB_API_KEY"
_URL: Final = "GATEPOST_WEB_API_URL"
_NEW_KEY: Final = "openssl rand -hex 32"
_CONSOLE: Final = "gatepost_operations.web.console"


@app.command(
    epilog=examples("gatepost web", "gatepost web --role api --port 8790", "gatepost web --role console --port 8791")
)
def web(
    *,
    role: Annotated[
        Role | None, typer.Option("--role", help="Serve only the API or only the console [default: both].")
    ] = None,
    host: Annotated[str, typer.Option("--host", metavar="HOST", help="Address to listen on.")] = _LOOPBACK,
    port: Annotated[
        int | None,
        typer.Option(
            "--port",
            metavar="PORT",
            min=0,
            max=65535,
            help="Port; 0 takes a free port [default: 8790 for the API, 8791 for the console].",
        ),
    ] = None,
) -> None:
    """Serve the HTTP API and the console.

    Without --role, the command runs both. The console then listens on --host and --port, and the API on 127.0.0.1:8790.

    After Ctrl-C, the servers finish the open requests, and then stop.
    """
    require_web()
    match role:
        case Role.API:
            _serve_api(host, _PORTS[role] if port is None else port)
        case Role.CONSOLE:
            _serve_console(host, _PORTS[role] if port is None else port)
        case None:
            raise typer.Exit(_run_both(host, _PORTS[Role.CONSOLE] if port is None else port))


def _serve_api(host: str, port: int) -> None:
    settings = load_settings(env_file=env_file())
    logs.start(settings, "gatepost.api")
    _serve(Role.API, _loaded("gatepost_operations.web.api.app").create_app(settings), host, port)


def _serve_console(host: str, port: int) -> None:
    create_app = _console()
    keyless = _loaded("gatepost_operations.web.keyless")
    keyless.drop_keys(os.environ)
    settings = keyless.keyless_settings(env_file())
    logs.start(settings, "gatepost.console")
    access = _console_access(host)
    if not settings.web_api_key:
        raise ConfigurationError(
            f"{_KEY} is not set; give the api and the console the same secret value, such as the output of: {_NEW_KEY}"
        )
    console = create_app(settings, settings.web_api_url, settings.web_api_key, access=access)
    _serve(Role.CONSOLE, console, host, port, on_stop=console.state.console.live.stop)


def _serve(role: Role, application: Any, host: str, port: int, on_stop: Callable[[], object] = lambda: None) -> None:
    _loaded("gatepost_operations.web.server").serve(
        application, host=host, port=port, on_ready=lambda url: write(f"{role:8} {url}"), on_stop=on_stop
    )


def _run_both(host: str, port: int) -> int:
    _console()
    # A wrong setting is one sentence here, and not one of each child.
    load_settings(env_file=env_file())
    _console_access(host)
    if port == _PORTS[Role.API]:
        raise InvalidCommand([FieldError("port", f"{port} is the port of the api; give another")])
    environment = {**os.environ, _KEY: secrets.token_urlsafe(32), _URL: f"http://{_LOOPBACK}:{_PORTS[Role.API]}"}
    without_keys = _loaded("gatepost_operations.web.keyless").without_keys
    return run_together(
        [
            (_command(Role.API, _LOOPBACK, _PORTS[Role.API]), environment),
            (_command(Role.CONSOLE, host, port), without_keys(environment)),
        ]
    )


def _command(role: Role, host: str, port: int) -> list[str]:
    options = ["--role", role.value, "--host", host, "--port", str(port)]
    return [sys.executable, "-m", "gatepost_operations.cli", "web", *options]


def _console_access(host: str) -> Any:
    module = _loaded(f"{_CONSOLE}.security.settings")
    access = module.load_console_settings(env_file=env_file())
    module.check_listening(access, host)
    return access


def _console() -> Any:
    if find_spec(_CONSOLE) is None:
        raise ConfigurationError(
            "the console is not installed with this version; serve the HTTP API alone: gatepost web --role api"
        )
    return _loaded(f"{_CONSOLE}.app").create_app


def _loaded(module: str) -> Any:
    # FastAPI takes longer to import than all the rest of the command.
    return import_module(module)
