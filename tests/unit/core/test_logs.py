"""Nothing of a person or a credential reaches the log, by name or by look, and tracebacks come without locals."""

from __future__ import annotations

import asyncio
import gc
import io
import json
import logging
import sys
import threading
import traceback
from typing import Any

import pytest
import structlog

from gatepost_core import logs
from support.hostile_texts import steering

CANARY = "canary-51c2"


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """Configure the log as a worker does, into a buffer."""
    buffer = io.StringIO()
    monkeypatch.setattr(sys, "stderr", buffer)
    logs.configure(log_format="json", level="DEBUG")
    return buffer


def lines(buffer: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in buffer.getvalue().splitlines()]


@pytest.mark.parametrize(
    "fields",
    [
        {"email": CANARY},
        {"phone_number": "12025550143"},
        {"otp": "914377"},
        {"code": "914377"},
        {"access_token": CANARY},
        {"client_secret": CANARY},
        {"headers": {"Authorization": CANARY}},
        {"note": f"sent to {CANARY}@example.com today"},
        {"note": "called +12025550143"},
        {"note": "username=%2B12025550143&realm=sms"},
        {"note": ["eyJhbGciOiJkaXIifQ.canary-51c2.x"]},
        {
            "object": type(
                "Odd",
                (),
                {"__repr__": lambda _: f"<{CANARY}@example.com>", "__str__": lambda _: f"{CANARY}@example.com"},
            )()
        },
    ],
)
def test_a_field_is_masked_by_its_name_and_by_its_look(log: io.StringIO, fields: dict[str, Any]) -> None:
    """A careless log line does not reveal a secret."""
    structlog.stdlib.get_logger("gatepost.worker").info("something.happened", **fields)

    for secret in (CANARY, "12025550143", "914377"):
        assert secret not in log.getvalue()
    assert lines(log)[0]["event"] == "something.happened"


def test_a_foreign_librarys_record_is_masked_too(log: io.StringIO) -> None:
    """Celery, urllib3 and the rest go through the same pipeline."""
    logging.getLogger("someone.else").warning("mail for %s", f"{CANARY}@example.com", extra={"data": {"args": CANARY}})

    assert lines(log)[0]["event"] == "mail for ***"
    assert CANARY not in log.getvalue()


@pytest.mark.parametrize(
    "logger",
    [structlog.stdlib.get_logger("gatepost.worker"), logging.getLogger("celery.worker")],
    ids=["ours", "Celery's"],
)
def test_an_exception_is_logged_by_its_class_and_its_place(log: io.StringIO, logger: Any) -> None:
    """The locals of its frames hold a task's data, and its text can quote it."""
    records: list[logging.LogRecord] = []
    keeping = logging.Handler()
    keeping.emit = records.append  # type: ignore[method-assign] # as an error tracker takes records
    logging.getLogger().addHandler(keeping)
    held = CANARY
    try:
        int(held)
    except ValueError:
        logger.exception("it.failed")

    assert lines(log)[0]["failure"].startswith("ValueError at test_logs.py:")
    assert CANARY not in log.getvalue()
    assert [record.exc_info for record in records] == [None]


def test_a_stack_is_not_logged(log: io.StringIO) -> None:
    """An error tracker would take the locals of every frame of it."""
    records: list[logging.LogRecord] = []
    keeping = logging.Handler()
    keeping.emit = records.append  # type: ignore[method-assign] # as above
    logging.getLogger().addHandler(keeping)
    logging.getLogger("celery.worker").error("it failed", exc_info=True, stack_info=True)  # noqa: LOG014 - as careless code does

    assert [(record.exc_info, record.stack_info) for record in records] == [(None, None)]


def test_what_an_operator_needs_is_not_masked(log: io.StringIO) -> None:
    """A redaction that hides everything would pass every other test."""
    logger = structlog.stdlib.get_logger("gatepost.worker")
    logger.info("attempt.finished", state="accepted", attempt=1, http_status=200, reason=None, auth0_code="bad.email")

    line = lines(log)[0]
    assert (line["state"], line["attempt"], line["http_status"], line["auth0_code"]) == (
        "accepted",
        1,
        200,
        "bad.email",
    )


def test_celerys_own_task_lines_are_silent(log: io.StringIO) -> None:
    """They would repeat arguments and results; ours says more."""
    logging.getLogger("celery.app.trace").info("Task succeeded: %s", CANARY)

    assert log.getvalue() == ""


def test_the_calls_of_celerys_pool_are_not_logged(log: io.StringIO) -> None:
    """At DEBUG they hold the arguments, which of a plain submission are a person's."""
    logging.getLogger("celery.pool").debug("TaskPool: Apply %s (args:%s)", "task", {"command": {"code": "914377"}})

    assert log.getvalue() == ""


def test_a_long_text_without_an_address_is_searched_in_time(log: io.StringIO) -> None:
    """A text from another system may have a million letters; the log shows and searches only a part of it."""
    logging.getLogger("gatepost.worker").warning("a" * 1_000_000)
    logging.getLogger("gatepost.worker").warning("%s@example.com %s", "a" * 64, "b" * 100)

    long, masked = lines(log)
    assert len(long["event"]) < 20_000
    assert "@" not in masked["event"]


@pytest.mark.usefixtures("log")
def test_on_a_console_a_text_steers_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """A worker's log is read on a terminal too: a task's name is a stranger's, and so is what an error says."""
    logs.configure(log_format="console", level="DEBUG")
    structlog.stdlib.get_logger("gatepost.worker").warning("message.malformed", task="\x1b]0;spoofed\x07")
    logging.getLogger("celery.worker").error("cannot take %s", "\x9b2J\u202e")
    logging.getLogger("celery.worker").error("failed", exc_info=ValueError("\u2028\x7f"))
    text = capsys.readouterr().err

    assert r"\x1b]0;spoofed\x07" in text
    assert r"cannot take \x9b2J\u202e" in text
    assert "failure=ValueError" in text
    assert not steering(text.replace("\n", ""))


def test_an_error_that_nothing_caught_is_a_line_without_its_text(log: io.StringIO) -> None:
    """Python would print it with its text, in a thread as well as at the end of the process."""
    logs.log_uncaught("gatepost.api")
    fails = threading.Thread(target=int, args=(CANARY,), name="one")
    fails.start()
    fails.join()
    sys.excepthook(ValueError, ValueError(CANARY), None)

    ended, process = lines(log)
    assert (ended["event"], ended["thread"], ended["logger"]) == ("thread.failed_unexpectedly", "one", "gatepost.api")
    assert (process["event"], process["failure"]) == ("process.failed_unexpectedly", "ValueError")
    assert CANARY not in log.getvalue()


@pytest.mark.parametrize(
    "library", ["httpx", "httpcore.http11", "urllib3.connectionpool", "python_multipart.multipart"]
)
def test_a_library_s_lines_for_each_request_are_not_written(log: io.StringIO, library: str) -> None:
    """They repeat queries and bodies. Its warnings are written."""
    logger = logging.getLogger(library)
    logger.info("HTTP Request: GET http://api/v1/recipients?find=%s", CANARY)
    logger.warning("connection lost")

    assert [line["event"] for line in lines(log)] == ["connection lost"]


def test_asyncio_s_lines_repeat_no_argument_and_no_error(log: io.StringIO) -> None:
    """They show the call of a callback, and the error of a task with its text."""

    async def fails() -> None:
        raise ValueError(CANARY)

    async def main() -> None:
        forgotten = asyncio.create_task(fails())
        await asyncio.sleep(0)
        del forgotten
        gc.collect()
        asyncio.get_running_loop().call_soon(int, CANARY)
        await asyncio.sleep(0)

    asyncio.run(main(), debug=False)

    found = [line for line in lines(log) if line["level"] == "error"]
    assert [line["event"] for line in found] == ["Task exception was never retrieved", "Exception in callback"]
    assert all(line["failure"].startswith("ValueError at ") for line in found)
    assert CANARY not in log.getvalue()


def test_a_traceback_in_a_text_is_cut(log: io.StringIO) -> None:
    """Uvicorn logs the traceback of a failed start as a text, and its last line is the error's."""
    try:
        raise LookupError(CANARY)  # noqa: TRY301 - the test needs its traceback
    except LookupError:
        text = traceback.format_exc()
    logging.getLogger("uvicorn.error").error(text)
    logging.getLogger("uvicorn.error").error("It failed.\n%s", text)

    assert [(line["event"], line["failure"]) for line in lines(log)] == [
        ("an error", "LookupError"),
        ("It failed.", "LookupError"),
    ]
    assert CANARY not in log.getvalue()
