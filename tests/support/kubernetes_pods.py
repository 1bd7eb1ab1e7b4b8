"""Runs the containers of deploy/kubernetes as processes of this machine."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from support.free_ports import free_port
from support.read_only_files import writing_only_to
from support.stack import Program

if TYPE_CHECKING:
    from collections.abc import Mapping

    from support.kubernetes_manifests import Manifests


@dataclass
class Pods:
    """Pods as processes: /tmp and the mounted secrets are directories of the test, and each named port is a free one.

    Attributes:
        secrets: the files at each mount path of a Secret.
        settings: what an overlay would write into the ConfigMap.
    """

    directory: Path
    manifests: Manifests
    secrets: Mapping[str, Mapping[str, str]]
    settings: Mapping[str, str]
    programs: dict[str, Program] = field(default_factory=dict)
    _ports: dict[tuple[str, str], int] = field(default_factory=dict)

    def start(self, name: str) -> None:
        """Start a Deployment's container."""
        container = self.manifests.containers()[name]
        ports = {str(one["containerPort"]): one["name"] for one in container.get("ports", ())}
        words = [str(self._port(name, ports[word])) if word in ports else word for word in container["command"]]
        command = self._local(words)
        log = self.directory / f"{name}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                command,
                cwd=self.directory,
                env=self._environment(name),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.programs[name] = Program(name, process, log)

    def execute(self, name: str, *command: str, given: str = "") -> subprocess.CompletedProcess[str]:
        """Run a command in a pod as `kubectl exec -i` does."""
        return subprocess.run(
            self._local(command),
            cwd=self.directory,
            env=self._environment(name),
            input=given,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def until(self, name: str, probe: str, timeout: float = 120) -> None:
        """Wait until a probe passes; fail with the container's output if it ends or does not pass."""
        give_up = time.monotonic() + timeout
        while not self.passes(name, probe):
            program = self.programs[name]
            if program.process.poll() is not None or time.monotonic() > give_up:
                raise AssertionError(f"{name}: {probe} does not pass\n{program.output()}")
            # An exec probe starts an interpreter each time.
            time.sleep(1 if "exec" in self.manifests.containers()[name][probe] else 0.2)

    def passes(self, name: str, probe: str) -> bool:
        """Carry out a probe as the kubelet does, once."""
        definition: dict[str, Any] = self.manifests.containers()[name][probe]
        if "exec" in definition:
            return self.execute(name, *definition["exec"]["command"]).returncode == 0
        kind, asked = next((kind, definition[kind]) for kind in ("httpGet", "tcpSocket") if kind in definition)
        address = ("127.0.0.1", self._port(name, asked["port"]))
        try:
            if kind == "tcpSocket":
                socket.create_connection(address, timeout=5).close()
            else:
                urllib.request.urlopen(f"http://{address[0]}:{address[1]}{asked['path']}", timeout=5).close()
        except OSError:
            return False
        return True

    def stop(self, name: str) -> int:
        """Ask a container to end, wait as long as the kubelet, and return its exit code."""
        deployment = self.manifests.all("Deployment")[f"gatepost-{name}"]
        program = self.programs.pop(name)
        program.terminate()
        return program.wait(deployment["spec"]["template"]["spec"]["terminationGracePeriodSeconds"])

    def _environment(self, name: str) -> dict[str, str]:
        container = self.manifests.containers()[name]
        given = self.manifests.environment(name)
        for port in container.get("ports", ()):
            given |= {
                variable: str(self._port(name, port["name"]))
                for variable, value in given.items()
                if variable.endswith("_PORT") and value == str(port["containerPort"])
            }
        path = f"{Path(sys.executable).parent}:{os.defpath}"
        local = {variable: self._localized(value) for variable, value in given.items()}
        return {"PATH": path, "PYTHONUNBUFFERED": "1", **writing_only_to(self.directory), **local, **self.settings}

    def _port(self, name: str, port: str) -> int:
        return self._ports.setdefault((name, port), free_port())

    def _local(self, command: Any) -> list[str]:
        program, *words = [self._localized(word) for word in command]
        own = Path(sys.executable).with_name(program)
        return [str(own) if own.exists() else program, *words]

    def _localized(self, text: str) -> str:
        text = "127.0.0.1" if text == "0.0.0.0" else text  # noqa: S104 - replaced
        text = text.replace("gatepost-api:8790", f"127.0.0.1:{self._port('api', 'http')}")
        return text.replace("/run/secrets/", f"{self.directory}/secrets/").replace("/tmp/", f"{self.directory}/")  # noqa: S108 - replaced

    def __enter__(self) -> Self:
        for path, files in self.secrets.items():
            place = Path(self._localized(path))
            place.mkdir(parents=True)
            for name, content in files.items():
                (place / name).write_text(content, encoding="utf-8")
        return self

    def __exit__(self, *_: object) -> None:
        for program in self.programs.values():
            with contextlib.suppress(ProcessLookupError):
                program.kill()
