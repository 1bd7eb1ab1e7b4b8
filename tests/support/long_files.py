"""The files of tests that `make test` leaves to `make test-long`: whole deployments, brokers, outages and browsers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterable

# By the beginnings of their paths. All of them together take as long as the rest.
LONG: Final = (
    "tests/acceptance/campaign_cli/test_screens",
    "tests/acceptance/campaigns/test_campaign_chaos",
    "tests/acceptance/campaigns/test_killed_bulk_workers",
    "tests/acceptance/console/",
    "tests/acceptance/demo/",
    "tests/acceptance/deployment/test_alerts",
    "tests/acceptance/deployment/test_compose_services",
    "tests/acceptance/deployment/test_kubernetes_pods",
    "tests/acceptance/examples/test_web_examples",
    "tests/acceptance/operations/test_login_probe",
    "tests/acceptance/operations/test_rotated_credentials",
    "tests/acceptance/sealed/test_error_trackers",
    "tests/acceptance/trust/test_rotation_under_load",
    "tests/acceptance/trust/test_tls",
    "tests/acceptance/web/",
    "tests/acceptance/webhooks/",
    "tests/chaos/test_rabbitmq",
    "tests/chaos/test_sentinel",
    "tests/chaos/test_upstream",
    "tests/outside/test_pacing",
)


def mark_long(items: Iterable[pytest.Item]) -> None:
    """Mark the tests of these files as `long`."""
    for item in items:
        if item.nodeid.startswith(LONG):
            item.add_marker(pytest.mark.long)
