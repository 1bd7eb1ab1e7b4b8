"""The doctor against a real Valkey and the simulator, with parts that run and parts that are missing."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest

from gatepost_operations.cli.entry import main
from gatepost_simulator.server import SimulatorServer
from gatepost_simulator.settings import DEV_CLIENT_ID, DEV_CLIENT_SECRET

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import redis

    Examine = Callable[..., tuple[int, dict[str, dict[str, str]]]]

pytestmark = pytest.mark.usefixtures("configured")


@pytest.fixture(scope="module")
def simulator() -> Iterator[SimulatorServer]:
    """A tenant over https."""
    with SimulatorServer(tls=True) as server:
        yield server


@pytest.fixture
def at_the_simulator(configured: None, simulator: SimulatorServer, monkeypatch: pytest.MonkeyPatch) -> SimulatorServer:
    """The configuration leads to the simulator, with its client."""
    monkeypatch.setenv("AUTH0_DOMAIN", simulator.domain)
    monkeypatch.setenv("AUTH0_CLIENT_ID", DEV_CLIENT_ID)
    monkeypatch.setenv("AUTH0_CLIENT_SECRET", DEV_CLIENT_SECRET)
    monkeypatch.setenv("AUTH0_CA_BUNDLE", str(simulator.ca_file))
    return simulator


@pytest.fixture
def examine(capsys: pytest.CaptureFixture[str]) -> Examine:
    """Run the doctor; its exit code and its checks by name."""

    def call(*arguments: str) -> tuple[int, dict[str, dict[str, str]]]:
        code = main(["doctor", *arguments, "--json"])
        found: dict[str, Any] = json.loads(capsys.readouterr().out)
        return code, {check["name"]: check for check in found["checks"]}

    return call


def test_what_runs_is_found_to_run(examine: Examine, redis_client: redis.Redis) -> None:
    """The embedded Valkey is as it should be; without a worker something has failed."""
    redis_client.set("gatepost:reconciler:last", int(time.time() * 1000) - 2_000)
    code, checks = examine("--offline")
    well = ["settings", "sealing keys", "fingerprint key", "tenants", "redis", "server version", "eviction"]
    well += ["persistence", "clock against Redis", "reconciler", "broker"]

    assert {name: checks[name]["status"] for name in well} == dict.fromkeys(well, "ok")
    assert checks["workers"]["status"] == "failed"
    assert checks["workers"]["advice"] == "Start one: gatepost worker --beat"
    assert code == 1


def test_a_reconciler_that_never_ran_is_a_warning(examine: Examine) -> None:
    """With what to start."""
    _, checks = examine("--offline")

    assert checks["reconciler"]["status"] == "warning"
    assert "--beat" in checks["reconciler"]["advice"]


def test_an_expired_dead_letter_is_not_counted(examine: Examine, redis_client: redis.Redis) -> None:
    """The index keeps it until the next one is added."""
    month_ago = time.time() - 31 * 86_400
    redis_client.zadd("gatepost:dead_letters", {"expired": month_ago * 1000, "recent": time.time() * 1000})
    _, checks = examine("--offline")

    assert (checks["dead letters"]["status"], checks["dead letters"]["found"]) == ("warning", "1")


def test_an_evicting_server_is_found(examine: Examine, redis_client: redis.Redis) -> None:
    """It would drop records when it is full."""
    redis_client.config_set("maxmemory-policy", "allkeys-lru")
    try:
        _, checks = examine("--offline")
    finally:
        redis_client.config_set("maxmemory-policy", "noeviction")

    assert (checks["eviction"]["status"], checks["eviction"]["found"]) == ("failed", "allkeys-lru")


@pytest.mark.usefixtures("at_the_simulator")
def test_the_quota_comes_from_a_real_answer(examine: Examine) -> None:
    """The simulator's plan is 100 a second; the credential passes, the clocks agree."""
    _, checks = examine()

    assert checks["default: credentials"]["status"] == "ok"
    assert checks["default: quota"]["found"].endswith(" of 100 left")
    assert checks["default: clock against Auth0"]["status"] == "ok"


def test_the_probe_sends_nothing(examine: Examine, at_the_simulator: SimulatorServer) -> None:
    """A check sends no message."""
    _, checks = examine()

    assert checks["default: credentials"]["status"] == "ok"
    assert at_the_simulator.control.counts()["total"] == 0


@pytest.mark.usefixtures("at_the_simulator")
def test_a_wrong_secret_is_exit_code_4(examine: Examine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Auth0's own refusal, and what to check; the secret is not shown."""
    monkeypatch.setenv("AUTH0_CLIENT_SECRET", "wrong-canary")
    code, checks = examine()

    assert code == 4
    assert checks["default: credentials"]["status"] == "failed"
    assert "invalid_client" in checks["default: credentials"]["found"]
    assert "canary" not in json.dumps(checks)


@pytest.mark.usefixtures("at_the_simulator")
def test_a_tenant_whose_campaigns_need_a_thread_for_each_call_is_named(
    examine: Examine, simulator: SimulatorServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Mutual TLS: the calls take the client's own connections."""
    monkeypatch.setenv("AUTH0_USE_MTLS", "true")
    monkeypatch.setenv("AUTH0_MTLS_CERTIFICATE", str(simulator.client_certificate_file))
    monkeypatch.setenv("AUTH0_MTLS_KEY", str(simulator.client_certificate_file))
    _, checks = examine()

    assert checks["default: campaigns"]["status"] == "ok"
    assert "mutual TLS" in checks["default: campaigns"]["found"]


def test_a_tenant_that_does_not_answer_is_exit_code_1(examine: Examine) -> None:
    """The cause is named: no server listens there."""
    code, checks = examine()

    assert code == 1
    assert checks["default: Auth0"]["found"] == "connect_failed"


def test_a_missing_key_is_exit_code_4(examine: Examine, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other checks are made all the same."""
    monkeypatch.delenv("GATEPOST_SEALING_KEYS")
    code, checks = examine("--offline")

    assert code == 4
    assert "gatepost keys new" in checks["sealing keys"]["advice"]
    assert checks["redis"]["status"] == "ok"


def test_a_malformed_setting_is_exit_code_4(examine: Examine, monkeypatch: pytest.MonkeyPatch) -> None:
    """It names the variable."""
    monkeypatch.setenv("GATEPOST_CONCURRENCY", "many")
    code, checks = examine("--offline")

    assert code == 4
    assert "GATEPOST_CONCURRENCY" in checks["settings"]["advice"]


def test_without_redis_nothing_else_of_it_is_judged(examine: Examine, monkeypatch: pytest.MonkeyPatch) -> None:
    """One failure with its way out, for the ledger and for the broker."""
    monkeypatch.setenv("GATEPOST_REDIS_URL", "redis://127.0.0.1:1/0")
    code, checks = examine("--offline")

    assert code == 1
    assert checks["redis"]["status"] == checks["broker"]["status"] == "failed"
    assert "eviction" not in checks


def test_the_table_says_it_to_people(capsys: pytest.CaptureFixture[str]) -> None:
    """A line a check, the advice beneath, and the sum."""
    main(["doctor", "--offline"])
    lines = capsys.readouterr().out.splitlines()

    assert any(line.split() == ["✓", "eviction", "noeviction"] for line in lines)
    assert any("Start one: gatepost worker --beat" in line for line in lines)
    assert lines[-1] == "18 ok, 1 warning, 1 failed"
