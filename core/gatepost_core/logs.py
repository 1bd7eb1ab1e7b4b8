"""Structured logs of the processes that run until they are stopped: JSON or console, redacted. Records of other libraries pass the same pipeline."""

from __future__ import annotations

import logging
import re
import sys
import threading
from functools import lru_cache, partial
from logging.handlers import WatchedFileHandler
from typing import TYPE_CHECKING, Any, Final

import structlog

from gatepost_core.error_boundary import account
from gatepost_core.safe_text import visible_fields

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType

    from structlog.typing import EventDict, Processor, WrappedLogger

    from gatepost_core.settings import Settings

_SECRET_NAMES: Final = re.compile(
    r"e-?mail|phone|username|^code$|otp|token|secret|password|authorization|assertion|cookie|private", re.IGNORECASE
)
# Personal data and credentials inside a text: an email address, a number in E.164, a JWT or JWE.
_SECRET_TEXT: Final = re.compile(
    # Leave out a masked password with the host behind it.
    r"(?!\*+@)[^\s@\"'<>(),;:=]{1,64}@[^\s@\"'<>(),;:=]{1,255}\.[^\s@\"'<>(),;:=]+"
    r"|(?<![\w-])(?:\+|%2[Bb])\d{6,15}(?!\d)"
    r"|\beyJ[\w-]+\.[\w-]*\.[\w.-]*"
)
QUIET: Final = (
    # Their lines for each task repeat arguments and results, and say less than `attempt.finished`.
    "celery.app.trace",
    "celery.worker.strategy",
    "celery.pool",
    "celery.concurrency",
    "amqp",
    "kombu",
    # Their lines for each request repeat its query and parts of its body, or tokens.
    "authlib",
    "httpcore",
    "httpx",
    "python_multipart",
    "urllib3",
)
"""Loggers of which only warnings are written."""
# Each secret that the pattern finds contains one of them.
_MARKS: Final = ("@", "+", "%2", "eyJ")
_MASK: Final = "***"
_TRACEBACK: Final = "Traceback (most recent call last):"
_CALLBACK: Final = re.compile(r"(callback) .*")
# Characters; the rest is cut. The time of the search grows faster than the text, and some texts come from other systems.
_LONGEST_TEXT: Final = 16_384


def shows_a_person(text: str) -> bool:
    """Return whether a text has an e-mail address, a phone number or a token in it, as far as patterns find them."""
    return "@" in text or _SECRET_TEXT.search(text) is not None


def redact(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Mask secrets and personal data by a field's name and a value's pattern. A structlog processor."""
    return {name: _masked(name, value) for name, value in event.items()}


@lru_cache(maxsize=1024)
def _names_a_secret(name: str) -> bool:
    return _SECRET_NAMES.search(name) is not None


def _masked(name: str, value: Any) -> Any:
    if isinstance(value, str):
        if name != "event" and _names_a_secret(name):
            return _MASK
        text = value[:_LONGEST_TEXT]
        # Most texts have none of these, and the search takes longer than all other steps of a log line.
        return _SECRET_TEXT.sub(_MASK, text) if any(mark in text for mark in _MARKS) else text
    if isinstance(value, dict):
        return {inner: _masked(str(inner), one) for inner, one in value.items()}
    if isinstance(value, list | tuple | set):
        return [_masked(name, one) for one in value]
    return value if isinstance(value, bool | int | float | None) else _masked(name, str(value))


def _without_exception(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Replace an exception with its class and places: its frames' locals hold a task's data, and its text can quote it."""
    exc_info = event.pop("exc_info", None)
    error = sys.exc_info()[1] if exc_info is True else exc_info[1] if isinstance(exc_info, tuple) else exc_info
    if isinstance(error, BaseException):
        event.setdefault("failure", account(error))
    return event


def _without_quotes(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Cut what libraries quote in a text: tracebacks, as uvicorn does, and the arguments of tasks and callbacks, as asyncio does."""
    text = event.get("event")
    if not isinstance(text, str):
        return event
    if event.get("logger") == "asyncio":
        event["event"] = _CALLBACK.sub(r"\1", text.partition("\n")[0])
    elif _TRACEBACK in text:
        before, _, trace = text.partition(_TRACEBACK)
        event["event"] = before.strip() or "an error"
        event.setdefault("failure", trace.rstrip().rpartition("\n")[2].partition(":")[0])
    return event


def _forbid_frames() -> None:
    """Remove exceptions from all records of the process, Celery's and kombu's included: error trackers read them there."""
    make = logging.getLogRecordFactory()
    if not (isinstance(make, partial) and make.func is _frameless_record):
        logging.setLogRecordFactory(partial(_frameless_record, make))


def _frameless_record(make: Callable[..., logging.LogRecord], *args: Any, **options: Any) -> logging.LogRecord:
    record = make(*args, **options)
    error = record.exc_info[1] if isinstance(record.exc_info, tuple) else None
    if error is not None:
        record.failure = account(error)
    record.exc_info = record.stack_info = None
    return record


class _Formatter(structlog.stdlib.ProcessorFormatter):
    """Writes other libraries' records as structlog does, and Gatepost's own without the copy of the record that structlog makes."""

    def __init__(self, shared: Sequence[Processor], renderers: Sequence[Callable[..., Any]]) -> None:
        super().__init__(foreign_pre_chain=shared, processors=[self.remove_processors_meta, *renderers])
        self._renderers = renderers

    def format(self, record: logging.LogRecord) -> str:
        """Return a record as text."""
        if not (isinstance(record.msg, dict) and hasattr(record, "_logger")):
            return super().format(record)
        event: Any = record.msg.copy()
        for render in self._renderers:
            event = render(None, record.levelname, event)
        return str(event)


def start(settings: Settings, logger: str) -> None:
    """Start the log of a process that runs until it is stopped. Errors that nothing caught are written to it, too.

    Args:
        settings: name the format and the minimum level.
        logger: the name on the lines about such errors.
    """
    configure(log_format=settings.log_format, level=settings.log_level)
    log_uncaught(logger)


def configure(*, log_format: str, level: str, file: str | None = None) -> None:
    """Send every log record of the process through structlog to standard error or to a file.

    Args:
        log_format: `json`, or anything else for the console's format.
        level: the minimum level.
        file: the path of the log file; None for standard error.
    """
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.stdlib.ExtraAdder(allow=["failure"]),
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _without_exception,
        _without_quotes,
        redact,
    ]
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    _forbid_frames()
    handler = WatchedFileHandler(file, encoding="utf-8") if file else logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Formatter(shared, _renderers(log_format)))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    # Python's warnings, which would be printed.
    logging.captureWarnings(True)
    for name in QUIET:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))


def log_uncaught(logger: str) -> None:
    """Write the errors that end a thread or the process to the log. Python would print their text, which can quote a person."""
    log = structlog.stdlib.get_logger(logger)

    def ends_process(_kind: type[BaseException], error: BaseException, _trace: TracebackType | None) -> None:
        log.critical("process.failed_unexpectedly", failure=account(error))

    def ends_thread(args: threading.ExceptHookArgs) -> None:
        if args.exc_value is not None and not isinstance(args.exc_value, SystemExit):
            name = args.thread.name if args.thread else None
            log.error("thread.failed_unexpectedly", thread=name, failure=account(args.exc_value))

    def is_not_raised(args: Any) -> None:
        if args.exc_value is not None:
            log.error("error.not_raised", failure=account(args.exc_value))

    sys.excepthook, threading.excepthook, sys.unraisablehook = ends_process, ends_thread, is_not_raised


def _renderers(log_format: str) -> list[Callable[..., Any]]:
    if log_format == "json":
        return [structlog.processors.JSONRenderer()]
    return [
        visible_fields,
        structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty()),
    ]
