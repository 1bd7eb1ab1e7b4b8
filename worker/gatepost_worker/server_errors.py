"""Errors in requests for health and metrics. Python would print them past the log, with their text and the client's address."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final

import structlog

from gatepost_core.error_boundary import account

if TYPE_CHECKING:
    from collections.abc import Iterable
    from socketserver import BaseServer
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

_log = structlog.stdlib.get_logger("gatepost.server")
_FAILED: Final = "500 Internal Server Error"


def log_errors(server: BaseServer) -> None:
    """Make a server log the errors of its requests. A client that went away is no error."""
    server.handle_error = _log_error  # type: ignore[method-assign, assignment] # a library makes the server


def logged(app: WSGIApplication) -> WSGIApplication:
    """Return an app that logs its errors, and answers with the status 500."""

    def answer(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        try:
            return app(environ, start_response)
        except Exception as error:  # noqa: BLE001 - the outermost frame: wsgiref would print the error's text
            _log.error("server.request_failed", failure=account(error))
        start_response(_FAILED, [("Content-Type", "text/plain")])
        return [_FAILED.encode()]

    return answer


def _log_error(_request: Any, _client: Any) -> None:
    error = sys.exc_info()[1]
    if error is not None and not isinstance(error, OSError):
        _log.error("server.request_failed", failure=account(error))
