"""A master, two replicas and three Sentinels, all of them real."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import time
from typing import TYPE_CHECKING, Self

import redis
from redis.exceptions import RedisError

from gatepost_operations.local.embedded_valkey import EmbeddedValkey, server_binary

if TYPE_CHECKING:
    from pathlib import Path

MASTER = "gatepost-test"
DATABASE = 2
_QUORUM = 2
_READY_S = 120.0
_HOST = "127.0.0.1"


class Sentinels:
    """Three servers, watched by three Sentinels that fail over within a second or two. Use it as a context manager."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.servers = [EmbeddedValkey(directory / f"server{number}") for number in range(3)]
        self._sentinels: list[tuple[int, subprocess.Popen[bytes]]] = []

    @property
    def url(self) -> str:
        """The URL for GATEPOST_REDIS_URL. Its database is not the first, so that a client that ignores it fails."""
        return ";".join(f"sentinel://{_HOST}:{port}" for port, _ in self._sentinels) + f"/{DATABASE}"

    @property
    def master(self) -> EmbeddedValkey:
        """The server that most Sentinels call the master."""
        ports = [self._master_port(port) for port, _ in self._sentinels]
        port = max(set(ports), key=ports.count)
        return next(server for server in self.servers if server.port == port)

    @property
    def replicas(self) -> list[EmbeddedValkey]:
        master = self.master
        return [server for server in self.servers if server is not master and server.running]

    def databases_in_use(self) -> set[str]:
        """Return which databases of the master hold anything."""
        with redis.Redis(port=self.master.port) as client:
            return set(client.info("keyspace"))

    def until_in_step(self) -> None:
        """Wait until every replica has all that the master has."""
        with redis.Redis(port=self.master.port) as client:
            client.set("chaos:mark", 1, px=1)
            assert client.wait(2, int(_READY_S * 1000)) == _QUORUM

    def part_replicas(self) -> None:
        """Disconnect the replicas from the master, which continues: later writes are on the master alone."""
        for replica in self.replicas:
            with redis.Redis(port=replica.port) as client:
                client.replicaof("NO", "ONE")

    def fail_over(self) -> None:
        """Kill the master and wait until the Sentinels agree on another one, which takes writes."""
        old = self.master
        old.kill()
        self._until(lambda: self.master is not old and self._takes_writes(), "there is a new master")

    def __enter__(self) -> Self:
        for server in self.servers:
            server.start()
        first, *others = self.servers
        with redis.Redis(port=first.port) as client:
            client.config_set("repl-diskless-sync-delay", 0)
        for server in others:
            with redis.Redis(port=server.port) as client:
                client.replicaof(_HOST, first.port)
        for number in range(3):
            self._start_sentinel(number, first.port)
        self._until(self._all_know_all, "the Sentinels know each other and the replicas")
        return self

    def __exit__(self, *_: object) -> None:
        for _port, process in self._sentinels:
            process.kill()
            process.wait(10)
        for server in self.servers:
            server.stop()

    def _start_sentinel(self, number: int, master_port: int) -> None:
        with socket.socket() as probe:
            probe.bind((_HOST, 0))
            port = probe.getsockname()[1]
        directory = self._directory / f"sentinel{number}"
        directory.mkdir()
        configuration = directory / "sentinel.conf"
        lines = [
            f"port {port}",
            f"bind {_HOST}",
            f"dir {directory}",
            f"logfile {directory / 'sentinel.log'}",
            f"sentinel monitor {MASTER} {_HOST} {master_port} {_QUORUM}",
            f"sentinel down-after-milliseconds {MASTER} 500",
            f"sentinel failover-timeout {MASTER} 3000",
        ]
        configuration.write_text("\n".join(lines) + "\n", encoding="utf-8")
        command = [str(server_binary()), str(configuration), "--sentinel"]
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        self._sentinels.append((port, process))

    def _master_port(self, sentinel_port: int) -> int:
        with redis.Redis(port=sentinel_port) as client, contextlib.suppress(RedisError):
            found = client.sentinel_get_master_addr_by_name(MASTER)
            return int(found[1]) if found else 0
        return 0

    def _all_know_all(self) -> bool:
        for port, _ in self._sentinels:
            with redis.Redis(port=port) as client:
                try:
                    state = client.sentinel_master(MASTER)
                except RedisError:
                    return False
                if (state["num-other-sentinels"], state["num-slaves"]) != (2, 2):
                    return False
        return all(self._in_step(replica) for replica in self.replicas)

    def _in_step(self, replica: EmbeddedValkey) -> bool:
        with redis.Redis(port=replica.port) as client:
            return bool(client.info("replication")["master_link_status"] == "up")

    def _takes_writes(self) -> bool:
        with redis.Redis(port=self.master.port) as client, contextlib.suppress(RedisError):
            return bool(client.set("chaos:written", 1, px=1))
        return False

    def _until(self, holds: object, what: str) -> None:
        give_up = time.monotonic() + _READY_S
        while not (callable(holds) and holds()):
            if time.monotonic() > give_up:
                logs = "\n".join(path.read_text() for path in sorted(self._directory.glob("*/*.log")))
                raise AssertionError(f"after {_READY_S} s not true: {what}\n{logs}")
            time.sleep(0.1)
