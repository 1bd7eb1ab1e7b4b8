"""A mailbox, and a producer whose operations a worker in the same thread carries out at once."""

from __future__ import annotations

import re
import threading
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Literal

import pytest
from pydantic import SecretStr

from gatepost import Producer
from gatepost_core.identifiers import Personal
from gatepost_core.kinds import Channel
from gatepost_core.settings.probe import USUAL_CODE
from gatepost_operations.planning.limiter import LimiterQuotas
from gatepost_operations.probing.imap_mailbox import ImapAccess, ImapMailbox
from gatepost_operations.probing.run import Probe, Target
from gatepost_simulator.settings import DEV_CLIENT_ID, DEV_CLIENT_SECRET
from gatepost_worker.delivery.runner import Later
from gatepost_worker.process import Process
from support.mailboxes import PASSWORD, USER, Mailbox, MailServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import redis

    from gatepost.handles import Handle
    from gatepost_core.commands import Command
    from gatepost_core.settings import Settings
    from gatepost_operations.probing.code_source import CodeSource
    from gatepost_simulator.server import SimulatorServer
    from gatepost_worker.delivery.runner import Progress
    from support.tls_authority import Authority

ADDRESS = "probe+canary-w4t8@example.com"


class Patience:
    """A clock that stops until a message has arrived, and then runs out: no test waits for a limit, on a slow machine neither."""

    def __init__(self, mailbox: Mailbox) -> None:
        self._mailbox = mailbox
        self._passed = 0.0

    def now(self) -> float:
        return self._passed

    def sleep(self, _seconds: float) -> None:
        if self._mailbox.messages:
            self._passed += 3600
        time.sleep(0.05)


class WorkedProducer(Producer):
    """A producer beside a worker that takes each operation as soon as it is enqueued, and each deferred one when it is due."""

    def __init__(self, settings: Settings, of_worker: Settings | None = None) -> None:
        super().__init__(settings)
        self._threads: list[threading.Thread] = []
        self._closed = threading.Event()
        self.process = Process(of_worker or settings)
        self.process.prepare()

    def enqueue(self, command: Command, idempotency_key: str | None = None) -> Handle:
        handle = super().enqueue(command, idempotency_key)
        progress = self.process.runner.run(handle.operation_id)
        if isinstance(progress, Later):
            self._threads.append(threading.Thread(target=self._continue, args=(handle.operation_id, progress)))
            self._threads[-1].start()
        return handle

    def _continue(self, operation_id: str, progress: Progress) -> None:
        while isinstance(progress, Later) and not self._closed.wait(progress.wait.total_seconds()):
            progress = self.process.runner.run(operation_id)

    def close(self) -> None:
        self._closed.set()
        for thread in self._threads:
            thread.join()
        super().close()
        self.process.close()


@pytest.fixture
def mailbox(authority: Authority) -> Iterator[Mailbox]:
    """An empty mailbox."""
    with Mailbox(authority) as opened:
        yield opened


@pytest.fixture
def mail(mailbox: Mailbox, simulator: SimulatorServer) -> Iterator[Callable[..., None]]:
    """Lets the simulator deliver to the mailbox; keywords change its template."""
    with MailServer(lambda _, raw: mailbox.put(raw) and None) as server:

        def change(**smtp: str) -> None:
            simulator.control.change_settings(smtp={"server": server.server, **smtp})

        change()
        yield change


@pytest.fixture
def open_mailbox(mailbox: Mailbox, authority: Authority) -> Iterator[Callable[..., ImapMailbox]]:
    """Make the probe's access to the mailbox; keywords change it."""
    made = []

    def make(
        used: Literal["delete", "mark", "keep"] = "delete",
        sleep: Callable[[float], object] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
        **changes: Any,
    ) -> ImapMailbox:
        fields = {"host": "localhost", "port": mailbox.port, "user": Personal(USER), "password": SecretStr(PASSWORD)}
        access = ImapAccess(**{**fields, "ca_bundle": authority.bundle, **changes})
        made.append(ImapMailbox(access, Personal(ADDRESS), re.compile(USUAL_CODE), used, sleep=sleep, clock=clock))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def probe_settings(make_settings: Callable[..., Settings], simulator: SimulatorServer) -> Settings:
    """Settings that lead to the simulator."""
    return make_settings(
        auth0_domain=simulator.domain,
        auth0_base_url=simulator.url,
        auth0_client_id=DEV_CLIENT_ID,
        auth0_client_secret=DEV_CLIENT_SECRET,
        email_deadline=3,
    )


@pytest.fixture
def make_worked() -> Iterator[Callable[..., WorkedProducer]]:
    """Make a producer with a worker, which may have other settings."""
    with ExitStack() as stack:

        def make(settings: Settings, of_worker: Settings | None = None) -> WorkedProducer:
            return stack.enter_context(WorkedProducer(settings, of_worker))

        yield make


@pytest.fixture
def worked(make_worked: Callable[..., WorkedProducer], probe_settings: Settings) -> WorkedProducer:
    """A producer with a worker."""
    return make_worked(probe_settings)


@pytest.fixture
def usual_code() -> re.Pattern[str]:
    """The default pattern of a code."""
    return re.compile(USUAL_CODE)


@pytest.fixture
def read_quotas(probe_settings: Settings, redis_client: redis.Redis) -> Callable[[], list[dict[str, Any]]]:
    """Read what `gatepost quota --json` shows."""

    def read() -> list[dict[str, Any]]:
        quotas, failures = LimiterQuotas(probe_settings, redis_client).read()
        assert failures == []
        return [quota.as_json() for quota in quotas]

    return read


@pytest.fixture
def make_probe(
    worked: WorkedProducer, mail: Callable[..., None], mailbox: Mailbox, open_mailbox: Callable[..., ImapMailbox]
) -> Callable[..., Probe]:
    """Make a probe of the mailbox."""
    patience = Patience(mailbox)

    def make(
        source: CodeSource | None = None,
        producer: Producer | None = None,
        *,
        arrival_s: float = 60,
        operation_s: float = 60,
        deferred_s: float = 0,
    ) -> Probe:
        target = Target(Personal(ADDRESS), Channel.EMAIL, "default", "email")
        chosen = source or open_mailbox(sleep=patience.sleep, clock=patience.now)
        return Probe(
            producer or worked,
            chosen,
            target,
            operation_s=operation_s,
            deferred_s=deferred_s,
            arrival_s=arrival_s,
            clock=patience.now,
        )

    return make
