"""A running fleet with metrics, under a stand-in for `docker compose` that starts, kills and shows its processes.

The runbook's commands run against it as they are: `gatepost` is the real one, and `docker` is a script that asks this process.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from support.checkout import CHECKOUT
from support.free_ports import free_port

if TYPE_CHECKING:
    from support.stack import Program, Stack

TESTS = str(Path(__file__).parents[1])
RUNBOOK = CHECKOUT / "docs" / "how-to" / "runbook"
_DOCKER = """#!{python}
import json, sys, urllib.request
request = urllib.request.Request("http://127.0.0.1:{port}/", json.dumps(sys.argv[1:]).encode())
with urllib.request.urlopen(request, timeout=120) as answer:
    sys.stdout.write(answer.read().decode())
"""
_COMMAND_S = 180


@dataclass
class Fleet:
    """The services of docker-compose.yml as processes. Use it as a context manager.

    Attributes:
        stack: Valkey and the simulator.
        ports: the ports of metrics and health.
        running: the processes by service.
        stuck: the loop of the present `worker` stops when this file appears.
    """

    stack: Stack
    ports: dict[str, int] = field(default_factory=dict)
    running: dict[str, Program] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.ports = {
            name: free_port() for name in ("worker", "worker-bulk", "worker-bulk-health", "worker-health", "metrics")
        }
        self.stuck = self.stack.directory / "stuck-0"
        self._bin = self.stack.directory / "bin"

    @property
    def targets(self) -> dict[tuple[str, str], int]:
        """What Prometheus scrapes."""
        workers: dict[tuple[str, str], int] = {
            ("gatepost-worker", name): self.ports[name] for name in ("worker", "worker-bulk")
        }
        return {**workers, ("gatepost-fleet", "metrics"): self.ports["metrics"]}

    def __enter__(self) -> Self:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self._bin.mkdir()
        docker = self._bin / "docker"
        docker.write_text(_DOCKER.format(python=sys.executable, port=self._server.server_address[1]), encoding="utf-8")
        docker.chmod(0o755)
        self.up("worker", "worker-bulk", "beat", "metrics")
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def up(self, *services: str) -> None:
        """Start the services that do not run."""
        for name in services:
            if name == "redis":
                if not self.stack.valkey.running:
                    self.stack.valkey.start()
            elif name not in self.running or self.running[name].process.poll() is not None:
                self.running[name] = self._start(name)

    def kill(self, *services: str) -> None:
        """Kill services."""
        for name in services:
            if name == "redis":
                self.stack.valkey.kill()
            elif name in self.running:
                self.running.pop(name).kill()

    def _start(self, name: str) -> Program:
        stack = self.stack
        if name == "beat":
            return stack.beat()
        if name == "metrics":
            return stack.start("metrics", "-m", "gatepost_operations.cli", "metrics", "--port", str(self.ports[name]))
        if name == "worker":
            # The file stops this worker, not its successor.
            self.stuck = stack.directory / f"stuck-{len(stack.programs)}"
        queues = "gatepost.bulk" if name == "worker-bulk" else "gatepost.login,gatepost.send"
        return stack.worker(
            queues,
            application="support.stuck_worker" if name == "worker" else "gatepost_worker",
            GATEPOST_METRICS_PORT=str(self.ports[name]),
            GATEPOST_HEALTH_PORT=str(self.ports[f"{name}-health"]),
            GATEPOST_HEALTH_PATIENCE="3",
            STUCK_WORKER_FILE=str(self.stuck),
            PYTHONPATH=TESTS,
        )

    def follow(self, anchor_title: str, *, without: tuple[str, ...] = ()) -> str:
        """Type every command of a runbook section, in order; return what they printed.

        Args:
            anchor_title: the section's title.
            without: beginnings of commands that are for another fault of the section.
        """
        pages = [page.read_text(encoding="utf-8") for page in RUNBOOK.glob("*.md")]
        (section,) = [rest.split("\n## ")[0] for page in pages for rest in page.split(f"\n## {anchor_title}\n")[1:]]
        lines = [
            line.strip()
            for block in re.findall(r"```sh\n(.*?)```", section, re.DOTALL)
            for line in block.splitlines()
            if line.strip() and not line.strip().startswith(without or "\0")
        ]
        return "\n".join(self.run(line) for line in lines)

    def run(self, line: str) -> str:
        """Type one command in a shell; return what it printed."""
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("AUTH0_", "GATEPOST_"))},
            **self.stack.environment,
            "PATH": f"{self._bin}:{Path(sys.executable).parent}:{os.environ['PATH']}",
            "GATEPOST_HEALTH_PORT": str(self.ports["worker-health"]),
        }
        done = subprocess.run(
            ["bash", "-c", line],
            cwd=self.stack.directory,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_COMMAND_S,
            check=False,
        )
        return f"$ {line}\n{done.stdout}{done.stderr}"

    def answer(self, words: list[str]) -> str:
        """Carry out `docker compose …`."""
        match words:
            case ["compose", "up", "--detach", *services]:
                self.up(*[name for name in services if not name.startswith("--") and "=" not in name])
            case ["compose", "kill", *services]:
                self.kill(*services)
            case ["compose", "ps", *_]:
                return "".join(
                    f"{name}  {self._state(name)}\n" for name in ("worker", "worker-bulk", "beat", "metrics")
                )
            case ["compose", "logs", "--tail", _, *services]:
                found = [self.running[name].output()[-500:] for name in services if name in self.running]
                return "\n".join(found) + "\n"
            case ["compose", "exec", "redis", "redis-cli", *command]:
                return self._redis_cli(command)
            case _:
                raise AssertionError(f"docker {shlex.join(words)}")
        return "".join(f"{name}  {self._state(name)}\n" for name in words[2:])

    def _state(self, name: str) -> str:
        if name == "redis":
            return "running" if self.stack.valkey.running else "exited"
        return "running" if name in self.running and self.running[name].process.poll() is None else "exited (137)"

    def _redis_cli(self, command: list[str]) -> str:
        if not self.stack.valkey.running:
            return "Could not connect to Redis: Connection refused\n"
        with self.stack.redis() as client:
            if command[:2] == ["config", "set"]:
                size, unit = re.fullmatch(r"(\d+)(gb|mb)", command[3]).groups()  # type: ignore[union-attr]
                client.config_set(command[2], int(size) * (2**30 if unit == "gb" else 2**20))
                return "OK\n"
            reply: Any = client.execute_command(*command)
            return f"{reply.decode() if isinstance(reply, bytes) else reply}\n"


def _handler(fleet: Fleet) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            words = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            body = fleet.answer(words).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the standard library's name
            """Log nothing."""

    return Handler
