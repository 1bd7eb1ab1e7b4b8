"""A real Prometheus that scrapes a fleet every second, with the alerts of `deploy/` and times that a test can wait for."""

from __future__ import annotations

import json
import re
import subprocess
import time
import urllib.parse
import urllib.request
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

import yaml

from support.checkout import CHECKOUT
from support.free_ports import free_port
from support.prometheus_programs import program

if TYPE_CHECKING:
    from pathlib import Path

ALERTS = CHECKOUT / "deploy" / "prometheus" / "alerts.yml"
WINDOW = "40s"
_READY_S = 60


def quick_rules() -> dict[str, Any]:
    """Return the alerts with short times: each `for` is 2 s, each window 40 s, and ages of two minutes are 8 s."""
    rules: dict[str, Any] = yaml.safe_load(ALERTS.read_text(encoding="utf-8"))
    for group in rules["groups"]:
        for rule in group["rules"]:
            rule["for"] = "2s" if rule["for"] != "0m" else "0s"
            rule["expr"] = re.sub(r"\[\d+m\]", f"[{WINDOW}]", rule["expr"])
            rule["expr"] = re.sub(r"> (120|20)\b", "> 8", rule["expr"])
    return rules


@dataclass
class PrometheusServer:
    """Use it as a context manager.

    Attributes:
        directory: its files.
        targets: the ports to scrape, by job and service.
    """

    directory: Path
    targets: dict[tuple[str, str], int]
    port: int = field(default_factory=free_port)
    _process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.directory.mkdir(parents=True, exist_ok=True)
        (self.directory / "alerts.yml").write_text(yaml.safe_dump(quick_rules()), encoding="utf-8")
        (self.directory / "prometheus.yml").write_text(yaml.safe_dump(self._configuration()), encoding="utf-8")
        command = [
            program("prometheus"),
            f"--config.file={self.directory}/prometheus.yml",
            f"--storage.tsdb.path={self.directory}/data",
            f"--web.listen-address=127.0.0.1:{self.port}",
        ]
        with (self.directory / "prometheus.log").open("wb") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        give_up = time.monotonic() + _READY_S
        while not self._answers():
            assert time.monotonic() < give_up, (self.directory / "prometheus.log").read_text()
            time.sleep(0.2)
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process is not None
        self._process.terminate()
        self._process.wait(30)

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Return the series of an expression now."""
        found: list[dict[str, Any]] = self._get("query", query=expression)["result"]
        return found

    def query_range(self, expression: str, *, start: float, end: float, step_s: float) -> list[dict[str, Any]]:
        """Return the series of an expression over a time."""
        found: list[dict[str, Any]] = self._get("query_range", query=expression, start=start, end=end, step=step_s)[
            "result"
        ]
        return found

    def firing(self) -> set[str]:
        """Return the names of the alerts that fire now."""
        return {alert["labels"]["alertname"] for alert in self._get("alerts")["alerts"] if alert["state"] == "firing"}

    def _get(self, what: str, **parameters: Any) -> Any:
        url = f"http://127.0.0.1:{self.port}/api/v1/{what}?{urllib.parse.urlencode(parameters)}"
        with urllib.request.urlopen(url, timeout=20) as answer:
            return json.load(answer)["data"]

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/-/ready", timeout=2) as answer:
                return answer.status == 200
        except OSError:
            return False

    def _configuration(self) -> dict[str, Any]:
        jobs = sorted({job for job, _ in self.targets})
        return {
            "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
            "rule_files": ["alerts.yml"],
            "scrape_configs": [
                {
                    "job_name": job,
                    "static_configs": [
                        {"targets": [f"127.0.0.1:{port}"], "labels": {"service": service}}
                        for (of, service), port in self.targets.items()
                        if of == job
                    ],
                }
                for job in jobs
            ],
        }
