"""The alerts and the dashboard: each alert fires when it must, each name exists, and each runbook section is there."""

from __future__ import annotations

import json
import re
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from gatepost_core.campaigns.model import PauseReason
from gatepost_core.reasons import Reason
from gatepost_operations.monitoring import names as fleet
from gatepost_worker.metrics import names as worker
from gatepost_worker.metrics.names import Type
from support.alert_cases import CASES
from support.checkout import CHECKOUT
from support.prometheus_programs import program

if TYPE_CHECKING:
    from pathlib import Path

DEPLOY = CHECKOUT / "deploy"
ALERTS = DEPLOY / "prometheus" / "alerts.yml"
pytestmark = pytest.mark.skipif(not ALERTS.exists(), reason="the wheel's tests run without the files for deployment")


def rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load(ALERTS.read_text(encoding="utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def dashboard() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((DEPLOY / "grafana" / "gatepost.json").read_text(encoding="utf-8"))
    return found


def expressions() -> list[str]:
    """Every expression of alerts and panels."""
    shown = [target["expr"] for panel in dashboard()["panels"] for target in panel.get("targets", [])]
    return [*(rule["expr"] for rule in rules()), *shown]


def exported() -> set[str]:
    """The names of all series that workers and the fleet export."""
    metrics = (*worker.METRICS, *fleet.METRICS)
    plain = {metric.name for metric in metrics if metric.type is not Type.HISTOGRAM}
    parts = {
        f"{metric.name}_{part}"
        for metric in metrics
        if metric.type is Type.HISTOGRAM
        for part in ("bucket", "count", "sum")
    }
    return plain | parts


def section_of(runbook_url: str) -> str:
    """The section of the runbook that a URL names; empty if there is none."""
    page, _, anchor = runbook_url.partition("#")
    text = (CHECKOUT / page).read_text(encoding="utf-8")
    for section in re.split(r"^## ", text, flags=re.MULTILINE)[1:]:
        title = section.splitlines()[0]
        if re.sub(r"[^a-z0-9_ -]", "", title.lower()).replace(" ", "-") == anchor:
            return section
    return ""


def test_every_alert_fires_when_it_must_and_only_then(tmp_path: Path) -> None:
    """By promtool, with the alert's labels and annotations."""
    tests = [test for rule in rules() for test in CASES[rule["alert"]].tests(rule)]
    file = tmp_path / "alerts_test.yml"
    file.write_text(yaml.safe_dump({"rule_files": [str(ALERTS)], "evaluation_interval": "15s", "tests": tests}))
    done = subprocess.run([program("promtool"), "test", "rules", file], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "SUCCESS" in done.stdout


def test_each_alert_has_its_cases() -> None:
    """And no case is left of an alert that is gone."""
    assert [rule["alert"] for rule in rules()] == list(CASES)


def test_the_configuration_of_prometheus_is_valid() -> None:
    """With the alerts beside it."""
    config = DEPLOY / "prometheus" / "prometheus.yml"
    done = subprocess.run([program("promtool"), "check", "config", config], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr


def test_every_metric_named_in_alerts_and_dashboard_is_exported() -> None:
    """A typing error would make an alert that never fires."""
    named = {name for expression in expressions() for name in re.findall(r"\bgatepost_\w+", expression)}

    assert named
    assert named - exported() == set()


def test_every_label_in_an_expression_is_one_of_its_metrics() -> None:
    """Or one that Prometheus adds."""
    labels = {metric.name: {*metric.labels, "le"} for metric in (*worker.METRICS, *fleet.METRICS)}
    for expression in expressions():
        for name, matchers in re.findall(r"\b(gatepost_\w+?)(?:_bucket)?\{([^}]*)\}", expression):
            used = set(re.findall(r"(\w+)\s*[=!]", matchers))
            assert used <= labels[name] | {"job", "instance", "service"}, expression


@pytest.mark.parametrize("rule", rules() if ALERTS.exists() else [], ids=lambda rule: rule["alert"])
def test_each_alert_has_a_runbook_section_that_names_it(rule: dict[str, Any]) -> None:
    """With commands to type."""
    section = section_of(rule["annotations"]["runbook_url"])

    assert f"`{rule['alert']}`" in section
    assert "```sh" in section


def test_the_runbook_lists_each_alert_with_its_section() -> None:
    """And no alert that is gone."""
    text = (CHECKOUT / "docs" / "how-to" / "runbook.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (`Gatepost.+`) \| \[.+\]\((\S+)\) \|$", text, re.MULTILINE)
    listed = {alert: f"docs/how-to/{link}" for alerts, link in rows for alert in re.findall(r"`(\w+)`", alerts)}

    assert listed == {rule["alert"]: rule["annotations"]["runbook_url"] for rule in rules()}


def test_the_alert_about_pauses_holds_for_each_reason() -> None:
    """A campaign does not pause itself after a restored backup: `gatepost recover` pauses it."""
    alert = next(rule for rule in rules() if rule["alert"] == "GatepostCampaignPaused")
    section = section_of(alert["annotations"]["runbook_url"])

    assert "gatepost recover" in alert["annotations"]["summary"]
    assert {reason for reason in PauseReason if f"`{reason}`" not in section} == set()


def test_the_alert_about_credentials_lists_every_reason_that_pauses_a_campaign() -> None:
    """A new reason must be added to it."""
    (expression,) = [rule["expr"] for rule in rules() if rule["alert"] == "GatepostCredentialRefused"]
    listed = re.search(r'reason=~"([^"]+)"', expression)

    assert listed is not None
    assert set(listed[1].split("|")) == {reason.value for reason in Reason if reason.pauses}
