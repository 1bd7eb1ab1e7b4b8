"""The Valkey that a killed `gatepost dev` leaves behind is shut down before another one uses its data."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from gatepost_operations.local.embedded_valkey import EmbeddedValkey, end_left_over_server
from gatepost_operations.local.ports import is_free

if TYPE_CHECKING:
    from pathlib import Path


def test_a_left_over_server_is_shut_down_and_its_port_is_free(tmp_path: Path) -> None:
    """A server with other data on the same port, or none at all, is left alone."""
    with EmbeddedValkey(tmp_path / "data") as server:
        port = server.port
        other = end_left_over_server(port, tmp_path / "other")
        still_running = server.running
        own = end_left_over_server(port, tmp_path / "data")
        give_up = time.monotonic() + 60
        while server.running or not is_free(port):
            assert time.monotonic() < give_up
            time.sleep(0.05)
    none = end_left_over_server(port, tmp_path / "data")

    assert (other, still_running, own, none) == (False, True, True, False)
