"""The environment of `dev` and `demo`, and how their processes are called."""

from __future__ import annotations

import stat
import sys
from typing import TYPE_CHECKING

import pytest

from gatepost.errors import ConfigurationError, InvalidCommand
from gatepost_core.sealing import Key
from gatepost_operations.cli import dev_environment
from gatepost_operations.extras import require_installed
from gatepost_operations.local import environment
from gatepost_operations.processes import worker_command
from support.keys import KEYS

if TYPE_CHECKING:
    from pathlib import Path


def test_nothing_of_a_real_tenant_is_left() -> None:
    """Whatever its case: no domain, secret, broker or key of the person who runs it."""
    outside = {"AUTH0_DOMAIN": "real", "auth0_client_secret": "real", "GATEPOST_BROKER_URL": "real", "PATH": "/bin"}

    assert dev_environment.without_gatepost_variables(outside) == {"PATH": "/bin"}


def test_a_shell_reads_what_is_written(tmp_path: Path) -> None:
    """The lines survive spaces and quotes, and only the owner may read them."""
    variables = {"AUTH0_DOMAIN": "localhost:1", "GATEPOST_FINGERPRINT_KEY": "it's a key"}
    file = tmp_path / "dev.env"
    file.write_text("old", encoding="utf-8")
    file.chmod(0o644)
    environment.write_private(file, dev_environment.export_lines(variables))

    assert dev_environment.read_export_lines(file) == variables
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_no_file_gives_nothing(tmp_path: Path) -> None:
    """The first start has no earlier one."""
    assert dev_environment.read_export_lines(tmp_path / "dev.env") == {}


def test_the_broker_is_the_embedded_valkey_too() -> None:
    """A broker that is named elsewhere would take the messages away."""
    variables = environment.store_variables("redis://127.0.0.1:1/0")

    assert variables["GATEPOST_BROKER_URL"] == variables["GATEPOST_REDIS_URL"] == "redis://127.0.0.1:1/0"
    assert Key.parse(variables["GATEPOST_SEALING_KEYS"]).kid == "local"


def test_webhooks_reach_a_receiver_on_this_machine_beside_the_simulator() -> None:
    """Settings that are read from the variables allow its address."""
    address = environment.SimulatorAddress("https://localhost:1", "localhost:1", "https://localhost:1/", "ca.pem")
    variables = environment.simulator_variables(address) | environment.store_variables("redis://127.0.0.1:1/0")

    assert variables["GATEPOST_WEBHOOK_ALLOW_PRIVATE"] == "1"


def test_a_second_start_uses_the_keys_of_the_first() -> None:
    """Without them, stored values would not open; one key without the other is of no use."""
    first = environment.store_variables("redis://127.0.0.1:1/0")
    del first["GATEPOST_REDIS_URL"]
    only_one = {"GATEPOST_FINGERPRINT_KEY": first["GATEPOST_FINGERPRINT_KEY"]}

    again = environment.store_variables("redis://127.0.0.1:2/0", first)
    fresh = environment.store_variables("redis://127.0.0.1:2/0", only_one)

    assert again["GATEPOST_SEALING_KEYS"] == first["GATEPOST_SEALING_KEYS"]
    assert again["GATEPOST_FINGERPRINT_KEY"] == first["GATEPOST_FINGERPRINT_KEY"]
    assert fresh["GATEPOST_FINGERPRINT_KEY"] != first["GATEPOST_FINGERPRINT_KEY"]


@pytest.mark.parametrize(
    ("before", "after"),
    [({}, "localhost,127.0.0.1,::1"), ({"no_proxy": "corp"}, "corp,localhost,127.0.0.1,::1")],
)
def test_loopback_goes_past_a_proxy(before: dict[str, str], after: str) -> None:
    """Exceptions of the host remain."""
    assert dev_environment.no_proxy_variables(before) == {"NO_PROXY": after, "no_proxy": after}


def test_a_worker_takes_the_queues_it_is_told() -> None:
    """Short and full queue names work; the worker uses threads and a name that is unique on this host."""
    command = worker_command(["login", "gatepost.bulk"], name="7", keys=KEYS, concurrency=4, beat=True, level="INFO")

    assert command[:3] == [sys.executable, "-m", "celery"]
    assert command[command.index("-Q") + 1] == "gatepost.login,gatepost.bulk"
    assert command[command.index("-P") + 1] == "threads"
    assert command[command.index("-c") + 1] == "4"
    assert command[command.index("-n") + 1] == "gatepost-login-bulk-7@%h"
    assert command[command.index("-l") + 1] == "INFO"
    assert {"--without-gossip", "--without-mingle", "-B"} <= set(command)


def test_an_unknown_queue_is_refused() -> None:
    """A worker that serves nothing looks like one that works."""
    with pytest.raises(InvalidCommand, match=r"no queue named bluk; there are login, send, bulk"):
        worker_command(["login", "bluk"], name="1", keys=KEYS)


def test_a_missing_library_names_its_extra() -> None:
    """Nothing is imported to find out."""
    with pytest.raises(ConfigurationError, match=r"gatepost\[simulator\]"):
        require_installed("json", "a_library_that_does_not_exist", extra="simulator")
