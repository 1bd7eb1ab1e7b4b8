"""The files of tests that `make test` leaves to `make test-long`: whole deployments, brokers, outages, browsers and type checkers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from support.checkout import CHECKOUT

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

# By the beginnings of their paths.
LONG: Final = (
    "tests/acceptance/campaign_cli/test_campaigns_from_a_shell",
    "tests/acceptance/campaign_cli/test_screens",
    "tests/acceptance/campaigns/",
    "tests/acceptance/console/",
    "tests/acceptance/demo/",
    "tests/acceptance/deployment/test_alerts",
    "tests/acceptance/deployment/test_compose_services",
    "tests/acceptance/deployment/test_kubernetes_pods",
    "tests/acceptance/deployment/test_log_lines",
    "tests/acceptance/deployment/test_remote_commands",
    "tests/acceptance/deployment/test_signals",
    "tests/acceptance/deployment/test_starting_workers",
    "tests/acceptance/embedding/test_pytest_plugin",
    "tests/acceptance/examples/test_web_examples",
    "tests/acceptance/operations/test_faults",
    "tests/acceptance/operations/test_login_probe",
    "tests/acceptance/operations/test_rotated_credentials",
    "tests/acceptance/sealed/test_canaries",
    "tests/acceptance/sealed/test_error_trackers",
    "tests/acceptance/trust/test_health",
    "tests/acceptance/trust/test_redis_roles_of_services",
    "tests/acceptance/trust/test_rotation_under_load",
    "tests/acceptance/trust/test_tls",
    "tests/acceptance/web/",
    "tests/acceptance/webhooks/",
    "tests/chaos/",
    "tests/integration/cli/test_processes_end_together",
    "tests/outside/test_pacing",
    "tests/unit/producer/test_typed_options",
)


def is_long(path: Path) -> bool:
    """Return whether a file is one of these."""
    return path.is_file() and path.relative_to(CHECKOUT).as_posix().startswith(LONG)


def mark_long(items: Iterable[pytest.Item]) -> None:
    """Mark the tests of these files as `long`."""
    for item in items:
        if item.nodeid.startswith(LONG):
            item.add_marker(pytest.mark.long)
