"""A RabbitMQ node for one test, with its own name, ports and files."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

import kombu
from amqp.exceptions import NotFound
from kombu.exceptions import OperationalError

from gatepost_core.kinds import Queue
from support.keys import KEYS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

SERVER: Final = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
_CONTROL: Final = SERVER.with_name("rabbitmqctl")
# Erlang takes its time to start beside other tests.
_READY_S: Final = 120.0


class RabbitMQ:
    """One node that keeps its port and its durable queues from one start to the next. Use it as a context manager."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._port, self._distribution_port, self._mapper_port = _free_ports(3)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The URL for GATEPOST_BROKER_URL."""
        return f"amqp://guest:guest@127.0.0.1:{self._port}//"

    def start(self) -> None:
        """Start it and wait until it takes connections."""
        log = self._directory / "output.log"
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [str(SERVER)],
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        give_up = time.monotonic() + _READY_S
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > give_up:
                raise AssertionError(f"RabbitMQ did not start:\n{log.read_text(errors='replace')}")
            time.sleep(0.2)

    def kill(self) -> None:
        """End it and everything it started, as a crash would."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(120)
            self._process = None

    def host(self, name: str) -> str:
        """Return the URL of a virtual host."""
        return f"{self.url.removesuffix('/')}{name}"

    def new_host(self, name: str) -> str:
        """Make a virtual host, and return its URL. Its queues are its own."""
        self._control("add_vhost", name)
        self._control("set_permissions", "-p", name, "guest", ".*", ".*", ".*")
        return self.host(name)

    def permit(self, name: str, configure: str, write: str, read: str) -> None:
        """Give the user these permissions on a virtual host, instead of the earlier ones."""
        self._control("set_permissions", "-p", name, "guest", configure, write, read)

    def new_hosts(self, permissions: Mapping[str, str]) -> None:
        """Make virtual hosts in one step, which takes as long as one: the names, and the pattern of the user's permissions to configure, write and read."""
        steps = []
        for name, pattern in permissions.items():
            patterns = ", ".join([f'<<"{pattern}">>'] * 3)
            steps += [
                f'rabbit_vhost:add(<<"{name}">>, <<"test">>)',
                f'rabbit_auth_backend_internal:set_permissions(<<"guest">>, <<"{name}">>, {patterns}, <<"test">>)',
            ]
        self._control("eval", f"{', '.join(steps)}.")

    @contextmanager
    def in_an_alarm(self) -> Iterator[None]:
        """Have it believe that it is out of memory."""
        self._control("set_vm_memory_high_watermark", "0.000001")
        try:
            yield
        finally:
            self._control("set_vm_memory_high_watermark", "0.4")
            give_up = time.monotonic() + _READY_S
            while not self._takes_messages():
                assert time.monotonic() < give_up, "RabbitMQ is still in an alarm"

    @contextmanager
    def silent(self) -> Iterator[None]:
        """Have it take connections and bytes, and answer nothing."""
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.killpg(self._process.pid, signal.SIGCONT)

    def forget_messages(self) -> None:
        """Empty Gatepost's queues. They stay: kombu declares a queue once a connection, and keeps connections for the whole process."""
        with kombu.Connection(self.url) as connection:
            for queue in Queue:
                channel: Any = connection.channel()
                with suppress(NotFound):
                    channel.queue_purge(KEYS.queue(queue))

    def messages(self) -> int:
        """Return how many messages wait in Gatepost's queues."""
        with kombu.Connection(self.url) as connection:
            channel: Any = connection.channel()
            return sum(channel.queue_declare(KEYS.queue(queue), passive=True).message_count for queue in Queue)

    def __enter__(self) -> Self:
        self._directory.mkdir(parents=True, exist_ok=True)
        (self._directory / "plugins").write_text("[].\n")
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        # The port mapper is a daemon of Erlang's own; this one is ours alone. It stays until it has seen the node go.
        command = ["epmd", "-port", str(self._mapper_port), "-kill"]
        give_up = time.monotonic() + _READY_S
        while subprocess.run(command, capture_output=True, check=False, timeout=30).returncode:
            assert time.monotonic() < give_up
            time.sleep(0.1)

    def _control(self, *arguments: str) -> None:
        subprocess.run(
            [str(_CONTROL), *arguments], env=self._environment(), check=True, capture_output=True, timeout=_READY_S
        )

    def _takes_messages(self) -> bool:
        with kombu.Connection(self.url, transport_options={"confirm_publish": True}) as connection:
            channel: Any = connection.channel()
            try:
                channel.basic_publish(channel.prepare_message(b""), "", "absent", confirm_timeout=0.5)
            except TimeoutError:
                # One that is blocked would wait for its goodbye to be answered.
                connection.collect()
                return False
        return True

    def _answers(self) -> bool:
        try:
            with kombu.Connection(self.url, connect_timeout=1) as connection:
                connection.connect()
        except (OSError, OperationalError):
            return False
        return True

    def _environment(self) -> dict[str, str]:
        own = {
            "HOME": self._directory,  # the Erlang cookie
            "RABBITMQ_NODENAME": f"gatepost{self._port}@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": self._port,
            "RABBITMQ_DIST_PORT": self._distribution_port,
            "RABBITMQ_MNESIA_BASE": self._directory / "mnesia",
            "RABBITMQ_LOG_BASE": self._directory / "log",
            "RABBITMQ_PID_FILE": self._directory / "pid",
            "RABBITMQ_CONF_ENV_FILE": self._directory / "none",
            "RABBITMQ_CONFIG_FILE": self._directory / "none",
            "RABBITMQ_ENABLED_PLUGINS_FILE": self._directory / "plugins",
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 1:1 +sbwt none",
            "ERL_EPMD_PORT": self._mapper_port,
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "PATH": os.environ["PATH"],
            "LANG": "C.UTF-8",
        }
        return {name: str(value) for name, value in own.items()}


def _free_ports(number: int) -> list[int]:
    probes = [socket.socket() for _ in range(number)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]
    finally:
        for probe in probes:
            probe.close()
