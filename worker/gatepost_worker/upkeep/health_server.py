"""A worker's health over HTTP: `GET /health` and `GET /live` answer 200 or 503 with a JSON object, from daemon threads of the worker."""

from __future__ import annotations

import json
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Final, Self

import structlog
from celery.worker import state as worker_state

from gatepost_core.broker.publishing import BROKER_ERRORS
from gatepost_core.errors import ConfigurationError
from gatepost_worker.server_errors import log_errors
from gatepost_worker.upkeep.queue_sizes import QueueSizes

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from celery import Celery

    from gatepost_worker.upkeep.liveness import Liveness

_SAMPLES_IN_PATIENCE: Final = 6
_LONGEST_INTERVAL_S: Final = 5.0
_ANSWER_S: Final = 5
_HEALTH: Final = "/health"
_LIVE: Final = "/live"
_log = structlog.stdlib.get_logger("gatepost.worker")


class QueueSampler:
    """Samples the queues that this worker serves, and its slots."""

    def __init__(self, app: Celery, queues: Collection[str], slots: int) -> None:
        self._sizes = QueueSizes(app, queues)
        self._slots = slots

    def sample(self) -> tuple[dict[str, int], int]:
        """Return the number of waiting messages by queue, and the number of free slots.

        Raises:
            OSError, KombuError, AMQPError, RedisError: the broker did not answer.
        """
        return self._sizes.read(), max(0, self._slots - len(worker_state.active_requests))

    def close(self) -> None:
        """Close the connection; the next sample opens another."""
        self._sizes.close()


class HealthServer:
    """Serves one worker's health report and samples its queues."""

    def __init__(
        self, liveness: Liveness, sampler: QueueSampler, *, host: str, port: int | None, patience_s: float
    ) -> None:
        """Prepare the server; `start` listens.

        Args:
            liveness: the record of the worker's progress.
            sampler: counts waiting messages and free slots.
            host: the address to listen at.
            port: the port; 0 takes a free one, and None listens at none.
            patience_s: seconds, the same as `liveness` has; a sample is taken several times within them.
        """
        self._liveness = liveness
        self._sampler = sampler
        self._host, self._port = host, port
        self._interval_s = min(patience_s / _SAMPLES_IN_PATIENCE, _LONGEST_INTERVAL_S)
        self._ended = threading.Event()
        self._server: ThreadingHTTPServer | None = None

    @property
    def port(self) -> int | None:
        """The port it listens at."""
        return self._port if self._server is None else int(self._server.server_address[1])

    def start(self) -> Self:
        """Listen, and sample the queues.

        Raises:
            ConfigurationError: the address is taken, or belongs to another machine.
        """
        if self._port is not None:
            self._server = self._listen(self._port)
            self._run("health", self._server.serve_forever)
        self._run("health-sampler", self._sample)
        return self

    def _listen(self, port: int) -> ThreadingHTTPServer:
        try:
            server = ThreadingHTTPServer((self._host, port), _handler(self._liveness))
        except (OSError, OverflowError) as failure:
            raise ConfigurationError(
                f"GATEPOST_HEALTH_PORT: cannot listen at {self._host}:{port} ({failure})"
            ) from None
        server.daemon_threads = True
        log_errors(server)
        return server

    def stop(self) -> None:
        """Stop listening and sampling."""
        self._ended.set()
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()

    def _run(self, name: str, target: Callable[[], Any]) -> None:
        threading.Thread(target=target, name=f"gatepost-{name}", daemon=True).start()

    def _sample(self) -> None:
        while not self._ended.wait(self._interval_s):
            try:
                self._liveness.sampled(*self._sampler.sample())
            except BROKER_ERRORS as failure:
                _log.debug("health.no_sample", error=type(failure).__name__)
        self._sampler.close()


def _handler(liveness: Liveness) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        server_version = "gatepost"
        sys_version = ""
        timeout = _ANSWER_S

        def do_GET(self) -> None:
            """Answer with the worker's health report. The status of `/live` is 503 only if a restart helps."""
            path = self.path.partition("?")[0]
            if path not in {_HEALTH, _LIVE}:
                self.send_error(HTTPStatus.NOT_FOUND)
                return
            report = liveness.report()
            body = json.dumps(report.as_json()).encode()
            good = report.healthy if path == _HEALTH else not report.restart_helps
            self.send_response(HTTPStatus.OK if good else HTTPStatus.SERVICE_UNAVAILABLE)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Cache-Control", "no-store")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the standard library's name
            """Log nothing: the worker's log is for its work."""

    return Handler
