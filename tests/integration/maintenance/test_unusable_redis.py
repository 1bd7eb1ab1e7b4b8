"""An unusable Redis is reported with its cause, at the start of producer, worker and beat, and by the doctor."""

from __future__ import annotations

import json
from contextlib import closing, contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any

import pytest

from gatepost import Producer
from gatepost.errors import ConfigurationError, Unavailable, Unusable
from gatepost_core.sealing import Key
from gatepost_core.settings import Settings
from gatepost_operations.cli.entry import main
from gatepost_worker.process import Process
from gatepost_worker.upkeep.start_checks import check_beat
from support import faulty_redis
from support.free_ports import free_port
from support.tls_authority import Authority

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import redis

FAULTS = {
    "replica": "is a read-only replica; GATEPOST_REDIS_URL must name the primary",
    "cluster": "runs in cluster mode, which Gatepost does not support",
    "renamed": "EVALSHA|lacks a command that Gatepost needs",
    "database": "has no database of that number; correct the end of GATEPOST_REDIS_URL",
    "no password": "asks for a password, and GATEPOST_REDIS_URL has none",
    "wrong password": "refuses the user name or password; correct GATEPOST_REDIS_URL",
    "unwanted password": "has no password; take it out of GATEPOST_REDIS_URL",
    "rights": "does not allow this user that command or key; correct its ACL",
    "protected": "is in protected mode",
    "http": "does not speak Redis's protocol; correct GATEPOST_REDIS_URL",
    "needs TLS": "speaks TLS; write rediss:// in GATEPOST_REDIS_URL",
    "no TLS": "speaks no TLS; write redis:// in GATEPOST_REDIS_URL",
    "old": "is too old: 7.0 or newer, or Valkey, is needed",
}


@contextmanager
def url_of(fault: str, directory: Path) -> Iterator[str]:
    """A server with a fault, and the URL that leads to it."""
    options = {
        # Its second port is the first plus 10,000 otherwise, which may be none.
        "cluster": [
            "--cluster-enabled",
            "yes",
            "--cluster-config-file",
            f"nodes-{fault}.conf",
            "--cluster-port",
            str(free_port()),
        ],
        "renamed": ["--rename-command", "EVALSHA", ""],
        "database": ["--databases", "2"],
        "no password": ["--requirepass", "right"],
        "wrong password": ["--requirepass", "right"],
        "rights": ["--user", "guest", "on", "nopass", "~*", "&*", "+@connection"],
        "unwanted password": [],
    }
    url = {
        "database": "redis://127.0.0.1:{}/5",
        "wrong password": "redis://:wrong@127.0.0.1:{}/0",
        "unwanted password": "redis://:any@127.0.0.1:{}/0",
        "rights": "redis://guest:any@127.0.0.1:{}/0",
        "no TLS": "rediss://127.0.0.1:{}/0",
    }.get(fault, "redis://127.0.0.1:{}/0")
    with _server(fault, options, directory) as port:
        yield url.format(port)


@contextmanager
def _server(fault: str, options: dict[str, list[str]], directory: Path) -> Iterator[int]:
    if fault in options:
        made: Any = faulty_redis.server(directory, *options[fault])
    elif fault == "replica":
        made = faulty_redis.replica(directory)
    elif fault == "needs TLS":
        made = faulty_redis.scripted(bytes, faulty_redis.speaking_tls(Authority.create(directory)))
    elif fault == "no TLS":
        made = faulty_redis.scripted(faulty_redis.plain)
    else:
        made = faulty_redis.scripted(getattr(faulty_redis, fault))
    with made as port:
        yield port


@pytest.fixture(scope="module", params=FAULTS)
def fault(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def unusable(fault: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """Settings that lead to a server with the fault."""
    with url_of(fault, tmp_path_factory.mktemp("faulty")) as url:
        yield settings_at(url)


def settings_at(url: str, **more: Any) -> Settings:
    return Settings(
        redis_url=url,
        sealing_keys=Key("test", bytes(range(32))).reveal(),
        fingerprint_key="a fingerprint key of the tests alone",
        AUTH0_DOMAIN="localhost:1",
        AUTH0_CLIENT_ID="client",
        AUTH0_CLIENT_SECRET="s3cret",
        **more,
    )


def assert_it_is_named(error: BaseException, fault: str) -> None:
    """Neither silence nor a doubt that there is not."""
    text = str(error)

    assert any(part in text for part in FAULTS[fault].split("|"))
    assert "did not answer" not in text
    assert "recorded" not in text
    assert "wrong@" not in text


def test_a_producer_names_it_at_its_first_command(unusable: Settings, fault: str) -> None:
    """And says that nothing is sent."""
    with Producer(unusable) as producer, pytest.raises(Unusable) as caught:
        producer.send_email("ana@example.com")

    assert_it_is_named(caught.value, fault)
    assert "Nothing is sent." in str(caught.value)


def test_a_worker_names_it_and_does_not_start(unusable: Settings, fault: str) -> None:
    """A worker calls `prepare` before it connects to its broker."""
    with closing(Process(unusable)) as process, pytest.raises(ConfigurationError) as caught:
        process.prepare()

    assert_it_is_named(caught.value, fault)


def test_beat_names_it_and_does_not_start(unusable: Settings, fault: str) -> None:
    """It connects to the broker, here the same server."""
    app = import_module("gatepost_worker.celery").create(unusable)

    with pytest.raises(ConfigurationError) as caught:
        check_beat(app, unusable)

    assert_it_is_named(caught.value, fault)


def test_the_doctor_names_it(
    unusable: Settings, fault: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As an error of configuration: exit code 4."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GATEPOST_REDIS_URL", unusable.redis_url.get_secret_value())
    monkeypatch.setenv("GATEPOST_SEALING_KEYS", unusable.sealing_keys[0].get_secret_value())
    monkeypatch.setenv("GATEPOST_FINGERPRINT_KEY", "a fingerprint key of the tests alone")
    monkeypatch.setenv("AUTH0_DOMAIN", "localhost:1")
    monkeypatch.setenv("AUTH0_CLIENT_ID", "client")
    monkeypatch.setenv("AUTH0_CLIENT_SECRET", "s3cret")

    code = main(["doctor", "--offline", "--json"])
    checks = json.loads(capsys.readouterr().out)["checks"]

    failed = [f"{check['found']} {check['advice']}" for check in checks if check["status"] == "failed"]
    assert code == 4
    assert any(part in text for text in failed for part in FAULTS[fault].split("|"))
    assert "wrong@" not in json.dumps(checks)


def test_a_broker_apart_is_named_by_its_own_setting(valkey: Any, tmp_path: Path) -> None:
    """The ledger's Redis is well; the broker's is a replica."""
    with faulty_redis.replica(tmp_path) as port:
        settings = settings_at(valkey.url, broker_url=f"redis://127.0.0.1:{port}/0")
        app = import_module("gatepost_worker.celery").create(settings)

        with pytest.raises(Unusable, match="read-only replica; GATEPOST_BROKER_URL must name the primary"):
            check_beat(app, settings)


def test_a_redis_that_still_loads_is_waited_for() -> None:
    """It passes, so a worker starts and a producer's caller asks again."""
    with faulty_redis.scripted(faulty_redis.loading) as port:
        settings = settings_at(f"redis://127.0.0.1:{port}/0")
        with Producer(settings) as producer, pytest.raises(Unavailable, match="is still loading") as caught:
            producer.send_email("ana@example.com")
        with closing(Process(settings)) as process:
            process.prepare()

    assert not isinstance(caught.value, Unusable)


@pytest.fixture
def evicting(redis_client: redis.Redis) -> Iterator[Callable[[str], None]]:
    def evict(policy: str) -> None:
        redis_client.config_set("maxmemory-policy", policy)

    yield evict
    redis_client.config_set("maxmemory-policy", "noeviction")


@pytest.mark.parametrize("policy", ["allkeys-lru", "volatile-ttl"])
def test_a_worker_does_not_start_on_a_redis_that_evicts(
    settings: Settings, evicting: Callable[[str], None], policy: str
) -> None:
    """Evicted records would be sent again."""
    evicting(policy)

    with closing(Process(settings)) as process, pytest.raises(ConfigurationError, match=f"maxmemory-policy {policy}"):
        process.prepare()


def test_eviction_can_be_allowed(make_settings: Callable[..., Settings], evicting: Callable[[str], None]) -> None:
    """With GATEPOST_ALLOW_EVICTION=1."""
    evicting("allkeys-lru")

    with closing(Process(make_settings(allow_eviction=True))) as process:
        process.prepare()
