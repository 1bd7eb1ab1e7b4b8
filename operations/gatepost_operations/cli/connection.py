"""Settings, Redis, producer and campaigns for one command, with the log on standard error."""

from __future__ import annotations

import logging
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import structlog

from gatepost.producer import Producer
from gatepost_core.audit_log import AuditLog
from gatepost_core.logs import redact
from gatepost_core.redis.connections import connect
from gatepost_core.redis.keys import RedisKeys
from gatepost_core.safe_text import visible_fields
from gatepost_core.settings import load_settings
from gatepost_core.settings.cleartext import IN_CLEAR, cleartext_settings
from gatepost_operations.cli.dev_environment import env_file
from gatepost_operations.cli.output import say

if TYPE_CHECKING:
    from collections.abc import Iterator

    from redis import Redis

    from gatepost.campaigns.control import Campaigns
    from gatepost_core.settings import Settings


def read_settings() -> Settings:
    """Read the settings from the environment and the project's `.env`, and send the library's warnings to standard error.

    Raises:
        ConfigurationError: the configuration is incomplete or malformed.
    """
    log_to_stderr()
    return load_settings(env_file=env_file())


@contextmanager
def open_redis() -> Iterator[tuple[Settings, Redis, AuditLog]]:
    """Give the settings, a connection to Redis and the audit log. Errors are those of `read_settings`."""
    settings = read_settings()
    with connect(settings) as client:
        yield (
            settings,
            client,
            AuditLog(client, RedisKeys(settings.namespace), settings.fingerprints(), who=settings.operator),
        )


@contextmanager
def open_redis_without_keys() -> Iterator[tuple[Settings, Redis]]:
    """Give the settings and a connection to Redis, for acts that need no key. Errors are those of `read_settings`."""
    settings = read_settings()
    with connect(settings) as client:
        yield settings, client


@contextmanager
def open_producer() -> Iterator[Producer]:
    """Give a producer. Errors are those of `read_settings`."""
    settings = read_settings()
    if in_clear := cleartext_settings(settings):
        say(f"gatepost: {', '.join(in_clear)}: {IN_CLEAR}.")
    with Producer(settings) as producer:
        yield producer


@contextmanager
def open_campaigns() -> Iterator[Campaigns]:
    """Give the campaigns. Errors are those of `read_settings`."""
    with open_producer() as producer:
        yield producer.campaigns


def log_to_stderr() -> None:
    """Write the library's warnings to standard error, as plain lines."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            redact,
            visible_fields,
            structlog.dev.ConsoleRenderer(colors=False, pad_event_to=0),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
