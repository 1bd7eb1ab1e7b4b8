"""Runs the services of docker-compose.yml as processes of this machine."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Self

import yaml

from gatepost_operations.local.embedded_valkey import server_binary
from support.checkout import CHECKOUT
from support.prometheus_programs import program as program_of_debian
from support.read_only_files import writing_only_to
from support.stack import Program

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.compose_file import Service

# The machine may have no such programs; these give the same output.
_REDIS_CLI = """#!/bin/sh
exec '{python}' -c 'import redis; print("PONG" if redis.Redis(port={port}).ping() else "")'
"""
_WGET = """#!/bin/sh
for url; do :; done
exec '{python}' -c 'import sys, urllib.request; urllib.request.urlopen(sys.argv[1], timeout=5)' "$url"
"""


@dataclass
class Deployment:
    """Services as processes. The names of hosts become ports of the loopback address, /tmp and /run/secrets directories of the test."""

    directory: Path
    services: dict[str, Service]
    ports: dict[str, int]
    secrets: dict[str, Path]
    programs: dict[str, Program] = field(default_factory=dict)

    @property
    def redis_url(self) -> str:
        return f"redis://127.0.0.1:{self.ports['redis']}/0"

    @property
    def simulator_url(self) -> str:
        return f"https://localhost:{self.ports['simulator']}"

    @property
    def simulator_authority(self) -> str:
        return self.localized("/simulator/ca.pem")

    def localized(self, text: str) -> str:
        """Return a command's word or a variable's value with addresses of this machine."""
        simulator = str(self.ports["simulator"])
        text = text.replace("0.0.0.0", "127.0.0.1").replace("/run/secrets", "/tmp/secrets")  # noqa: S104, S108 - replaced
        text = text.replace("/tmp/", f"{self.directory}/")  # noqa: S108 - replaced
        text = text.replace("redis:6379", f"127.0.0.1:{self.ports['redis']}")
        text = text.replace("simulator:4430", f"localhost:{simulator}").replace("4430", simulator)
        for name in ("8787", "8788"):
            text = str(self.ports[name]) if text == name else text
        text = re.sub(r"\b9808\b", str(self.ports["metrics:9808"]), text)
        text = text.replace("127.0.0.1:9090", f"127.0.0.1:{self.ports['prometheus']}")
        for name in ("8790", "8791"):
            text = re.sub(rf"\b{name}\b", str(self.ports[name]), text)
        text = text.replace("http://api:", "http://127.0.0.1:")
        # A volume is a directory of the test.
        text = re.sub(r"^/accounts\b", f"{self.directory}/accounts", text)
        text = re.sub(r"=/(etc/)?prometheus\b", rf"={self.directory}/\1prometheus", text)
        return re.sub(r"(?<![\w:])/simulator\b(?!/docs)", f"{self.directory}/simulator", text)

    def environment(self, service: Service) -> dict[str, str]:
        """Return all that a container of the service has in its environment: the image's, and the file's."""
        own = {name: self.localized(value) for name, value in service.environment.items()}
        if "GATEPOST_METRICS_PORT" in own:
            # Every container can use the same port.
            own["GATEPOST_METRICS_PORT"] = str(self.ports[f"{service.name}:{own['GATEPOST_METRICS_PORT']}"])
        path = f"{self.directory / 'bin'}:{Path(sys.executable).parent}:{os.defpath}"
        return {"PATH": path, "PYTHONUNBUFFERED": "1", **writing_only_to(self.directory), **own}

    def start(self, *names: str) -> None:
        """Start services with their own commands."""
        for name in names:
            service = self.services[name]
            log = self.directory / f"{name}.log"
            with log.open("wb") as output:
                process = subprocess.Popen(
                    self._command(service),
                    cwd=self.directory,
                    env=self.environment(service),
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            self.programs[name] = Program(name, process, log)

    def run(self, name: str, *command: str, given: str = "") -> subprocess.CompletedProcess[str]:
        """Run a service's command, or another one in its place as `docker compose run` does, until it ends."""
        service = self.services[name]
        return self._ended(service, [self.localized(part) for part in command or service.command], given)

    def health(self, name: str) -> subprocess.CompletedProcess[str]:
        """Run a service's health check as the engine does."""
        service = self.services[name]
        return self._ended(service, [self.localized(part) for part in service.health])

    def _ended(self, service: Service, command: list[str], given: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            cwd=self.directory,
            env=self.environment(service),
            input=given,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def until_healthy(self, *names: str, timeout: float = 60) -> None:
        """Wait until the health checks pass; fail with the service's output when one ended or does not."""
        for name in names:
            give_up = time.monotonic() + timeout
            while (found := self.health(name)).returncode:
                program = self.programs[name]
                if program.process.poll() is not None or time.monotonic() > give_up:
                    raise AssertionError(f"{name} is not healthy: {found.stdout}{found.stderr}\n{program.output()}")
                # Each check starts an interpreter.
                time.sleep(1)

    def until(self, what: str, holds: Callable[[], bool], timeout: float = 60) -> None:
        """Wait for something; fail with the output of all services if it does not come."""
        give_up = time.monotonic() + timeout
        while not holds():
            output = "\n".join(f"--- {name}\n{program.output()}" for name, program in self.programs.items())
            assert time.monotonic() < give_up, f"not true: {what}\n{output}"
            time.sleep(0.2)

    def peak_bytes(self, name: str) -> int:
        """Return the most memory that a service's process has had."""
        status = Path(f"/proc/{self.programs[name].process.pid}/status").read_text(encoding="utf-8")
        found = re.search(r"^VmHWM:\s*(\d+) kB$", status, re.MULTILINE)
        assert found is not None
        return int(found[1]) << 10

    def stop(self, name: str) -> int:
        """Ask a service to end and wait as long as the engine would; return its exit code."""
        program = self.programs.pop(name)
        program.terminate()
        return program.wait(self.services[name].grace_s)

    def _command(self, service: Service) -> list[str]:
        if service.name == "prometheus":
            words = [self.localized(part) for part in service.command]
            return [
                str(program_of_debian("prometheus")),
                *words,
                f"--web.listen-address=127.0.0.1:{self.ports['prometheus']}",
            ]
        program, *words = [self.localized(part) for part in service.command]
        if service.name == "redis":
            here = ["--port", str(self.ports["redis"]), "--bind", "127.0.0.1", "--dir", str(self.directory)]
            return [str(server_binary()), *words, *here]
        found = shutil.which(program, path=str(Path(sys.executable).parent))
        assert found is not None, f"{program} is not installed by the wheel's requirements"
        return [found, *words]

    def __enter__(self) -> Self:
        mounted = self.directory / "secrets"
        mounted.mkdir()
        for name, file in self.secrets.items():
            (mounted / name).write_text(self.localized(file.read_text(encoding="utf-8")), encoding="utf-8")
        (self.directory / "accounts").mkdir(mode=0o700)
        (self.directory / "bin").mkdir()
        for name, script in (("redis-cli", _REDIS_CLI), ("wget", _WGET)):
            place = self.directory / "bin" / name
            place.write_text(script.format(python=sys.executable, port=self.ports["redis"]), encoding="utf-8")
            place.chmod(0o755)
        self._configure_prometheus()
        return self

    def _configure_prometheus(self) -> None:
        """Copy its configuration. There is no DNS that knows the services, so their addresses are listed."""
        mounted = self.directory / "etc" / "prometheus"
        shutil.copytree(CHECKOUT / "deploy" / "prometheus", mounted)
        configuration = mounted / "prometheus.yml"
        document = yaml.safe_load(configuration.read_text(encoding="utf-8"))
        document["global"]["scrape_interval"] = "1s"
        for job in document["scrape_configs"]:
            found = [f"{name}:{one['port']}" for one in job.pop("dns_sd_configs", ()) for name in one["names"]] or [
                target for one in job["static_configs"] for target in one["targets"]
            ]
            job["static_configs"] = [{"targets": [f"127.0.0.1:{self.ports[target]}" for target in found]}]
        configuration.write_text(yaml.safe_dump(document), encoding="utf-8")

    def __exit__(self, *_: object) -> None:
        for program in self.programs.values():
            with contextlib.suppress(ProcessLookupError):
                program.terminate()
        for program in self.programs.values():
            with contextlib.suppress(subprocess.TimeoutExpired):
                program.wait(15)
            if program.process.poll() is None:
                program.kill()
