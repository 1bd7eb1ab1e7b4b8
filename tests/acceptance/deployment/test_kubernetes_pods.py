"""The containers of deploy/kubernetes, started with their own commands and environment, do their work."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gatepost_operations.local.embedded_valkey import EmbeddedValkey
from gatepost_simulator.server import SimulatorServer
from gatepost_simulator.settings import DEV_CLIENT_ID, DEV_CLIENT_SECRET
from support.documented_commands import assert_file_was_sent, container_commands
from support.kubernetes_manifests import copied, rendered, with_options
from support.kubernetes_pods import Pods

if TYPE_CHECKING:
    from collections.abc import Iterator

# Many interpreters start, and a busy machine may be several times slower.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def simulator() -> Iterator[SimulatorServer]:
    """The tenant."""
    with SimulatorServer(tls=True, quota={"plan": "unlimited"}) as ready:
        yield ready


@pytest.fixture(scope="module")
def pods(tmp_path_factory: pytest.TempPathFactory, simulator: SimulatorServer) -> Iterator[Pods]:
    """The example's pods, with the secrets of deploy/new-secrets and Redis and tenant of this machine."""
    directory = tmp_path_factory.mktemp("pods")
    folder = copied(tmp_path_factory.mktemp("manifests"))
    given = {
        name: (folder / "example" / "secrets" / name).read_text(encoding="utf-8")
        for name in ("sealing_keys", "fingerprint_key", "web_api_key", "console_client")
    }
    settings = {
        "AUTH0_DOMAIN": simulator.domain,
        "AUTH0_CLIENT_ID": DEV_CLIENT_ID,
        # Short, so that beat is ready within the test.
        "GATEPOST_RECONCILE_EVERY": "1",
    }
    with EmbeddedValkey(directory / "valkey") as valkey:
        secrets = {
            "/run/secrets/gatepost-keys": {
                "sealing_keys": given["sealing_keys"],
                "fingerprint_key": given["fingerprint_key"],
                "auth0_credential": DEV_CLIENT_SECRET,
            },
            "/run/secrets/gatepost-api-key": {"web_api_key": given["web_api_key"]},
            "/run/secrets/gatepost-console": {"console_client": given["console_client"]},
            "/run/secrets/gatepost-redis": {"redis_url": valkey.url, "broker_url": ""},
        }
        trust = {"AUTH0_CA_BUNDLE": str(simulator.ca_file)}
        with Pods(directory, rendered(with_options(folder)), secrets, settings | trust) as ready:
            yield ready


def test_every_container_starts_passes_its_probes_does_its_work_and_ends(
    pods: Pods, simulator: SimulatorServer
) -> None:
    """Each with its own command, and writes only to /tmp. The documented commands pass a file to the operator's pod."""
    names = ("worker", "worker-bulk", "beat", "metrics", "api", "console", "operator")
    for name in names:
        pods.start(name)
    for name in names[:-1]:
        pods.until(name, "readinessProbe")
    live = {name: pods.passes(name, "livenessProbe") for name in names[:-1]}
    documented = container_commands("deploy-on-kubernetes.md", "kubectl exec -i deploy/gatepost-operator --")
    results = [pods.execute("operator", *command.words, given=command.given) for command in documented]
    diagnosis = pods.execute("operator", "gatepost", "doctor")
    ended = {name: pods.stop(name) for name in names[:-1]}

    assert set(live.values()) == {True}, live
    assert_file_was_sent(results, messages=len(simulator.control.outbox(limit=1000)))
    assert diagnosis.returncode == 0, diagnosis.stdout
    assert ended == dict.fromkeys(names[:-1], 0)
