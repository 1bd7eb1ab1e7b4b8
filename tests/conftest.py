"""Fixtures that every tier shares: a real Valkey, settings that lead to it, and a clean database a test."""

from __future__ import annotations

import gc
import logging
import os
import signal
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import pytest
import redis
import structlog

from gatepost_core.logs import QUIET
from gatepost_core.settings import Settings
from gatepost_operations.local.embedded_valkey import EmbeddedValkey
from support.long_files import is_long, mark_long
from support.sealing_keys import SEALING_KEY
from support.tls_authority import Authority
from support.whole_files import WholeFiles, slow_first

# Most of the suite's time is the start of interpreters. Each one finds its modules compiled, even where the environment turns bytecode off.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False
sys.pycache_prefix = os.environ.setdefault(
    "PYTHONPYCACHEPREFIX", str(Path(__file__).resolve().parents[1] / "build" / "bytecode")
)

# A shell starts its background jobs with SIGINT ignored, and programs inherit that; those of the tests are there to be interrupted.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# A busy machine is no reason to fail; and what CI finds, anybody finds again.
hypothesis.settings.register_profile(
    "gatepost",
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
    derandomize=bool(os.environ.get("CI")),
    print_blob=True,
)
hypothesis.settings.load_profile("gatepost")

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator
    from typing import Any


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the long files, and begin with the slow ones."""
    mark_long(items)
    items[:] = slow_first(items)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Spare the garbage collector the objects of ten thousand tests, which live until the end."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Do not import the files that `make test` leaves out."""
    return True if config.option.markexpr == "not long" and is_long(collection_path) else None


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object:
    """Spread whole files over the processes."""
    return WholeFiles(config, log)


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Keep the exit status beside the names of the failed tests; make does not pass it on."""
    cache = getattr(session.config, "cache", None)
    if cache is not None and not hasattr(session.config, "workerinput"):
        cache.set("gatepost/exit_status", int(exitstatus))


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads the configuration of the person who runs it."""
    for name in list(os.environ):
        if name.startswith(("AUTH0_", "GATEPOST_")):
            monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def valkey_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedValkey]:
    """A real Valkey for the session."""
    with EmbeddedValkey(tmp_path_factory.mktemp("valkey")) as server:
        yield server


@pytest.fixture
def valkey(valkey_server: EmbeddedValkey) -> Iterator[EmbeddedValkey]:
    """The session's Valkey, emptied for this test."""
    with redis.Redis.from_url(valkey_server.url) as client:
        client.flushall()
    return valkey_server


@pytest.fixture
def redis_client(valkey: EmbeddedValkey) -> Iterator[redis.Redis]:
    """A client of the emptied Valkey."""
    with redis.Redis.from_url(valkey.url, protocol=2) as client:
        yield client


@pytest.fixture
def make_settings(valkey: EmbeddedValkey) -> Callable[..., Settings]:
    """Make settings that lead to the test's Valkey and to a tenant that does not exist; keywords change them."""

    def make(**given: Any) -> Settings:
        fields: dict[str, Any] = {
            "redis_url": valkey.url,
            "sealing_keys": SEALING_KEY.reveal(),
            "fingerprint_key": "a fingerprint key of the tests alone",
            "auth0_domain": "localhost:1",
            "auth0_client_id": "client",
            "auth0_client_secret": "s3cret",
        }
        return Settings(**{**fields, **given})

    return make


@pytest.fixture
def settings(make_settings: Callable[..., Settings]) -> Settings:
    """Settings that lead to the test's Valkey."""
    return make_settings()


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """One certificate authority for the session, with a client certificate."""
    return Authority.create(tmp_path_factory.mktemp("authority"))


@pytest.fixture(autouse=True)
def log_as_before() -> Iterator[None]:
    """A command that ran inside a test has configured the log to write to that test's output, which is closed afterwards."""
    root, make = logging.getLogger(), logging.getLogRecordFactory()
    handlers, level = root.handlers[:], root.level
    hooks = sys.excepthook, threading.excepthook, sys.unraisablehook
    yield
    if not structlog.is_configured():
        return
    structlog.reset_defaults()
    logging.setLogRecordFactory(make)
    logging.captureWarnings(False)
    root.handlers[:] = handlers
    root.setLevel(level)
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.NOTSET)
    sys.excepthook, threading.excepthook, sys.unraisablehook = hooks


@pytest.fixture
def empty_directory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Work in a directory without a `.env`."""
    monkeypatch.chdir(tmp_path)
    return tmp_path
