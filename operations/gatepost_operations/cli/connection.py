"""The producer or the campaigns of one command, with the log on standard error."""

from __future__ import annotations

import logging
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import structlog

from gatepost.producer import Producer
from gatepost_core.errors import NotFinished
from gatepost_core.safe_text import visible_fields
from gatepost_core.settings import load_settings
from gatepost_core.settings.cleartext import IN_CLEAR, cleartext_settings
from gatepost_operations.cli.exit_codes import ExitCode, exit_code_of_outcome
from gatepost_operations.cli.output import say, show_outcome

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gatepost.campaigns.control import Campaigns
    from gatepost.handles import Handle
    from gatepost_core.outcomes import Outcome

ENV_FILE: Final = ".env"


@contextmanager
def open_producer() -> Iterator[Producer]:
    """Give a producer configured from the environment and the project's `.env`.

    Raises:
        ConfigurationError: the configuration is incomplete or malformed.
    """
    log_to_stderr()
    settings = load_settings(env_file=ENV_FILE)
    if in_clear := cleartext_settings(settings):
        say(f"gatepost: {', '.join(in_clear)}: {IN_CLEAR}.")
    with Producer(settings) as producer:
        yield producer


@contextmanager
def open_campaigns() -> Iterator[Campaigns]:
    """Give the campaigns, configured from the environment and the project's `.env`.

    Raises:
        ConfigurationError: the configuration is incomplete or malformed.
    """
    with open_producer() as producer:
        yield producer.campaigns


def follow(handle: Handle, *, wait: bool, timeout_s: float, as_json: bool) -> ExitCode:
    """Show an operation's result, or its state without waiting, and return the exit code."""
    if not wait:
        outcome = handle.outcome()
        show_outcome(outcome, as_json=as_json)
        return exit_code_of_outcome(outcome)
    outcome_or_none = await_end(handle, timeout_s)
    if outcome_or_none is None:
        show_outcome(handle.outcome(), as_json=as_json)
        return ExitCode.UNEXPECTED
    show_outcome(outcome_or_none, as_json=as_json)
    return exit_code_of_outcome(outcome_or_none)


def await_end(handle: Handle, timeout_s: float) -> Outcome | None:
    """Wait for an operation's result; None, with a message, after the timeout.

    Raises:
        KeyboardInterrupt: after a message that the operation continues.
    """
    try:
        return handle.wait(timeout_s)
    except NotFinished:
        say(f"gatepost: not finished after {timeout_s:g} s; it continues: gatepost status {handle.operation_id}")
        return None
    except KeyboardInterrupt:
        say(f"gatepost: interrupted; the operation continues: gatepost status {handle.operation_id}")
        raise


def log_to_stderr() -> None:
    """Write the library's warnings to standard error, as plain lines."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            visible_fields,
            structlog.dev.ConsoleRenderer(colors=False, pad_event_to=0),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
