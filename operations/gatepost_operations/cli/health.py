"""`gatepost health`: ask a worker whether it makes progress, or Redis whether the reconciler runs."""

import http.client
import json
import ssl
from typing import Annotated, Any, Final
from urllib.parse import urlsplit

import typer
from redis import RedisError

from gatepost_core.errors import FieldError, InvalidCommand
from gatepost_core.redis.connections import connect
from gatepost_core.redis.errors import translate
from gatepost_core.redis.keys import RedisKeys
from gatepost_core.settings import Settings, load_settings
from gatepost_operations.cli.dev_environment import env_file
from gatepost_operations.cli.doctor.checks import Status, judge_reconciler
from gatepost_operations.cli.exit_codes import ExitCode
from gatepost_operations.cli.options import JsonOption, Missing, command_app, examples
from gatepost_operations.cli.output import say, write, write_json

app = command_app()

_EVERYWHERE: Final = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104 - compared, not bound


@app.command(
    epilog=examples(
        "gatepost health",
        "gatepost health --port 8788",
        "gatepost health --url http://worker-2:8787/health",
        "gatepost health --reconciler",
    )
)
def health(
    *,
    port: Annotated[
        int | None,
        typer.Option(
            "--port", metavar="PORT", min=1, max=65535, help="Port on this machine [default: GATEPOST_HEALTH_PORT]."
        ),
    ] = None,
    url: Annotated[str | None, typer.Option("--url", metavar="URL", help="URL of a worker on another machine.")] = None,
    reconciler: Annotated[bool, typer.Option("--reconciler", help="Check beat instead of a worker.")] = False,
    timeout: Annotated[
        float, typer.Option("--timeout", metavar="SECONDS", min=0.1, help="Longest wait for the answer.")
    ] = 5.0,
    as_json: JsonOption = False,
) -> ExitCode:
    """Ask a worker whether it makes progress.

    The exit code is 0 if the worker makes progress, and 1 if it makes no progress or does not answer.

    A worker makes no progress if its consumer loop does not run, or if the broker is down. It also makes no progress if messages wait
    although the worker has free threads. The worker reports such a problem after 30 s (GATEPOST_HEALTH_PATIENCE).

    With --reconciler, the command asks Redis instead. The exit code is then 0 if the reconciler ran in the last 45 s (three times
    GATEPOST_RECONCILE_EVERY, plus 15 s).
    """
    found = _last_run(load_settings(env_file=env_file())) if reconciler else _ask(url or _own_url(port), timeout)
    if as_json:
        write_json(found)
    else:
        write("healthy" if found["healthy"] else "unhealthy")
        say(*found["problems"])
    return ExitCode.DONE if found["healthy"] else ExitCode.UNEXPECTED


def _last_run(settings: Settings) -> dict[str, Any]:
    try:
        with connect(settings) as client:
            now, _ = client.time()
            last = client.get(RedisKeys(settings.namespace).reconciler_last_run)
    except RedisError as failure:
        return {"healthy": False, "problems": [str(translate(failure, if_lost="", if_refused="")).rstrip()]}
    found = judge_reconciler(None if last is None else int(now) - int(last) / 1000, settings.reconcile_every)
    healthy = found.status is Status.OK
    return {"healthy": healthy, "problems": [] if healthy else [f"The reconciler {found.found}. {found.advice}"]}


def _own_url(port: int | None) -> str:
    settings = load_settings(env_file=env_file())
    chosen = port or settings.health_port
    if chosen is None:
        raise Missing("--port", "give it, or set GATEPOST_HEALTH_PORT")
    host = _EVERYWHERE.get(settings.health_host, settings.health_host)
    return f"http://{f'[{host}]' if ':' in host else host}:{chosen}/health"


def _ask(url: str, timeout: float) -> dict[str, Any]:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        # Python's own text repeats a part of the URL.
        host = port = None
    if not host or parts.scheme not in {"http", "https"}:
        raise InvalidCommand([FieldError("url", "must be an http or https URL")])
    # Not urllib.request, which uses the proxy of the environment.
    if parts.scheme == "https":
        context = ssl.create_default_context()
        connection: http.client.HTTPConnection = http.client.HTTPSConnection(
            host, port, timeout=timeout, context=context
        )
    else:
        connection = http.client.HTTPConnection(host, port, timeout=timeout)
    try:
        connection.request("GET", parts.path or "/health")
        answer = json.loads(connection.getresponse().read())
        if (
            isinstance(answer, dict)
            and isinstance(answer.get("healthy"), bool)
            and _are_texts(answer.get("problems", []))
        ):
            return {"problems": [], **answer}
    except (OSError, http.client.HTTPException, ValueError, RecursionError) as failure:
        return {"healthy": False, "problems": [f"The worker does not answer ({type(failure).__name__})."]}
    finally:
        connection.close()
    return {"healthy": False, "problems": ["The answer is not a worker's health report."]}


def _are_texts(values: Any) -> bool:
    return isinstance(values, list) and all(isinstance(value, str) for value in values)
